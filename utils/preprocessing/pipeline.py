"""``preprocess``: a recording in, a session file (HDF5 v2) out.

The order matters. The clock and the split labels come first, so that every statistic (noise
floor, cell filter, scaler, covariate scaling) sees the training block only. Then each field of
view (FOV) is read, turned into dF/F, brought to the clock and put aside on disk, so that memory
holds one FOV at a time whatever the session's size.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from utils.config import config_hash
from utils.paths import sessions_dir
from utils.preprocessing.config import PreprocessConfig, resolve_config
from utils.preprocessing.covariates import build_covariates
from utils.preprocessing.memory import release_pages
from utils.preprocessing.provenance import RECIPE, fingerprint, make_provenance
from utils.preprocessing.quality import (
    excluded_cells,
    excluded_frames,
    filter_cells,
    masked_frames,
    quality_flags,
    require_cells,
)
from utils.preprocessing.scaling import ScaledRows, fit_scaler
from utils.preprocessing.traces import (
    Timeline,
    fov_activity,
    frames_with_data,
    make_timeline,
)
from utils.sessions.errors import SessionError
from utils.sessions.hdf5 import SessionFile
from utils.sessions.hdf5_write import SessionContents, write_session_file
from utils.splits import TRAIN, split_by_blocks

logger = logging.getLogger(__name__)

_ROWS = 1024  # rows of the matrix that are in memory at once


def preprocess(
    session: Any,
    config: str | Mapping[str, Any] | PreprocessConfig | None = None,
    overrides: Sequence[str] = (),
    *,
    output: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Turn a recording into a session file that windows and models read.

    Parameters
    ----------
    session : ``MesoscopeSession``, or a reference that ``open_session`` understands
        (``"small"``, an eid, a folder).
    config : option of ``3_MODELLING/experiments/preprocessing`` (default ``"default"``), a dict,
        or a :class:`PreprocessConfig`.
    overrides : changes of a named option, e.g. ``["scaling.method=zscore", "bin_frames=2"]``.
    output : path of the file; by default ``DATA/sessions/session_<eid>.h5``, with the hash of
        the config in its name where that is not the default one.
    progress : show progress bars.

    Returns
    -------
    Path of the file. A file of the same config and the same recording is returned as it is; so is
    the file of a session that was opened from one, unless other settings are asked for.

    Raises
    ------
    utils.config.ConfigError
        Wrong configuration.
    utils.sessions.errors.SessionError
        No clock, all frames bad, no cells after filtering, a recording too short to split.
    """
    config = resolve_config(config, overrides)
    session = _opened(session)
    if session.source == "preprocessed":
        return _stored_file(session, config, output)
    path = Path(output) if output is not None else default_output(session.eid, config)
    inputs = fingerprint(session)
    if _is_current(path, config, inputs):
        logger.info("%s is up to date", path)
        return path
    started = time.monotonic()
    timeline = make_timeline(session, config)
    labels = _split(session, timeline, config)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path.parent) as scratch:  # nameless: gone with the process
        activity, quality = _all_activity(session, timeline, labels, config, scratch, progress)
        contents = _contents(session, timeline, labels, activity, quality, config)
        provenance = make_provenance(config, inputs, time.monotonic() - started)
        contents = replace(contents, provenance=provenance)
        return write_session_file(path, contents, progress=progress)


def default_output(eid: str, config: PreprocessConfig) -> Path:
    """``DATA/sessions/session_<eid>.h5``, with the config's hash unless it is the default."""
    suffix = "" if config == PreprocessConfig() else f"_{config_hash(config)}"
    return sessions_dir() / f"session_{eid}{suffix}.h5"


def _opened(session: Any) -> Any:
    if isinstance(session, str | Path):
        from utils.load_meso_session import open_session  # the front door comes after this room

        session = open_session(session)
    return session


