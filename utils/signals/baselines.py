"""Baselines F0 of fluorescence: running percentile (causal) and running maximin (acausal).

Both take ``(time, roi)`` and leave out excluded frames: neither a shutter artefact nor a frame
with the detector off may move the baseline. Gaps in time count for nothing: a window covers its
number of good frames, whichever side of a gap they lie on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d

_CHUNK = 64  # ROIs that one thread works on at a time; their windows stay in the cache


def running_percentile_baseline(
    values: np.ndarray,
    frame_rate: float,
    *,
    percentile: float = 30.0,
    window_s: float = 60.0,
    warmup_s: float = 10.0,
    good: np.ndarray | None = None,
) -> np.ndarray:
    """Causal baseline: the percentile of the last ``window_s`` of good frames, this one included.

    The rank is exact (nearest rank, rounded down) over a window that slides by one frame. Nothing
    after a frame has an influence on it, so the baseline may be used for model inputs.

    Parameters
    ----------
    values : (time, roi); NaN samples are skipped.
    frame_rate : frames per second.
    percentile : 0 to 100.
    window_s : length of the trailing window, seconds of good frames.
    warmup_s : seconds of good frames that must have been seen before a baseline is given.
    good : (time,) bool; other frames are left out and get the baseline of the frame before.

    Returns
    -------
    (time, roi) float32; NaN before the warm-up is over.

    Raises
    ------
    ValueError
        No good frame, or lengths that disagree.
    """
    values, good = _checked(values, good)
    window = max(round(window_s * frame_rate), 1)
    warmup = min(max(round(warmup_s * frame_rate), 1), window)
    out = np.empty(values.shape, dtype=np.float32)

    def work(first: int) -> None:
        columns = slice(first, first + _CHUNK)
        traces = np.ascontiguousarray(values[:, columns].T, dtype=np.float32)  # (roi, time)
        out[:, columns] = _sliding_percentile(traces, good, window, warmup, percentile / 100.0).T

    _in_threads(work, range(0, values.shape[1], _CHUNK))
    return out


def maximin_baseline(
    values: np.ndarray,
    frame_rate: float,
    *,
    smooth_frames: float = 10.0,
    window_s: float = 60.0,
    good: np.ndarray | None = None,
) -> np.ndarray:
    """Acausal baseline: Gaussian smoothing, then a running minimum, then a running maximum.

    The recipe and its default settings (sigma 10 frames, windows of 60 s) are those of suite2p
    (Pachitariu et al. 2017). It looks into the future: for deconvolution and for display, not for
    the inputs of a forecast.

    Parameters
    ----------
    values : (time, roi), finite on good frames.
    frame_rate : frames per second.
    smooth_frames : standard deviation of the Gaussian, frames.
    window_s : length of both windows, seconds.
    good : (time,) bool; other frames are replaced by interpolation before anything else.

    Returns
    -------
    (time, roi) float32, finite.
    """
    values, good = _checked(values, good)
    window = max(round(window_s * frame_rate), 1)
    out = np.empty(values.shape, dtype=np.float32)

    def work(first: int) -> None:
        columns = slice(first, first + _CHUNK)
        traces = np.ascontiguousarray(values[:, columns].T, dtype=np.float32)  # (roi, time)
        traces = _bridge(traces, good)
        traces = gaussian_filter1d(traces, smooth_frames, axis=1)
        traces = minimum_filter1d(traces, window, axis=1)
        out[:, columns] = maximum_filter1d(traces, window, axis=1).T

    _in_threads(work, range(0, values.shape[1], _CHUNK))
    return out


@njit(cache=True, nogil=True)
def _sliding_percentile(traces, good, window, warmup, fraction):
    """Percentile of the last `window` good, finite samples of each trace; (roi, time) in, out."""
    n_rois, n_frames = traces.shape
    out = np.full(traces.shape, np.nan, dtype=np.float32)
    ring = np.empty(window, dtype=np.float32)  # the samples of the window in order of time
    ranked = np.empty(window, dtype=np.float32)  # the same samples in order of size
    for n in range(n_rois):
        count = 0
        seen = 0
        last = np.float32(np.nan)
        for t in range(n_frames):
            sample = traces[n, t]
            if good[t] and np.isfinite(sample):
                slot = seen % window
                if count == window:
                    _exchange(ranked, ring[slot], sample)
                else:
                    ranked[count] = np.inf
                    count += 1
                    _exchange(ranked[:count], np.inf, sample)
                ring[slot] = sample
                seen += 1
                if count >= warmup:
                    last = ranked[int(fraction * (count - 1))]
            out[n, t] = last
    return out


@njit(cache=True, nogil=True)
def _exchange(ranked, old, new):
    """Replace one sample of a sorted array by another; only what lies between them moves."""
    i = np.searchsorted(ranked, old)
    while i > 0 and ranked[i - 1] > new:
        ranked[i] = ranked[i - 1]
        i -= 1
    while i + 1 < len(ranked) and ranked[i + 1] < new:
        ranked[i] = ranked[i + 1]
        i += 1
    ranked[i] = new


def _bridge(traces: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Excluded frames replaced by the line between their good neighbours; (roi, time)."""
    if good.all():
        return traces
    kept = np.flatnonzero(good)
    missing = np.flatnonzero(~good)
    after = np.clip(np.searchsorted(kept, missing), 0, len(kept) - 1)
    before = np.clip(after - 1, 0, len(kept) - 1)
    left, right = kept[before], kept[after]
    weight = np.clip((missing - left) / np.maximum(right - left, 1), 0, 1).astype(np.float32)
    traces = traces.copy()
    traces[:, missing] = (1 - weight) * traces[:, left] + weight * traces[:, right]
    return traces


def _checked(values: np.ndarray, good: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values)
    if values.ndim != 2:
        raise ValueError(f"expected values of shape (time, roi), found {values.shape}")
    good = np.ones(len(values), bool) if good is None else np.ascontiguousarray(good, dtype=bool)
    if good.shape != (len(values),):
        raise ValueError(f"{len(values)} frames, but {good.shape} flags of good frames")
    if not good.any():
        raise ValueError("no good frame: all frames are excluded, so there is no baseline")
    return values, good


def _in_threads(work: Callable[[int], None], firsts: range) -> None:
    """Run over the chunks; the kernels release the interpreter lock."""
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        list(pool.map(work, firsts))
