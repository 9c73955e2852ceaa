"""From the traces of one field of view (FOV) to activity on the session's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from utils.preprocessing.config import PreprocessConfig
from utils.sessions.clock import Clock, common_clock, resample_to_clock
from utils.sessions.errors import SessionError
from utils.signals import (
    baseline_floor,
    bin_mean,
    bin_starts,
    causal_smooth,
    column_quantiles,
    correct_neuropil,
    delta_f_over_f,
    noise_level,
    noise_std,
)
from utils.splits import TRAIN


@dataclass(frozen=True)
class Timeline:
    """The session's clock, and the coarser one of the stored frames (equal without binning)."""

    clock: Clock
    starts: np.ndarray  # (time,) first clock frame of each stored frame
    times: np.ndarray  # (time,) s, mean time of each stored frame
    interval: float  # s between stored frames
    bin_frames: int

    def binned(self, values: np.ndarray) -> np.ndarray:
        """Values on the clock ``(clock frame, roi)`` -> ``(time, roi)``."""
        if self.bin_frames == 1:
            return values
        return bin_mean(values, self.starts, self.bin_frames)


def make_timeline(session: Any, config: PreprocessConfig) -> Timeline:
    """Clock of the session; a SessionError says why there is none."""
    try:
        clock = common_clock(list(session.fovs))
    except ValueError as error:
        raise SessionError(f"session {session.eid}: {error}") from None
    starts = bin_starts(clock.times, config.bin_frames)
    if len(starts) < 2:
        raise SessionError(
            f"session {session.eid}: {len(clock.times)} frames give {len(starts)} bins of "
            f"{config.bin_frames} frames; use a smaller bin_frames"
        )
    times = clock.times if config.bin_frames == 1 else _bin_times(clock, starts, config)
    interval = clock.frame_interval * config.bin_frames
    return Timeline(clock, starts, times, interval, config.bin_frames)


def frames_with_data(session: Any, timeline: Timeline) -> np.ndarray:
    """Share of the session's cells that have a value at each stored frame, ``(time,)``.

    FOVs without any good frame do not count.
    """
    share = np.zeros(len(timeline.times))
    n_cells = 0
    for fov in session.fovs:
        if not len(fov.cell_indices) or not fov.good_frame_mask.any():
            continue  # its cells are left out as a whole
        offset = np.median(fov.roi_time_offsets[fov.cell_indices], keepdims=True)
        ones = np.ones((len(fov.timestamps), 1), dtype=np.float32)
        on_clock = resample_to_clock(
            ones, fov.timestamps, offset, fov.good_frame_mask, timeline.clock.times
        )
        present = np.isfinite(timeline.binned(on_clock))[:, 0]
        share += present * len(fov.cell_indices)
        n_cells += len(fov.cell_indices)
    return share / max(n_cells, 1)


def fov_activity(
    fov: Any, timeline: Timeline, labels: np.ndarray, config: PreprocessConfig
) -> tuple[np.ndarray, pd.DataFrame]:
    """Activity of the cells of one FOV on the clock, and their quality on the training block.

    Parameters
    ----------
    fov : object with the attributes of ``FOVData``.
    labels : (time,) split labels of the stored frames.

    Returns
    -------
    activity : (time, cell) float32, NaN where missing.
    quality : one row per cell: see :func:`_quality`.
    """
    cells = fov.cell_indices
    good = fov.good_frame_mask
    training = good & training_frames(fov.timestamps, timeline.times, labels)
    if config.activity == "dff":
        values, quality = _dff(fov, cells, good, training, config)
    else:
        values, quality = _deconvolved(fov, cells), pd.DataFrame(index=range(len(cells)))
    activity = resample_to_clock(
        values,
        fov.timestamps,
        fov.roi_time_offsets[cells],
        good,
        timeline.clock.times,
        method=config.resampling,
    )
    if config.smoothing_s:
        activity = causal_smooth(activity, timeline.clock.times, config.smoothing_s)
    activity = timeline.binned(activity)
    return activity, _quality(activity[labels == TRAIN], 1 / timeline.interval).join(quality)


