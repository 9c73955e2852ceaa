"""When does the eye jump? Saccades from the measured direction of gaze.

A sample belongs to a saccade where its velocity leaves an ellipse whose half axes are a multiple of
the noise of the velocity, estimated by medians so that saccades do not widen it (Engbert & Kliegl,
Vision Research 43, 2003).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

REACH_S = 0.004  # velocities come from samples this far on either side, and from their neighbours
APART_S = 0.02  # detections closer than this are one saccade and its overshoot
LEAST_DEG_S = 1.0  # of the noise: a trace without any noise has no threshold


class Saccades(NamedTuple):
    """One entry per saccade, in order of time."""

    onsets: NDArray[np.intp]  # first sample above threshold
    ends: NDArray[np.intp]  # last one
    amplitudes: Floats  # deg from the sample before the onset to the one after the end
    peak_velocities: Floats  # deg/s


def detect_saccades(
    eyepos: ArrayLike,
    rate_hz: float,
    trials: ArrayLike | None = None,
    threshold: float = 6.0,
) -> Saccades:
    """Saccades and microsaccades of one recording.

    Parameters
    ----------
    eyepos : (time, 2) deg, NaN where the eye was lost: no saccade touches such a sample.
    rate_hz : samples per second. At 120 Hz an onset is exact to about one sample, and saccades of
        less than about .2 deg drown in the noise of a usual tracker.
    trials : (time,), trial numbers; samples of different trials are never compared.
    threshold : half axes of the ellipse in units of the noise of each axis.
    """
    eyepos = np.asarray(eyepos, np.float64)
    if eyepos.ndim != 2 or eyepos.shape[1] != 2:
        raise ValueError(f"eyepos must be (time, 2), found {eyepos.shape}")
    trials = np.zeros(len(eyepos), int) if trials is None else np.asarray(trials)
    velocity = eye_velocity(eyepos, rate_hz, trials)
    fast = np.hypot(*(velocity / _noise(velocity)).T) > threshold
    onsets, ends = _runs(fast, trials, round(APART_S * rate_hz))
    before, after = np.maximum(onsets - 1, 0), np.minimum(ends + 1, max(len(eyepos) - 1, 0))
    speed = np.nan_to_num(np.hypot(*velocity.T))
    peaks = [speed[first : last + 1].max() for first, last in zip(onsets, ends)]
    jumps = eyepos[after] - eyepos[before] if len(onsets) else np.zeros((0, 2))
    return Saccades(onsets, ends, np.hypot(*jumps.T), np.array(peaks, np.float64))


def eye_velocity(eyepos: Floats, rate_hz: float, trials: NDArray) -> Floats:
    """(time, 2) deg/s from the samples around each one; NaN at borders and beside lost samples.

    At 250 Hz and above the mean over two differences or more, at lower rates the plain central
    difference, which spans about as much time as the five samples of the original at 500 Hz.
    """
    reach = max(1, round(REACH_S * rate_hz))
    offsets = np.arange(1, reach + 1)
    padded = np.pad(eyepos, ((reach, reach), (0, 0)), constant_values=np.nan)
    place = np.arange(len(eyepos)) + reach
    rise = sum(padded[place + k] - padded[place - k] for k in offsets)
    velocity = rise * rate_hz / (2 * offsets.sum())
    velocity[_border(trials, reach)] = np.nan
    return velocity


def _border(trials: NDArray, reach: int) -> NDArray[np.bool_]:
    """True at samples with another trial within reach."""
    change = np.flatnonzero(np.diff(trials)) + 1  # first sample of each new trial
    near = np.zeros(len(trials), bool)
    for k in range(-reach, reach):
        near[np.clip(change + k, 0, max(len(trials) - 1, 0))] = True
    return near


def _noise(velocity: Floats) -> Floats:
    """(2,) standard deviation of each axis by medians: sqrt(median(v^2) - median(v)^2)."""
    known = velocity[np.isfinite(velocity).all(axis=1)]
    if not len(known):
        return np.ones(2)
    variance = np.median(known**2, axis=0) - np.median(known, axis=0) ** 2
    return np.maximum(np.sqrt(np.maximum(variance, 0)), LEAST_DEG_S)


def _runs(
    fast: NDArray[np.bool_], trials: NDArray, apart: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last samples of the runs of fast ones, close ones of a trial joined."""
    edges = np.diff(np.concatenate([[False], fast, [False]]).astype(np.int8))
    onsets, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    if len(onsets) < 2:
        return onsets, ends
    new = (onsets[1:] - ends[:-1] > apart) | (trials[onsets[1:]] != trials[ends[:-1]])
    return onsets[np.r_[True, new]], ends[np.r_[new, True]]
