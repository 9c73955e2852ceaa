"""One clock for a session: when each ROI was really sampled, and its value at the clock's times.

A mesoscope visits the fields of view (FOVs) in turn and scans each one line by line. ROI ``n`` of
a FOV, in scan row ``r``, is sampled at ``frame_times + timeshift[r]``; the FOV's own offset is
part of its frame times. Values are interpolated linearly between two neighbouring samples, and
only where both are good and no frame is missing between them. Elsewhere the value is NaN.

Linear interpolation mixes two neighbouring samples, so neighbouring clock frames share a part of
their measurement noise. ``method="previous"`` takes the last sample instead: noise stays
independent and no sample lies after the clock time, but the time error grows to a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numba import njit

GAP_TOLERANCE = 1.5  # a longer step than this many frame intervals is a gap
SAME_TIME = 1e-6  # seconds; times so close are the same, whatever rounding did to them


class HasFrameTimes(Protocol):
    """What the clock needs of a FOV."""

    fov_name: str
    timestamps: np.ndarray


@dataclass(frozen=True)
class Clock:
    """Frame times shared by all neurons of a session."""

    times: np.ndarray  # (time,) seconds, float64
    frame_interval: float  # seconds, median step
    fov_name: str  # the FOV whose frame times these are

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return 1.0 / self.frame_interval


def common_clock(fovs: Sequence[HasFrameTimes]) -> Clock:
    """The frame times of the FOV with most frames (the first one among equals).

    They are moved to the start of the volume, that is to the FOV that is scanned first, so that
    the value at frame ``i`` never rests on a sample of a later frame.

    Raises
    ------
    ValueError
        No FOV, or frame times that are not finite and increasing; the message names the FOV.
    """
    if not fovs:
        raise ValueError("the session has no field of view, so it has no clock")
    longest = max(fovs, key=lambda fov: len(fov.timestamps))
    times = checked_times(longest.timestamps, longest.fov_name)
    interval = float(np.median(np.diff(times)))
    leads = [float(times[0] - fov.timestamps[0]) for fov in fovs if len(fov.timestamps)]
    return Clock(times - max(lead for lead in leads if lead < interval), interval, longest.fov_name)


def checked_times(times: np.ndarray, name: str) -> np.ndarray:
    """Frame times as float64; a ValueError names the FOV whose times cannot be a clock."""
    times = np.asarray(times, dtype=np.float64)
    if times.ndim != 1 or len(times) < 2:
        raise ValueError(f"{name}: frame times of shape {times.shape}; at least 2 are needed")
    bad = np.flatnonzero(~(np.diff(times) > 0))  # true for NaN as well
    if len(bad) or not np.isfinite(times[[0, -1]]).all():
        place = int(bad[0]) if len(bad) else 0
        raise ValueError(
            f"{name}: frame times must be finite and increasing; around frame {place} they are "
            f"{times[place : place + 2].tolist()} s"
        )
    return times


def resample_to_clock(
    values: np.ndarray,
    frame_times: np.ndarray,
    roi_offsets: np.ndarray,
    good: np.ndarray,
    clock_times: np.ndarray,
    *,
    method: Literal["linear", "previous"] = "linear",
) -> np.ndarray:
    """Values of every ROI at the times of the clock.

    Parameters
    ----------
    values : (frame, roi) samples of one FOV.
    frame_times : (frame,) s, start of each frame of this FOV.
    roi_offsets : (roi,) s, from the start of the frame to the ROI's scan line.
    good : (frame,) bool; samples of other frames are never used.
    clock_times : (time,) s.
    method : ``"linear"`` between the two samples around the clock time (neither of them bad, no
        gap between them), or ``"previous"``: the last good sample, at most a frame old.

    Returns
    -------
    (time, roi) float32, NaN where there is no value: before the first and after the last sample,
    in gaps (steps > 1.5 median frame intervals) and beside bad frames.

    Raises
    ------
    ValueError
        Lengths that disagree, or an unknown method.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    frame_times = checked_times(frame_times, "resampling")
    roi_offsets = np.ascontiguousarray(roi_offsets, dtype=np.float64)
    good = np.ascontiguousarray(good, dtype=bool)
    n_frames, n_rois = values.shape
    if (len(frame_times), len(good), len(roi_offsets)) != (n_frames, n_frames, n_rois):
        raise ValueError(
            f"values are (frame, roi) = {values.shape}, but there are {len(frame_times)} frame "
            f"times, {len(good)} frame flags and {len(roi_offsets)} ROI offsets"
        )
    if method not in ("linear", "previous"):
        raise ValueError(f"unknown method {method!r}; known: linear, previous")
    longest_step = GAP_TOLERANCE * float(np.median(np.diff(frame_times)))
    clock_times = np.ascontiguousarray(clock_times, dtype=np.float64)
    fill = _interpolate if method == "linear" else _hold
    return fill(values, frame_times, roi_offsets, good, clock_times, longest_step)


@njit(cache=True, nogil=True)
def _interpolate(values, frame_times, roi_offsets, good, clock_times, longest_step):
    n_frames, n_rois = values.shape
    out = np.full((len(clock_times), n_rois), np.nan, dtype=np.float32)
    for t in range(len(clock_times)):
        start = np.searchsorted(frame_times, clock_times[t], side="right") - 1
        for n in range(n_rois):
            time = clock_times[t] - roi_offsets[n]
            i = _frame_before(frame_times, time + SAME_TIME, start)
            if i < 0 or not good[i]:
                continue
            since = time - frame_times[i]
            if since <= SAME_TIME:
                out[t, n] = values[i, n]
            elif i + 1 < n_frames and good[i + 1]:
                step = frame_times[i + 1] - frame_times[i]
                if step <= longest_step:
                    weight = since / step
                    out[t, n] = (1.0 - weight) * values[i, n] + weight * values[i + 1, n]
    return out


@njit(cache=True, nogil=True)
def _hold(values, frame_times, roi_offsets, good, clock_times, longest_step):
    n_frames, n_rois = values.shape
    interval = longest_step / GAP_TOLERANCE
    out = np.full((len(clock_times), n_rois), np.nan, dtype=np.float32)
    for t in range(len(clock_times)):
        start = np.searchsorted(frame_times, clock_times[t], side="right") - 1
        for n in range(n_rois):
            time = clock_times[t] - roi_offsets[n]
            i = _frame_before(frame_times, time + SAME_TIME, start)
            if i < 0 or not good[i]:
                continue
            step = frame_times[i + 1] - frame_times[i] if i + 1 < n_frames else np.inf
            if step <= longest_step or time - frame_times[i] < interval - SAME_TIME:
                out[t, n] = values[i, n]  # before a gap for one interval only: never twice
    return out


@njit(cache=True, nogil=True)
def _frame_before(frame_times, time, guess):
    """Last frame at or before a time, -1 if none; the guess is at most a few frames away."""
    i = guess
    while i >= 0 and frame_times[i] > time:
        i -= 1
    while i + 1 < len(frame_times) and frame_times[i + 1] <= time:
        i += 1
    return i
