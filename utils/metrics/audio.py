"""How like two sounds are: sample by sample, in shape, and in their spectra.

Sounds are (n, sample); results are (n,), one per pair.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.signals.spectra import SpectrogramConfig, decibels, stft_magnitude

WINDOWS = (64, 256, 1024)  # samples; short ones see when, long ones see which frequency
DYNAMIC_RANGE = 60.0  # dB below the loudest bin of the true sound, what is softer counts as silence

Floats = NDArray[np.float64]


def reconstruction_snr(true: ArrayLike, other: ArrayLike) -> Floats:
    """10 log10(energy of the true sound / energy of the difference), dB.

    Infinite for equal sounds, NaN where the true one is silent.
    """
    true, other = _pair(true, other)
    signal, noise = (true**2).sum(axis=1), ((true - other) ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(signal > 0, 10 * np.log10(signal / noise), np.nan)


def sound_correlation(true: ArrayLike, other: ArrayLike) -> Floats:
    """Pearson correlation over samples, NaN where a sound is constant."""
    true, other = _pair(true, other)
    true, other = (sounds - sounds.mean(axis=1, keepdims=True) for sounds in (true, other))
    scale = np.sqrt((true**2).sum(axis=1) * (other**2).sum(axis=1))
    return (true * other).sum(axis=1) / np.where(scale > 0, scale, np.nan)


def multiscale_stft_distance(
    true: ArrayLike, other: ArrayLike, windows: Sequence[int] = WINDOWS
) -> Floats:
    """Mean absolute difference of spectra in dB, over windows of several lengths.

    After the multi-resolution STFT loss of Yamamoto et al. (2020, arXiv 1910.11480), its
    logarithmic part. Bins below ``DYNAMIC_RANGE`` under the loudest of the true sound are lifted to
    that level in both sounds, as differences between silences are not heard. Phases do not count.

    Parameters
    ----------
    windows : lengths in samples, with Hann windows every quarter of them; sounds must be as long
        as the longest.
    """
    true, other = _pair(true, other)
    distances = []
    for window in windows:
        config = SpectrogramConfig(
            height=1, width=1, n_fft=window, n_window=window, hop_length=window // 4,
            window_type="hann",
        )  # fmt: skip
        levels = [decibels(stft_magnitude(sounds, config)) for sounds in (true, other)]
        floor = levels[0].max(axis=(1, 2), keepdims=True) - DYNAMIC_RANGE
        one, two = (np.maximum(level, floor) for level in levels)
        distances.append(np.abs(one - two).mean(axis=(1, 2), dtype=np.float64))
    return np.mean(distances, axis=0)


def _pair(true: ArrayLike, other: ArrayLike) -> tuple[Floats, Floats]:
    true, other = np.asarray(true, float), np.asarray(other, float)
    if true.ndim != 2 or true.shape != other.shape:
        raise ValueError(f"expected two (n, sample), found {true.shape} and {other.shape}")
    return true, other
