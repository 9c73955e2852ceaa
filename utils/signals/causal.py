"""Causal filters and binning in time: no value depends on a later one, none crosses a gap."""

from __future__ import annotations

import numpy as np
from numba import njit

from utils.splits import find_segments


def causal_smooth(values: np.ndarray, timestamps: np.ndarray, tau_s: float) -> np.ndarray:
    """One-sided exponential smoothing with time constant ``tau_s``, ``(time, roi)`` float32.

    ``y[t] = y[t-1] + (1 - exp(-dt / tau)) (x[t] - y[t-1])``, started anew after each missing
    value and each gap (a step longer than 1.5 median steps). NaN stays NaN.
    """
    if not tau_s > 0:
        raise ValueError(f"tau_s = {tau_s}: the time constant must be longer than 0 s")
    values = np.ascontiguousarray(values, dtype=np.float32)
    gain = 1.0 - np.exp(-float(np.median(np.diff(timestamps))) / tau_s)
    starts = np.zeros(len(values), bool)
    starts[find_segments(timestamps)[:, 0]] = True
    return _smooth(values, starts, gain)


def bin_starts(timestamps: np.ndarray, frames: int) -> np.ndarray:
    """First frame of each bin of ``frames`` frames, ``(bin,)``; bins never reach over a gap.

    What is left at the end of a segment and does not fill a bin is left out.
    """
    if frames < 1:
        raise ValueError(f"bins of {frames} frames: at least 1 is needed")
    segments = find_segments(timestamps)
    ranges = [np.arange(start, stop - frames + 1, frames) for start, stop in segments]
    return np.concatenate(ranges) if ranges else np.array([], dtype=np.int64)


def bin_mean(values: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
    """Mean over the frames of each bin, ``(bin, ...)``; NaN where any of them is missing."""
    values = np.asarray(values)
    total = np.zeros((len(starts), *values.shape[1:]), dtype=np.float64)
    for frame in range(frames):
        total += values[starts + frame]
    return (total / frames).astype(values.dtype)


@njit(cache=True, nogil=True)
def _smooth(values, starts, gain):
    out = values.copy()
    for t in range(1, values.shape[0]):
        if starts[t]:
            continue
        for n in range(values.shape[1]):
            if np.isfinite(out[t - 1, n]):
                out[t, n] = out[t - 1, n] + gain * (values[t, n] - out[t - 1, n])
    return out
