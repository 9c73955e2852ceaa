"""Scenes and patterns: their spectra, and where the region around the gaze is cut out."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation.v1.scenes import (
    CONTRAST,
    GRATING_CONTRAST,
    GREY,
    PX_PER_DEG,
    SIZE,
    degrees,
    gabor_pattern,
    grating_regions,
    natural_image,
    regions,
)


def spectrum(image):
    """Power along the axes, without the mean: frequency in cycles per image."""
    return np.abs(np.fft.rfft(image - image.mean(), axis=1)).mean(axis=0)[1:] ** 2


def test_the_amplitude_of_scenes_falls_as_1_over_f():
    rng = np.random.default_rng(0)
    power = np.mean([spectrum(natural_image(rng) * np.hanning(512)) for _ in range(20)], axis=0)
    frequency = np.arange(1, len(power) + 1)
    use = (frequency > 4) & (frequency < 120)
    slope = np.polyfit(np.log(frequency[use]), np.log(power[use]), 1)[0]
    # power along one axis of an image with spectrum f^-2 falls as f^-1, that of edges as f^-2
    assert -2.2 < slope < -1.0


def test_scenes_have_edges_and_the_asked_contrast():
    rng = np.random.default_rng(0)
    images = np.stack([natural_image(rng) for _ in range(10)])
    assert images.min() >= 0
    assert images.max() <= 255
    assert images.mean() == pytest.approx(GREY, rel=0.03)
    assert images.std() / GREY == pytest.approx(CONTRAST, rel=0.05)
    steps = np.diff(images, axis=2)
    kurtosis = np.mean(steps**4) / np.mean(steps**2) ** 2
    assert kurtosis > 10  # 3 without objects
    faint = natural_image(rng, 128, contrast=0.1)
    assert faint.std() / GREY == pytest.approx(0.1, rel=0.02)


def test_the_region_follows_the_gaze_to_the_right_and_up():
    image = np.add.outer(np.arange(101.0), np.zeros(101)).astype(np.float32)[None]  # row number
    wide = image.transpose(0, 2, 1).copy()  # column number
    step = 4 / PX_PER_DEG
    gaze = np.array([[0.0, 0.0], [step, 0.0], [0.0, step], [0.125 * step, 0.0]])
    which = np.zeros(4, int)
    middle = SIZE // 2
    np.testing.assert_array_equal(regions(wide, which, gaze)[:, middle, middle], [50, 54, 50, 51])
    np.testing.assert_array_equal(regions(image, which, gaze)[:, middle, middle], [50, 50, 46, 50])
    frame = regions(wide, which, gaze)[0]
    np.testing.assert_array_equal(frame[0], np.arange(25, 76))


def test_half_a_pixel_takes_the_mean_of_two():
    image = np.zeros((1, 101, 101), np.float32)
    image[0, :, 50] = 200
    frame = regions(image, np.zeros(1, int), np.array([[0.5 / PX_PER_DEG, 0.0]]))[0]
    np.testing.assert_array_equal(frame[0, 23:27], [0, 100, 100, 0])


def test_beyond_its_border_an_image_goes_on():
    image = np.full((1, 101, 101), 90, np.float32)
    assert (regions(image, np.zeros(1, int), np.array([[50.0, -50.0]])) == 90).all()


def test_patterns_are_grey_on_average_and_have_the_gabors_frequencies():
    rng = np.random.default_rng(0)
    patterns = np.stack([gabor_pattern(rng) for _ in range(200)])
    assert patterns.mean() == pytest.approx(GREY, rel=0.02)
    power = np.mean([spectrum(pattern) for pattern in patterns], axis=0)
    frequency = np.arange(1, len(power) + 1) / patterns.shape[-1] * PX_PER_DEG  # c/deg
    assert power[frequency > 12].sum() < 0.02 * power.sum()


def test_a_grating_has_its_phase_at_the_centre_and_rises_along_its_orientation():
    sf, ori = np.array([2.0, 2.0, 3.0]), np.array([0.0, 90.0, 45.0])
    phase = np.array([0.0, np.pi / 2, 1.0])
    frames = grating_regions(sf, ori, phase).astype(float)
    middle = SIZE // 2
    expected = GREY * (1 + GRATING_CONTRAST * np.cos(phase))
    np.testing.assert_allclose(frames[:, middle, middle], expected, atol=0.5)
    assert (
        np.ptp(frames[0], axis=0).max() == 0
    )  # wave vector to the right: no change along a column
    assert np.ptp(frames[1], axis=1).max() == 0
    up = GREY * (1 + GRATING_CONTRAST * np.cos(2 * np.pi * 2 * degrees()[::-1] + np.pi / 2))
    np.testing.assert_allclose(frames[1, :, 0], up, atol=0.5)
    right_and_up = frames[2, middle - 5, middle + 5]  # 5 pixels right, 5 up
    along = 5 * np.sqrt(2) / PX_PER_DEG
    assert right_and_up == pytest.approx(
        GREY * (1 + GRATING_CONTRAST * np.cos(2 * np.pi * 3 * along + 1)), abs=0.5
    )
