"""The visual cells of a mesoscope session as a V1 recording: what was shown, done and answered.

A bin is the interval that ends at a frame of the session's clock, ``(t - interval, t]``: the
activity of that frame answers to it. The stimulus is the mean of what was on the screen then.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from utils.config import ConfigError, near_matches
from utils.datasets.v1.config import V1DatasetConfig, V1Source
from utils.datasets.v1.dataset import describe_recordings
from utils.datasets.v1.recording import V1Recording, as_recording
from utils.datasets.v1.screen import DEFAULT_SCREEN, Screen, noise_interval, shown_frames
from utils.datasets.v1.splits import split_trials
from utils.datasets.v1.transforms import ZScore
from utils.preprocessing.covariates import movement_columns
from utils.sessions.clock import GAP_TOLERANCE, resample_to_clock
from utils.splits import TRAIN

logger = logging.getLogger(__name__)

Response = Literal["deconvolved", "dff"]
STIM_TYPES = ["grey", "task", "noise"]
GREY, TASK, NOISE = range(3)
MOVEMENTS = ("wheel_velocity", "wheel_speed", "pupil_diameter", "motion_energy", "lick_rate")


def mesoscope_recording(
    session: Any,
    areas: Sequence[str] | None = None,
    *,
    response: Response = "deconvolved",
    screen: Screen = DEFAULT_SCREEN,
    stretch_s: float = 30.0,
) -> V1Recording:
    """The cells of visual areas, with what the mouse saw and did.

    Parameters
    ----------
    session : a ``MesoscopeSession`` with its traces, not a preprocessed file.
    areas : acronyms, such as VISp; by default all visual areas.
    response : deconvolved activity as it is stored, or dF/F.
    screen : grid of the stimulus; up to 60 deg to all sides by default.
    stretch_s : task, sparse noise and grey are cut into pieces about so long (and at each gap),
        the trials of the recording: a split deals them out, and no lag reaches across their ends.

    Returns
    -------
    Of types ``grey``, ``task`` and ``noise``. ``cell_ids`` are rows of ``session.neurons``; further
    metadata are ``areas``, one for each cell, ``response``, ``movements`` (columns of behaviour)
    and ``missing``, a list of what the session lacks or what was left out.

    Raises
    ------
    ConfigError
        The session has no such area, or no deconvolved activity.
    """
    times, interval = session.timestamps, session.clock.frame_interval
    cells = visual_cells(session, areas)
    activity = _activity(session, cells, times, response)
    changes = _changes(activity)
    behavior, movements, gaps = _behavior(session, times, interval)
    missing = [*_missing_stimuli(session), *gaps, *_left_out(cells[~changes])]
    for line in missing:
        logger.info("session %s: %s", session.eid, line)
    cells, activity = cells[changes], activity[:, changes]
    kind = _kinds(session, times, interval)
    arrays = {
        "stim": shown_frames(session, times, interval, screen),
        "robs": np.nan_to_num(activity),
        "valid": np.isfinite(activity),
        "trial_inds": stretches(kind, times, interval, stretch_s),
        "t_bins": times - interval / 2,
        "stim_type": kind,
        "behavior": behavior,
    }
    metadata = {
        "name": f"session_{str(session.eid)[:8]}",
        "rate_hz": 1 / interval,
        "px_per_deg": screen.px_per_deg,
        "cell_ids": cells.tolist(),
        "stim_types": STIM_TYPES,
        "simulated": session.is_simulated,
        "areas": session.neurons["region"].iloc[cells].tolist(),
        "response": response,
        "movements": movements,
        "missing": missing,
    }
    return as_recording({**arrays, **metadata})


def describe_session(recording: V1Recording, **settings: Any) -> V1DatasetConfig:
    """Configuration with all cells of :func:`mesoscope_recording`, and each of its movements.

    Parameters
    ----------
    settings : of :class:`V1DatasetConfig`; ``n_lags`` has to be shorter than a stretch.
    """
    behavior = [
        V1Source(key="behavior", columns=(column,), transforms=(ZScore(),))
        for column in range(len(recording.metadata["movements"]))
    ]
    return describe_recordings([recording], **{"behavior": behavior, **settings})[0]


def in_training_units(recording: V1Recording, config: V1DatasetConfig) -> V1Recording:
    """Responses over their root mean square in the training trials of a data set, cell by cell.

    Deconvolved activity has units of its own for each cell, and a core that is shared asks for
    alike ones. What was divided by is the metadata's ``unit``.
    """
    trials = recording.trials[split_trials(recording.trial_types, config) == TRAIN]
    train = np.concatenate([np.arange(*trial) for trial in trials])
    valid = np.broadcast_to(recording.valid, recording.robs.shape)[train]
    squares = np.where(valid, recording.robs[train], 0).astype(np.float64) ** 2
    unit = np.sqrt(squares.sum(axis=0) / np.maximum(valid.sum(axis=0), 1))
    unit = np.where(unit > 0, unit, 1.0)
    metadata = {**recording.metadata, "unit": unit.tolist()}
    return replace(recording, robs=(recording.robs / unit).astype(np.float32), metadata=metadata)


def visual_cells(session: Any, areas: Sequence[str] | None = None) -> NDArray[np.int64]:
    """(cell,) rows of ``session.neurons`` in the named areas, by default in all visual ones.

    Raises
    ------
    ConfigError
        No cell lies there.
    """
    regions = session.neurons["region"].to_numpy(str)
    known = sorted(set(regions.tolist()))
    for name in areas or ():
        if name not in known:
            raise ConfigError(
                f"session {session.eid} has no area '{name}'{near_matches(name, known)}"
            )
    inside = np.char.startswith(regions, "VIS") if areas is None else np.isin(regions, areas)
    if not inside.any():
        raise ConfigError(
            f"session {session.eid} has no cells in visual areas; areas: {', '.join(known)}"
        )
    return np.flatnonzero(inside)


def stretches(
    kind: NDArray[np.integer], times: NDArray[np.floating], interval: float, seconds: float
) -> NDArray[np.int64]:
    """(time,) number of the stretch: of one kind, without a gap, about so many seconds long."""
    new = (np.diff(kind) != 0) | (np.diff(times) > GAP_TOLERANCE * interval)
    runs = np.split(np.arange(len(kind)), np.flatnonzero(new) + 1)
    n_pieces = [max(round(len(run) * interval / seconds), 1) for run in runs]
    pieces = [part for run, n in zip(runs, n_pieces) for part in np.array_split(run, n)]
    return np.repeat(np.arange(len(pieces)), [len(part) for part in pieces])


def _activity(
    session: Any, cells: NDArray[np.integer], times: NDArray[np.floating], response: Response
) -> NDArray[np.float32]:
    """(time, cell) on the session's clock, NaN where there is none; one FOV at a time."""
    neurons = session.neurons.iloc[cells]
    activity = np.empty((len(times), len(cells)), np.float32)
    for fov in session.fovs:
        columns = np.flatnonzero((neurons["fov"] == fov.fov_name).to_numpy())
        rois = neurons["roi"].to_numpy(np.int64)[columns]
        if not len(rois):
            continue
        activity[:, columns] = resample_to_clock(
            fov.compute_dff(rois=rois) if response == "dff" else _deconvolved(fov)[:, rois],
            fov.timestamps,
            fov.roi_time_offsets[rois],
            fov.good_frame_mask,
            times,
        )
    return activity


