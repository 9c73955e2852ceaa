"""What a cell sees, from noise: spike-triggered average and energy, and where it lies.

Pixels are contrasts, ``(grey level - 127) / 127``. A pixel (row i, column j) of (H, W) lies at
azimuth ``(j - (W - 1) / 2) / px_per_deg`` and elevation ``((H - 1) / 2 - i) / px_per_deg``, in deg
from the centre of gaze.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from tqdm.auto import tqdm

from utils.metrics.spikes import valid_bins

Floats = NDArray[np.floating]

GREY = 127.0
CHUNK = 1024  # frames at once
BLUR = 2.0  # pixels, standard deviation, before the centre is looked for
PADDED = 256  # pixels of the spectrum, so that its peak is found finely


class ReverseCorrelation(NamedTuple):
    """What frames had in common before spikes, all (cell, lag, H, W) float32; NaN without spikes.

    z-scores are in standard deviations of the same quantity at lags where no frame can have
    caused a spike.
    """

    sta: Floats  # mean contrast before a spike minus mean contrast
    ste: Floats  # the same of the squared contrast
    sta_z: Floats
    ste_z: Floats
    n_spikes: NDArray[np.float64]  # (cell,) with a known frame before them

    def peak_lags(self) -> NDArray[np.intp]:
        """Place (cell,) of the lag at which average or energy stand out most."""
        strength = [np.nan_to_num(z**2).mean(axis=(2, 3)) for z in (self.sta_z, self.ste_z)]
        return np.maximum(*strength).argmax(axis=1)

    def strength(self) -> Floats:
        """Root of the excess of squared z-scores around the peak lag (cell, H, W), 0 without."""
        maps = np.empty((len(self.sta_z), *self.sta_z.shape[2:]))
        for cell, peak in enumerate(self.peak_lags()):
            near = slice(max(peak - 1, 0), peak + 2)
            both = self.sta_z[cell, near] ** 2 + self.ste_z[cell, near] ** 2 - 2
            maps[cell] = np.sqrt(np.maximum(np.nan_to_num(both).mean(axis=0), 0))
        return maps


def reverse_correlation(
    stimulus: NDArray,
    responses: ArrayLike,
    lags: ArrayLike,
    null_lags: ArrayLike,
    mask: ArrayLike | None = None,
    shown: ArrayLike | None = None,
    trials: ArrayLike | None = None,
) -> ReverseCorrelation:
    """Spike-triggered average and energy of all cells in one pass over the frames.

    Parameters
    ----------
    stimulus : (time, H, W), uint8 grey levels; an HDF5 data set is read in pieces.
    responses : (time, cell), counts or rates; NaN where missing.
    lags : (lag,) bins from a frame to the response.
    null_lags : lags that give the z-scores their scale: negative ones, longer than one pattern of
        the stimulus is shown, so that the frame came too late to matter.
    mask : (time,), (time, 1) or (time, cell), true where a response counts.
    shown : (time,), true at the frames to use; default all.
    trials : (time,), trial numbers; frame and response belong to the same one.
    """
    responses = np.asarray(responses, np.float64)
    counted = valid_bins(mask, responses)
    shown = np.ones(len(responses), bool) if shown is None else np.asarray(shown, bool)
    trials = np.zeros(len(responses), int) if trials is None else np.asarray(trials)
    lags, null_lags = np.asarray(lags), np.asarray(null_lags)
    pairs = _Pairs(responses, counted, shown, trials, np.concatenate([lags, null_lags]))
    sums, spreads = _accumulate(stimulus, pairs)
    n_spikes = np.where(pairs.n_spikes > 0, pairs.n_spikes, np.nan)  # (lag, cell)
    average, energy = (total / n_spikes[..., None] for total in sums)  # (lag, cell, pixel)
    scores = [_z_scores(values, sd, len(lags)) for values, sd in zip((average, energy), spreads)]
    height, width = stimulus.shape[1:]
    maps = (
        np.moveaxis(values[: len(lags)], 0, 1).reshape(-1, len(lags), height, width)
        for values in (average, energy, *scores)
    )
    return ReverseCorrelation(*(m.astype(np.float32) for m in maps), pairs.n_spikes[0])


def pixel_degrees(height: int, width: int, px_per_deg: float) -> tuple[Floats, Floats]:
    """Azimuth (W,) of the columns and elevation (H,) of the rows, deg from the centre of gaze."""
    azimuth = (np.arange(width) - (width - 1) / 2) / px_per_deg
    elevation = ((height - 1) / 2 - np.arange(height)) / px_per_deg
    return azimuth, elevation


def map_centres(maps: ArrayLike, px_per_deg: float) -> NDArray[np.float64]:
    """Centre (cell, 2) of what exceeds half of each map's maximum: azimuth and elevation in deg.

    Maps (cell, H, W), from 0 upwards, are blurred before. All that exceeds counts, since a map may
    have the separate lobes of a Gabor. NaN for a map without any positive value.
    """
    maps = np.asarray(maps, np.float64)
    azimuth, elevation = pixel_degrees(*maps.shape[1:], px_per_deg)
    centres = np.full((len(maps), 2), np.nan)
    for cell, values in enumerate(maps):
        blurred = ndimage.gaussian_filter(values, BLUR, mode="constant")
        top = blurred.max()
        if not top > 0:
            continue
        weights = np.maximum(blurred - top / 2, 0)
        weights /= weights.sum()
        centres[cell] = weights.sum(axis=0) @ azimuth, weights.sum(axis=1) @ elevation
    return centres


def spectral_peak(images: ArrayLike, px_per_deg: float) -> tuple[float, float]:
    """Spatial frequency (c/deg) and orientation (deg) at the peak of the images' power spectrum.

    ``images`` are (image, H, W), e.g. the lags of a spike-triggered average; their spectra are
    added up. The peak is the centre of what exceeds half the maximum. NaN for images without any
    contrast.
    """
    images = np.asarray(images, np.float64)
    images = images - images.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(images, (PADDED, PADDED))) ** 2).sum(axis=0)
    if not power.max() > 0:
        return np.nan, np.nan
    power = np.fft.fftshift(power)
    frequencies = np.fft.fftshift(np.fft.fftfreq(PADDED, 1 / px_per_deg))
    patches, _ = ndimage.label(power > power.max() / 2)
    patch = patches == patches.flat[power.argmax()]  # one of the two mirror images
    weights = np.where(patch, power - power.max() / 2, 0)
    weights /= weights.sum()
    right, up = weights.sum(axis=0) @ frequencies, -(weights.sum(axis=1) @ frequencies)
    return float(np.hypot(right, up)), float(np.rad2deg(np.arctan2(up, right)) % 180)


class _Pairs:
    """Frames and the responses that follow them after each lag."""

    def __init__(
        self,
        responses: Floats,
        counted: NDArray[np.bool_],
        shown: NDArray[np.bool_],
        trials: NDArray,
        lags: NDArray[np.integer],
    ) -> None:
        self.responses, self.counted, self.trials, self.lags = responses, counted, trials, lags
        self.frames = np.flatnonzero(shown)
        n, self.n_spikes = np.zeros((2, len(lags), responses.shape[1]))
        for known, counts in map(self._after, self._pieces(self.frames)):
            n += known.sum(axis=0)
            self.n_spikes += counts.sum(axis=0)
        self.means = self.n_spikes / np.maximum(n, 1)

    def __len__(self) -> int:
        return -(-len(self.frames) // CHUNK)

    def __iter__(self) -> Iterator[tuple[NDArray[np.intp], Floats]]:
        """Frames, and the responses after them minus their mean: (frame, lag, cell), 0 missing."""
        for frames in self._pieces(self.frames):
            known, counts = self._after(frames)
            yield frames, np.where(known, counts - self.means, 0).astype(np.float32)

    def _after(self, frames: NDArray[np.intp]) -> tuple[NDArray[np.bool_], Floats]:
        """(frame, lag, cell): is there a response, and the response, 0 where there is none."""
        bins = frames[:, None] + self.lags
        inside = (bins >= 0) & (bins < len(self.responses))
        bins = np.where(inside, bins, 0)
        inside &= self.trials[bins] == self.trials[frames][:, None]
        known = self.counted[bins] & inside[..., None]
        return known, np.where(known, self.responses[bins], 0)

    @staticmethod
    def _pieces(frames: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        return np.array_split(frames, range(CHUNK, len(frames), CHUNK)) if len(frames) else []


def _accumulate(stimulus: NDArray, pairs: _Pairs) -> tuple[Floats, Floats]:
    """Sums (2, lag, cell, pixel) of contrast and squared contrast times the centred responses,
    and the standard deviation (2, pixel) of both over the frames."""
    n_pixels = int(np.prod(stimulus.shape[1:]))
    shape = pairs.n_spikes.shape
    sums = np.zeros((2, np.prod(shape), n_pixels), np.float32)
    moments = np.zeros((2, 2, n_pixels))
    for frames, responses in tqdm(pairs, "reverse correlation", len(pairs), leave=False, delay=1):
        contrast = (_read(stimulus, frames).reshape(len(frames), -1) - GREY) / GREY
        responses = responses.reshape(len(frames), -1).T
        for which, values in enumerate((contrast, contrast**2)):
            sums[which] += responses @ values
            moments[which] += values.sum(axis=0), (values.astype(np.float64) ** 2).sum(axis=0)
    mean, square = np.moveaxis(moments, 1, 0) / max(len(pairs.frames), 1)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return sums.reshape(2, *shape, n_pixels), spread


def _read(stimulus: NDArray, frames: NDArray[np.intp]) -> NDArray[np.float32]:
    """Frames (frame, H, W): read as one block, since HDF5 is slow at picking single ones."""
    block = np.asarray(stimulus[frames[0] : frames[-1] + 1])
    return block[frames - frames[0]].astype(np.float32)


def _z_scores(values: Floats, spread: Floats, n_lags: int) -> Floats:
    """(lag, cell, pixel) in standard deviations of the lags from ``n_lags`` on."""
    relative = values / np.where(spread > 1e-9, spread, np.nan)
    null = relative[n_lags:] ** 2
    n = np.isfinite(null).sum(axis=(0, 2))  # (cell,)
    variance = np.nansum(null, axis=(0, 2)) / np.maximum(n, 1)
    return relative / np.sqrt(np.where(variance > 0, variance, np.nan))[:, None]
