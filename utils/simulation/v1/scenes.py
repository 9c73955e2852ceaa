"""What is on the screen, and the region of it around the centre of gaze.

Luminance 0 .. 255, grey is 127. Row 0 of an image is its top, column 0 its left side; the middle
of an image lies in the middle of the screen.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

GREY = 127
PX_PER_DEG = 37.5
SIZE = 51  # px, height and width of the region around the centre of gaze
IMAGE_SIZE = 512  # px: a scene of 13.7 deg
CONTRAST = 0.32  # standard deviation of luminance over grey
N_DISCS, DISC_RADII = 220, (5.0, 110.0)  # px
TEXTURE = 0.45  # share of a scene's contrast that is 1/f noise within its objects
GABORS_PER_DEG2, GABOR_CONTRAST = 12.0, 0.25
GRATING_CONTRAST = 0.25  # makes cells as active as scenes do
PATTERN_SIZE = SIZE + 60  # px: microsaccades do not leave it


def natural_image(
    rng: np.random.Generator, size: int = IMAGE_SIZE, contrast: float = CONTRAST
) -> NDArray[np.float32]:
    """(size, size) discs that occlude one another, of many sizes, textured with 1/f noise.

    Scale-invariant like photographs (Lee, Mumford and Huang 2001).
    """
    objects = np.zeros((size, size), np.float32)
    small, large = DISC_RADII
    # density of radii ~ r^-3 between the two bounds
    radii = 1 / np.sqrt(rng.uniform(1 / large**2, 1 / small**2, N_DISCS))
    _draw_discs(objects, rng.uniform(0, size, (N_DISCS, 2)), radii, rng.standard_normal(N_DISCS))
    image = (1 - TEXTURE) * _unit(objects) + TEXTURE * _one_over_f(size, rng)
    return np.clip(GREY * (1 + contrast * _unit(image)), 0, 255)


def gabor_pattern(rng: np.random.Generator, size: int = PATTERN_SIZE) -> NDArray[np.float32]:
    """(size, size) sum of Gabors of random place, orientation, frequency (1-8 c/deg) and phase."""
    n_gabors = round(GABORS_PER_DEG2 * (size / PX_PER_DEG) ** 2)
    frequency = np.exp(rng.uniform(np.log(1), np.log(8), n_gabors))  # c/deg
    angle, phase = rng.uniform(0, np.pi, n_gabors), rng.uniform(0, 2 * np.pi, n_gabors)
    width = 0.4 / frequency  # deg
    half = size / 2 / PX_PER_DEG
    place = rng.uniform(-half, half, (2, n_gabors))
    axis = degrees(size)
    # the wave exp(i k.x) and its envelope are products of a function of x and one of y
    x = _along(axis, place[0], width, 2 * np.pi * frequency * np.cos(angle))
    y = _along(axis, place[1], width, 2 * np.pi * frequency * np.sin(angle))
    waves = (y[::-1] * np.exp(1j * phase)) @ x.T
    return np.clip(GREY * (1 + GABOR_CONTRAST * waves.real), 0, 255).astype(np.float32)


def degrees(size: int = SIZE) -> NDArray[np.float64]:
    """(size,) azimuth of the columns from the middle; reversed, elevation of the rows."""
    return (np.arange(size) - (size - 1) / 2) / PX_PER_DEG


def regions(
    images: NDArray[np.float32], which: NDArray[np.intp], gaze: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """(T, 51, 51) of what lies around each gaze (T, 2) in the image ``which`` (T,) is shown."""
    middle = (images.shape[-1] - 1) / 2 - (SIZE - 1) / 2
    frames = np.empty((len(which), SIZE, SIZE), np.uint8)
    top, left = middle - gaze[:, 1] * PX_PER_DEG, middle + gaze[:, 0] * PX_PER_DEG
    _sample(images, which, top, left, frames)
    return frames


def grating_regions(
    frequency: NDArray[np.floating],
    orientation: NDArray[np.floating],
    phase: NDArray[np.floating],
) -> NDArray[np.uint8]:
    """(T, 51, 51) full gratings: c/deg, deg, and rad at the centre of gaze, each (T,)."""
    angle = np.deg2rad(orientation)
    axis = degrees()
    x = 2 * np.pi * frequency[:, None] * np.cos(angle)[:, None] * axis
    y = 2 * np.pi * frequency[:, None] * np.sin(angle)[:, None] * axis[::-1]
    wave = (np.exp(1j * (y + phase[:, None]))[:, :, None] * np.exp(1j * x)[:, None]).real
    return np.rint(GREY * (1 + GRATING_CONTRAST * wave)).astype(np.uint8)


def _along(axis, place, width, wave_number):
    """(pixel, gabor) a wave under a Gaussian envelope along one axis."""
    offset = axis[:, None] - place
    return np.exp(-(offset**2) / (2 * width**2) + 1j * wave_number * offset)


def _one_over_f(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(size, size) noise of unit variance whose amplitude falls as 1/f."""
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # no mean
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) / frequency
    return _unit(np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32))


def _unit(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return (image - image.mean()) / image.std()


@njit(cache=True)
def _draw_discs(image, centres, radii, values):
    size = image.shape[0]
    for disc in range(len(radii)):
        row, column, radius = centres[disc, 0], centres[disc, 1], radii[disc]
        for i in range(max(0, int(row - radius)), min(size, int(row + radius) + 2)):
            for j in range(max(0, int(column - radius)), min(size, int(column + radius) + 2)):
                if (i - row) ** 2 + (j - column) ** 2 < radius**2:
                    image[i, j] = values[disc]


@njit(cache=True)
def _sample(images, which, top, left, frames):
    """Bilinear; beyond its border an image goes on as at the border."""
    last = images.shape[1] - 2
    n_bins, height, width = frames.shape
    for t in range(n_bins):
        image = images[which[t]]
        for i in range(height):
            y = min(max(top[t] + i, 0.0), last + 0.999)
            row = int(y)
            down = y - row
            for j in range(width):
                x = min(max(left[t] + j, 0.0), last + 0.999)
                column = int(x)
                right = x - column
                upper = (1 - right) * image[row, column] + right * image[row, column + 1]
                lower = (1 - right) * image[row + 1, column] + right * image[row + 1, column + 1]
                frames[t, i, j] = int((1 - down) * upper + down * lower + 0.5)