def _deconvolved(fov: Any) -> NDArray:
    if fov.deconvolved_activity is None:
        raise ConfigError(
            f"{fov.fov_name}: no deconvolved activity (see session.availability); "
            "use response='dff'"
        )
    return fov.deconvolved_activity


def _changes(activity: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(cell,) whether there is anything to predict."""
    first = np.nanmax(activity, axis=0, initial=-np.inf)
    return first > np.nanmin(activity, axis=0, initial=np.inf)


def _kinds(session: Any, times: NDArray[np.floating], interval: float) -> NDArray[np.int8]:
    """(time,) task, sparse noise, or neither."""
    kind = np.full(len(times), GREY, np.int8)
    if session.intervals is not None and len(session.intervals):
        start, stop = np.nanmin(session.intervals), np.nanmax(session.intervals)
        kind[(times >= start) & (times <= stop)] = TASK
    if session.noise_times is not None:
        start, stop = session.noise_times[0], session.noise_times[-1]
        kind[(times > start) & (times - interval < stop + noise_interval(session.noise_times))] = (
            NOISE
        )
    return kind


def _behavior(
    session: Any, times: NDArray[np.floating], interval: float
) -> tuple[NDArray[np.float32] | None, list[str], list[str]]:
    """(time, column) movements, their names, and what was missing.

    Where the wheel was not read (in the passive bout) it counts as at rest; else the last known
    value stands in.
    """
    columns = movement_columns(session, times, interval)
    missing = []
    for kind in MOVEMENTS:
        if not any(name.startswith(kind) for name in columns):
            missing.append(f"{kind} was not recorded")
    for name, values in columns.items():
        unknown = np.isnan(values)
        if unknown.any():
            stand_in = "0" if name.startswith("wheel") else "the last known value"
            missing.append(f"{name} is not known in {unknown.sum()} bins: {stand_in}")
        filled = pd.Series(values)
        filled = filled.fillna(0) if name.startswith("wheel") else filled.ffill().bfill()
        columns[name] = filled.to_numpy(np.float32)
    together = np.stack([*columns.values()], axis=1) if columns else None
    return together, list(columns), missing


def _missing_stimuli(session: Any) -> list[str]:
    """What cannot be on the frames."""
    missing = []
    if not {"stimOn_times", "contrastLeft", "contrastRight"} <= set(session.trials):
        missing.append("no trials: the task's gratings are not shown")
    elif session.wheel_position is None:
        missing.append("no wheel: gratings stay where they appear")
    if session.noise_frames is None:
        missing.append("no sparse noise: receptive fields rest on the task alone")
    return missing


def _left_out(cells: NDArray[np.integer]) -> list[str]:
    return (
        [f"cells that never change are left out: {', '.join(map(str, cells))}"]
        if len(cells)
        else []
    )