def _stored_file(session: Any, config: PreprocessConfig, output: Path | str | None) -> Path:
    """The file of a session that was opened from one, where that is what was asked for."""
    path = Path(session.session_path)
    made = SessionFile(path).provenance.get("config_hash")
    if made and output is None and config_hash(config) in (made, config_hash(PreprocessConfig())):
        return path
    raise SessionError(
        f"session {session.eid} is preprocessed already ({path}), "
        f"{'with other settings' if made else 'without a record of its settings'}; preprocess "
        "needs the recording to do it anew. load_windows(path) reads files with a split, "
        "window_data(...) any arrays"
    )


def _is_current(path: Path, config: PreprocessConfig, inputs: str) -> bool:
    if not path.exists():
        return False
    try:
        made = SessionFile(path).provenance
    except SessionError as error:
        logger.warning("%s is made anew: %s", path, error)
        return False
    wanted = {"config_hash": config_hash(config), "input_hash": inputs, "recipe": RECIPE}
    return wanted.items() <= made.items()


def _split(session: Any, timeline: Timeline, config: PreprocessConfig) -> np.ndarray:
    """Split labels of the stored frames ``(time,)``, before any statistic is computed."""
    valid = frames_with_data(session, timeline) >= config.min_valid_fraction
    if not valid.any():
        n_frames = len(timeline.times)
        raise SessionError(
            f"session {session.eid}: none of {n_frames} frames has values of at least "
            f"{config.min_valid_fraction:.0%} of the cells: all frames are bad or flagged, or "
            "the session has no cell. See the FOVs' bad_frames and frame_qc, or lower "
            "min_valid_fraction"
        )
    gap = config.split.max_window_frames
    if config.split.gap_s is not None:
        gap = int(np.ceil(config.split.gap_s / timeline.interval - 1e-6))
    try:
        return split_by_blocks(
            timeline.times,
            config.split.fractions,
            gap,
            valid=valid,
            passive=session.passive,
            trial_starts=_trial_block_starts(session) if config.split.by != "time" else None,
        )
    except ValueError as error:
        raise SessionError(f"session {session.eid}: {error}") from None


def _trial_block_starts(session: Any) -> np.ndarray:
    """Times at which the task's probability of left and right changes, s."""
    trials = session.trials
    needed = {"probabilityLeft", "stimOn_times"}
    if not needed <= set(trials):
        raise SessionError(
            f"session {session.eid}: split.by=trial_block needs the trial columns "
            f"{' and '.join(sorted(needed))}, found {', '.join(trials) or 'no trials'}; "
            "use split.by=time"
        )
    start = trials["intervals_0" if "intervals_0" in trials else "stimOn_times"].to_numpy()
    changes = np.flatnonzero(np.diff(trials["probabilityLeft"].to_numpy(np.float64))) + 1
    return start[changes]


