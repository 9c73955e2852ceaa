"""Covariates on the session's clock: what the animal does and sees, known at each frame.

All are causal: the value at a frame depends on nothing after the frame's time. Sampled signals
are averaged over the frame interval that ends there.

The first 11 columns are always there, in the order of the published version of this layout:
wheel velocity, nine stimulus types, trial phase. Where the recording lacks the wheel or the
trials they are zero, and a note says so. Further columns (wheel speed, pupil, motion energy,
licks) are there only if the recording has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

CONTRASTS = {1.0: "100pct", 0.25: "25pct", 0.125: "12.5pct", 0.0625: "6.25pct"}
STIMULI = (
    "stimulus_catch_trial",
    *(f"stimulus_left_{name}" for name in CONTRASTS.values()),
    *(f"stimulus_right_{name}" for name in CONTRASTS.values()),
)
FIXED = ("wheel_velocity", *STIMULI, "trial_phase")
PHASES = {"between": 0.0, "started": 1 / 3, "stimulus": 2 / 3, "feedback": 1.0}


@dataclass(frozen=True)
class Covariates:
    """``values`` (time, covariate) = (raw - offset) / scale; one offset and scale per column."""

    values: np.ndarray
    names: list[str]
    offset: np.ndarray
    scale: np.ndarray
    notes: pd.DataFrame  # kind, item, reason, count


def build_covariates(
    session: Any, times: np.ndarray, interval: float, train: np.ndarray
) -> Covariates:
    """All covariates that a session offers, on the clock.

    Parameters
    ----------
    session : object with the behaviour attributes of ``MesoscopeSession``.
    times : (time,) s.
    interval : s, length of a frame (or bin).
    train : (time,) bool, frames whose mean and standard deviation scale continuous covariates.
    """
    notes: list[tuple[str, str, int]] = []
    if session.wheel_position is None:
        notes.append(("wheel_velocity", "no wheel recorded: the column is zero", len(times)))
    columns = {"wheel_velocity": np.zeros(len(times))}
    columns |= movement_columns(session, times, interval)
    columns |= _trials(session.trials, times, interval, notes)
    order = [*FIXED, *(name for name in columns if name not in FIXED)]
    raw = np.stack([columns[name] for name in order], axis=1)  # (time, covariate)
    continuous = [name for name in order if name not in STIMULI and name != "trial_phase"]
    offset, scale = np.zeros(len(order)), np.ones(len(order))
    for name in continuous:
        i = order.index(name)
        offset[i], scale[i] = _mean_and_spread(raw[train, i])
        missing = int(np.isnan(raw[:, i]).sum())
        if missing:
            notes.append((name, "frames without a sample: set to the training mean", missing))
    values = np.nan_to_num((raw - offset) / scale).astype(np.float32)
    table = pd.DataFrame(notes, columns=["item", "reason", "count"])
    table.insert(0, "kind", "covariate")
    return Covariates(values, order, offset, scale, table)


def movement_columns(session: Any, times: np.ndarray, interval: float) -> dict[str, np.ndarray]:
    """What the animal did in ``(t - interval, t]``, each (time,); NaN where nobody looked.

    ``wheel_velocity`` and ``wheel_speed`` in rad/s, ``pupil_diameter`` in px,
    ``motion_energy_<camera>``, and ``lick_rate`` in Hz; those that the session has.
    """
    columns = {} if session.wheel_position is None else _wheel(session, times, interval)
    columns |= _cameras(session, times, interval)
    if session.licks is not None:
        columns["lick_rate"] = _count(np.asarray(session.licks), times, interval) / interval
    return columns


def mean_before(
    sample_times: np.ndarray, samples: np.ndarray, times: np.ndarray, interval: float
) -> np.ndarray:
    """Mean of the finite samples in ``(t - interval, t]`` for each time, NaN where none is."""
    kept = np.isfinite(samples) & np.isfinite(sample_times)
    sample_times, samples = np.asarray(sample_times)[kept], np.asarray(samples)[kept]
    order = np.argsort(sample_times, kind="stable")
    total = np.r_[0.0, np.cumsum(samples[order], dtype=np.float64)]
    first = np.searchsorted(sample_times[order], times - interval, side="right")
    stop = np.searchsorted(sample_times[order], times, side="right")
    count = stop - first
    return np.where(count, (total[stop] - total[first]) / np.maximum(count, 1), np.nan)


def first_known(trials: pd.DataFrame, columns: list[str], default: np.ndarray) -> np.ndarray:
    """Values (trial,) of the first column that knows them, trial by trial; else the default."""
    values = np.full(len(trials), np.nan)
    for name in columns:
        if name in trials:
            values = np.where(np.isnan(values), trials[name].to_numpy(np.float64), values)
    return np.where(np.isnan(values), default, values)


def _wheel(session: Any, times: np.ndarray, interval: float) -> dict[str, np.ndarray]:
    """Mean velocity over the frame, rad/s: displacement since the frame before."""
    ticks = np.asarray(session.wheel_timestamps, dtype=np.float64)
    position = np.asarray(session.wheel_position, dtype=np.float64)

    def at(moments: np.ndarray) -> np.ndarray:  # where the last tick left the wheel
        return position[np.clip(np.searchsorted(ticks, moments, side="right") - 1, 0, None)]

    velocity = (at(times) - at(times - interval)) / interval
    velocity[(times < ticks[0]) | (times > ticks[-1])] = np.nan
    return {"wheel_velocity": velocity, "wheel_speed": np.abs(velocity)}


def _trials(
    trials: pd.DataFrame, times: np.ndarray, interval: float, notes: list[tuple[str, str, int]]
) -> dict[str, np.ndarray]:
    """Which stimulus is on, and how far the trial has come."""
    columns = {name: np.zeros(len(times)) for name in (*STIMULI, "trial_phase")}
    needed = {"stimOn_times", "contrastLeft", "contrastRight"}
    if not needed <= set(trials):
        reason = "no trials recorded: stimulus types and trial phase are zero"
        notes.append(("stimulus", reason, len(times)))
        return columns
    on = trials["stimOn_times"].to_numpy(np.float64)
    feedback = first_known(trials, ["feedback_times", "response_times", "stimOff_times"], on + 1)
    off = first_known(trials, ["stimOff_times"], feedback)
    unknown = 0
    for trial, name in enumerate(_stimulus_names(trials)):
        if name is None:
            unknown += 1
        elif np.isfinite(on[trial]):
            columns[name][_during(times, interval, on[trial], off[trial])] = 1
    if unknown:
        notes.append(("stimulus", "trials of another contrast: no stimulus type is set", unknown))
    columns["trial_phase"] = _phase(trials, times, on, feedback)
    return columns


def _stimulus_names(trials: pd.DataFrame) -> list[str | None]:
    """Type of each trial; None for a contrast that is not among the nine types."""
    left, right = (trials[f"contrast{side}"].to_numpy(np.float64) for side in ("Left", "Right"))
    names: list[str | None] = []
    for sides in zip(left, right):
        shown = [(side, c) for side, c in zip(("left", "right"), sides) if c > 0]
        if not shown:
            names.append("stimulus_catch_trial")
            continue
        side, contrast = shown[0]
        known = [text for value, text in CONTRASTS.items() if np.isclose(value, contrast)]
        names.append(f"stimulus_{side}_{known[0]}" if known else None)
    return names


def _phase(
    trials: pd.DataFrame, times: np.ndarray, on: np.ndarray, feedback: np.ndarray
) -> np.ndarray:
    """0 between trials, 1/3 trial started, 2/3 stimulus on, 1 feedback until the trial's end.

    A fraction of the trial's length would tell a model when the trial is going to end.
    """
    start = first_known(trials, ["intervals_0"], on)
    end = first_known(trials, ["intervals_1"], feedback + 1)
    # The end comes first: where a trial starts as the last one ends, the start has the last word.
    events = [(end, "between"), (start, "started"), (on, "stimulus"), (feedback, "feedback")]
    moments = np.concatenate([moment for moment, _ in events])
    phases = np.concatenate([np.full(len(moment), PHASES[name]) for moment, name in events])
    known = np.isfinite(moments)
    moments, phases = moments[known], phases[known]
    order = np.argsort(moments, kind="stable")
    last = np.searchsorted(moments[order], times, side="right")
    return np.r_[PHASES["between"], phases[order]][last]


def _during(times: np.ndarray, interval: float, on: float, off: float) -> slice:
    """Frames in whose interval ``(t - interval, t]`` something was on."""
    return slice(*np.searchsorted(times, [on, off + interval], side="left"))


def _cameras(session: Any, times: np.ndarray, interval: float) -> dict[str, np.ndarray]:
    columns = {}
    if session.pupil is not None:
        samples = session.pupil[["time", "diameter"]].to_numpy(np.float64)
        columns["pupil_diameter"] = mean_before(*samples.T, times, interval)
    if session.motion_energy is not None:
        for camera, rows in session.motion_energy.groupby("camera"):
            samples = rows[["time", "value"]].to_numpy(np.float64)
            columns[f"motion_energy_{camera}"] = mean_before(*samples.T, times, interval)
    return columns


def _count(events: np.ndarray, times: np.ndarray, interval: float) -> np.ndarray:
    events = np.sort(events[np.isfinite(events)])
    stop = np.searchsorted(events, times, side="right")
    return stop - np.searchsorted(events, times - interval, side="right")


def _mean_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of what is known; 0 and 1 where nothing varies."""
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    spread = float(values.std())
    return float(values.mean()), spread if spread > 0 else 1.0
