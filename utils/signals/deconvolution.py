"""Non-negative deconvolution of calcium traces.

The model is a first-order autoregression: each event adds to a trace that decays by a fixed
factor per frame. The best non-negative events under it are found exactly, in one pass over the
trace, by pooling neighbouring frames (Friedrich, Zhou & Paninski, PLoS Comput Biol 2017), with
no sparsity penalty, as suite2p does.
"""

from __future__ import annotations

import numba
import numpy as np


def deconvolve_ar1(fluorescence: np.ndarray, tau: float, frame_rate: float) -> np.ndarray:
    """Non-negative events that explain baseline-free fluorescence.

    Parameters
    ----------
    fluorescence : ``(T, n)`` traces with their baseline removed; finite.
    tau : decay time of the indicator, s (GCaMP6s 1.5, 6m 1.0, 6f 0.7).
    frame_rate : Hz.

    Returns
    -------
    ``(T, n)`` float32, >= 0, in the units of the fluorescence. The level at the first frame comes
    from before the recording and is no event.

    Raises
    ------
    ValueError
        Not two dimensions, values that are not finite, or a time constant or rate <= 0.
    """
    traces = np.asarray(fluorescence)
    if traces.ndim != 2:
        raise ValueError(f"fluorescence must be (time, roi), found shape {traces.shape}")
    if not (tau > 0 and frame_rate > 0):
        raise ValueError(f"tau and frame_rate must be positive, found {tau} and {frame_rate}")
    if not np.isfinite(traces).all():
        raise ValueError("fluorescence holds NaN or infinite values: fill bad frames first")
    by_roi = np.ascontiguousarray(traces.T, dtype=np.float32)
    return _pool_events(by_roi, np.exp(-1.0 / (tau * frame_rate))).T


@numba.njit(cache=True, nogil=True)
def _pool_events(traces: np.ndarray, decay: float) -> np.ndarray:
    n_rois, n_frames = traces.shape
    events = np.zeros((n_rois, n_frames), dtype=np.float32)
    decayed = decay ** np.arange(n_frames + 1)
    # a pool is a run of frames that decays without a new event
    value = np.empty(n_frames)  # fluorescence at the start of the pool
    weight = np.empty(n_frames)  # sum of decay^(2k) over the pool's frames
    start = np.empty(n_frames, dtype=np.int64)
    length = np.empty(n_frames, dtype=np.int64)
    for roi in range(n_rois):
        last = -1
        for frame in range(n_frames):
            last += 1
            value[last] = traces[roi, frame]
            weight[last] = 1.0
            start[last] = frame
            length[last] = 1
            # a pool that starts below the decayed end of the one before would need a negative
            # event: merge the two
            while last > 0 and value[last] < value[last - 1] * decayed[length[last - 1]]:
                step = decayed[length[last - 1]]
                total = weight[last - 1] + step * step * weight[last]
                mixed = weight[last - 1] * value[last - 1] + step * weight[last] * value[last]
                value[last - 1] = mixed / total
                weight[last - 1] = total
                length[last - 1] += length[last]
                last -= 1
        before = max(value[0], 0.0)
        for pool in range(1, last + 1):
            level = max(value[pool], 0.0)
            events[roi, start[pool]] = max(level - before * decayed[length[pool - 1]], 0.0)
            before = level
    return events