def _all_activity(
    session: Any,
    timeline: Timeline,
    labels: np.ndarray,
    config: PreprocessConfig,
    scratch: Any,
    progress: bool,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Activity of all cells, unscaled, on disk; and quality and scaler of each, in a table."""
    n_cells = sum(len(fov.cell_indices) for fov in session.fovs)
    shape = (len(timeline.times), n_cells)
    activity = np.memmap(scratch, np.float32, "w+", shape=shape)
    tables, first = [], 0
    for fov in tqdm(session.fovs, desc="dF/F", unit="FOV", disable=not progress, leave=False):
        values, quality = fov_activity(fov, timeline, labels, config)
        offset, scale = fit_scaler(values[labels == TRAIN], config.scaling)
        tables.append(quality.assign(offset=offset, scale=scale))
        activity[:, first : first + values.shape[1]] = values
        first += values.shape[1]
        release_pages(activity, fov.roi_activity, fov.neuropil_activity, fov.deconvolved_activity)
    return activity, pd.concat(tables, ignore_index=True)


def _contents(
    session: Any,
    timeline: Timeline,
    labels: np.ndarray,
    activity: np.ndarray,
    quality: pd.DataFrame,
    config: PreprocessConfig,
) -> SessionContents:
    neurons = session.neurons.reset_index(drop=True)
    scale = quality.pop("scale").to_numpy()
    offset = quality.pop("offset").to_numpy()
    probability = neurons["cell_probability"].to_numpy(np.float64)
    reasons = filter_cells(quality, scale, probability, config.cells)
    kept = reasons == ""
    require_cells(kept, reasons, session.eid)
    frame_mask = _valid_frames(activity, kept, config.min_valid_fraction)
    training = frame_mask & (labels == TRAIN)
    covariates = build_covariates(session, timeline.times, timeline.interval, training)
    excluded = [
        excluded_frames(session, timeline.clock.times[-1]),
        masked_frames(frame_mask, config.min_valid_fraction),
        excluded_cells(neurons, reasons),
        covariates.notes,
    ]
    neurons["flags"] = quality_flags(quality, neurons["flags"])
    return SessionContents(
        activity=ScaledRows(activity, kept, offset[kept], scale[kept]),
        timestamps=timeline.times,
        frame_mask=frame_mask,
        split=labels,
        neurons=neurons[kept].reset_index(drop=True),
        neuron_mask=kept,
        metadata=_metadata(session, config),
        scaler=_scaler(config, offset[kept], scale[kept]),
        covariates=covariates.values,
        covariate_names=covariates.names,
        covariate_scaler={"offset": covariates.offset, "scale": covariates.scale},
        trials=session.trials,
        trial_data=_trial_arrays(session, covariates),
        quality=quality[kept].reset_index(drop=True),
        excluded=pd.concat(excluded, ignore_index=True),
        availability=session.availability,
    )


def _valid_frames(activity: np.ndarray, kept: np.ndarray, min_fraction: float) -> np.ndarray:
    """Frames in which enough of the kept cells have a value, ``(time,)`` bool."""
    columns = np.flatnonzero(kept)
    share = np.empty(len(activity))
    for start in range(0, len(activity), _ROWS):
        rows = slice(start, start + _ROWS)
        share[rows] = np.isfinite(activity[rows][:, columns]).mean(axis=1)
        release_pages(activity)
    return share >= min_fraction


def _scaler(config: PreprocessConfig, offset: np.ndarray, scale: np.ndarray) -> dict[str, Any]:
    return {
        "method": config.scaling.method,
        "lower_percentile": config.scaling.low,
        "upper_percentile": config.scaling.high,
        "fitted_on": "training block",
        "offset": offset,
        "scale": scale,
    }


def _metadata(session: Any, config: PreprocessConfig) -> dict[str, Any]:
    return {
        "eid": session.eid,
        "subject": session.subject,
        "date": session.date,
        "task_protocol": session.task_protocol,
        "duration_hours": session.duration_hours,
        "duration_seconds": session.duration_seconds,
        "source": session.source,
        "simulated": bool(session.is_simulated),
        "rate_is_nominal": bool(session.rate_is_nominal),
        "unit": config.unit,
        "causal": config.causal,
        "n_total_neurons": session.n_total_neurons,
    }


def _trial_arrays(session: Any, covariates: Any) -> dict[str, np.ndarray]:
    """Arrays beside the trials table that readers of the published layout expect."""
    arrays = {}
    if session.wheel_position is not None:
        wheel = covariates.names.index("wheel_velocity")
        velocity = covariates.values[:, wheel] * covariates.scale[wheel] + covariates.offset[wheel]
        arrays["wheel_position"] = np.asarray(session.wheel_position)
        arrays["wheel_timestamps"] = np.asarray(session.wheel_timestamps)
        arrays["aligned_wheel_velocity"] = velocity
    if {"intervals_0", "intervals_1"} <= set(session.trials):
        arrays["intervals"] = session.trials[["intervals_0", "intervals_1"]].to_numpy()
    return arrays