def training_frames(frame_times: np.ndarray, times: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which frames of a FOV lie in the training block: ``(frame,)`` bool.

    A frame counts when the last stored frame before it is one of the training block.
    """
    before = np.searchsorted(times, frame_times, side="right") - 1
    return (before >= 0) & (np.asarray(labels)[np.maximum(before, 0)] == TRAIN)


def _dff(
    fov: Any, cells: np.ndarray, good: np.ndarray, training: np.ndarray, config: PreprocessConfig
) -> tuple[np.ndarray, pd.DataFrame]:
    if not fov.raw_activity:
        raise SessionError(
            f"{fov.fov_name}: dF/F needs fluorescence, but the session holds deconvolved traces. "
            "Open it with raw_activity=True, or preprocess with activity=deconvolved"
        )
    if not training.any():
        return _no_dff(len(training), len(cells))
    raw = np.array(fov.roi_activity[:, cells], dtype=np.float32)  # (frame, cell)
    fluorescence, neuropil = raw, None
    if fov.neuropil_activity is not None:
        neuropil = np.array(fov.neuropil_activity[:, cells], dtype=np.float32)
        fluorescence = correct_neuropil(raw, neuropil, config.neuropil_coefficient)
    floor = baseline_floor(fluorescence, neuropil, good=training)
    baseline = config.baseline
    dff = delta_f_over_f(
        fluorescence,
        fov.frame_rate,
        good=good,
        method=baseline.method,
        percentile=baseline.percentile,
        window_s=baseline.window_s,
        warmup_s=baseline.warmup_s,
        floor=floor,
    )
    typical = column_quantiles(fluorescence[training], [baseline.percentile / 100])[0]
    quality = pd.DataFrame(
        {
            "negative_fluorescence": (raw[training] < 0).mean(axis=0),
            "baseline": typical,
            "baseline_floor": floor,
            "baseline_floored": typical < floor,
        }
    )
    return dff, quality


def _no_dff(n_frames: int, n_cells: int) -> tuple[np.ndarray, pd.DataFrame]:
    """As `_dff` for a FOV without good training frames: all missing, so its cells are left out."""
    unknown = np.full(n_cells, np.nan)
    quality = pd.DataFrame(
        {
            "negative_fluorescence": unknown,
            "baseline": unknown,
            "baseline_floor": unknown,
            "baseline_floored": np.zeros(n_cells, bool),
        }
    )
    return np.full((n_frames, n_cells), np.nan, dtype=np.float32), quality


def _deconvolved(fov: Any, cells: np.ndarray) -> np.ndarray:
    traces = fov.deconvolved_activity if fov.raw_activity else fov.roi_activity
    if traces is None:
        raise SessionError(
            f"{fov.fov_name}: no deconvolved activity (see session.availability); "
            "preprocess with activity=dff"
        )
    return np.array(traces[:, cells], dtype=np.float32)


def _quality(train: np.ndarray, frame_rate: float) -> pd.DataFrame:
    """Statistics per cell of the training block ``(time, cell)``; NaN where it has no value."""
    low, q25, median, q75, q995, high = column_quantiles(train, [0, 0.25, 0.5, 0.75, 0.995, 1])
    present = np.isfinite(train)
    count = present.sum(axis=0)
    noise = noise_std(train)
    with np.errstate(invalid="ignore"):
        negative = (np.where(present, train, 0) < 0).sum(axis=0) / np.maximum(count, 1)
        mean = np.where(present, train, 0).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
        spread = (np.where(present, train - mean, 0.0) ** 2).sum(axis=0)
    return pd.DataFrame(
        {
            "valid_fraction": count / max(len(train), 1),
            "median": median,
            "std": np.sqrt(spread / np.maximum(count, 1)),
            "iqr": q75 - q25,
            "range": high - low,
            "negative_fraction": negative,
            "noise_level": noise_level(train, frame_rate),
            "snr": np.where(noise > 0, (q995 - median) / np.where(noise > 0, noise, 1), 0.0),
        }
    )


def _bin_times(clock: Clock, starts: np.ndarray, config: PreprocessConfig) -> np.ndarray:
    return bin_mean(clock.times, starts, config.bin_frames)
