"""Preprocessed HDF5 files seen as sessions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from utils.sessions.availability import Availability
from utils.sessions.fov import FieldsOfView, FOVData
from utils.sessions.hdf5 import SessionFile


def session_fields(file: SessionFile) -> dict[str, Any]:
    """Fields of a `MesoscopeSession` from an open session file; the activity stays on disk."""
    availability, metadata, data = file.availability, file.metadata, file.trial_data
    return {
        "eid": file.eid,
        "subject": file.subject,
        "date": str(metadata.get("date", "unknown")),
        "task_protocol": str(metadata.get("task_protocol", "")),
        "source": "preprocessed",
        "session_path": file.path,
        "is_simulated": file.simulated,
        "raw_activity": False,  # scaled dF/F or deconvolved: no fluorescence to make dF/F of
        "fovs": FieldsOfView(stored_fovs(file)),
        "rate_is_nominal": bool(metadata.get("rate_is_nominal", False)),
        "availability": availability if len(availability) else Availability().to_frame(),
        "trials": file.trials,
        "wheel_position": data.get("wheel_position"),
        "wheel_timestamps": data.get("wheel_timestamps"),
    }


def stored_fovs(file: SessionFile) -> list[FOVData]:
    """The neurons of a session file grouped by FOV; all share one clock."""
    neurons = file.neurons
    groups = neurons.groupby("fov", sort=False).indices if "fov" in neurons else {}
    groups = groups or {"all": np.arange(file.activity.shape[1])}
    return [_stored_fov(file, str(name), columns) for name, columns in groups.items()]


def _stored_fov(file: SessionFile, name: str, columns: np.ndarray) -> FOVData:
    rows = file.neurons.iloc[columns]
    return FOVData(
        fov_name=name,
        collection=name,
        raw_activity=False,
        roi_activity=lambda: file.activity[:, columns],
        timestamps=file.timestamps,
        bad_frames=~file.frame_mask,
        uuids=_values(rows, ["uuid"]),
        brain_locations=_values(rows, ["region_id"]),
        mlapdv=_values(rows, ["ml", "ap", "dv"]),
        stack_pos=_values(rows, ["row", "column"]),
        cell_probability=_values(rows, ["cell_probability"]),
    )


def _values(rows: pd.DataFrame, columns: list[str]) -> np.ndarray | None:
    if not set(columns) <= set(rows.columns):
        return None
    values = rows[columns].to_numpy()
    return values[:, 0] if len(columns) == 1 else values
