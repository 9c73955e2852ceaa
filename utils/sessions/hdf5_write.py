"""Writing preprocessed sessions: HDF5 layout v2, and the plain v1 matrix.

A file is written under a temporary name in the same folder, read back once for its content hash,
and renamed: a killed process leaves either the old file or the new one, never half of one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from utils.paths import atomic_file
from utils.sessions.hdf5 import SessionFile, content_hash

PYRAMID_FACTOR = 4
_BLOCK = PYRAMID_FACTOR**5  # rows written at once; a multiple of every level's step
_COARSEST = 256  # rows below which no further level is made


class Rows(Protocol):
    """Activity that can be read block by block: an array, a memory map, or computed rows."""

    shape: tuple[int, int]

    def __getitem__(self, rows: slice) -> np.ndarray: ...


@dataclass(frozen=True)
class SessionContents:
    """What a v2 file holds. Times in seconds; T frames, N kept neurons, M cells, C covariates."""

    activity: Rows  # (T, N) float32, NaN where missing
    timestamps: np.ndarray  # (T,)
    frame_mask: np.ndarray  # (T,) bool
    split: np.ndarray  # (T,) int8
    neurons: pd.DataFrame  # N rows
    metadata: Mapping[str, Any]  # eid, subject, date, unit, source, simulated, ...
    scaler: Mapping[str, Any]  # method, offset (N,), scale (N,) and settings
    neuron_mask: np.ndarray  # (M,) bool
    covariates: np.ndarray | None = None  # (T, C)
    covariate_names: Sequence[str] = ()
    covariate_scaler: Mapping[str, np.ndarray] = field(default_factory=dict)  # offset, scale (C,)
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    trial_data: Mapping[str, np.ndarray] = field(default_factory=dict)  # wheel and the like
    quality: pd.DataFrame = field(default_factory=pd.DataFrame)
    excluded: pd.DataFrame = field(default_factory=pd.DataFrame)
    availability: pd.DataFrame = field(default_factory=pd.DataFrame)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def write_session_file(
    path: str | Path, contents: SessionContents, *, progress: bool = False
) -> Path:
    """Write a v2 file atomically; the activity is streamed in blocks of rows.

    Raises
    ------
    ValueError
        Lengths that disagree. The file of that name, if there is one, stays as it was.
    """
    _check_lengths(contents)
    path = Path(path)
    with atomic_file(path) as temporary:
        # Large data sets start at a page, so that they can be mapped and shared with torch.
        with h5py.File(temporary, "w", alignment_threshold=4096, alignment_interval=4096) as file:
            _write_activity(file, contents.activity, progress)
            _write_rest(file, contents)
        digest = content_hash(temporary)
        with h5py.File(temporary, "r+") as file:
            file["metadata"].attrs["content_hash"] = digest
        SessionFile(temporary)
    return path


def save_activity_matrix(
    path: str | Path,
    activity: np.ndarray,
    timestamps: np.ndarray,
    metadata: Mapping[str, Any],
    *,
    compression: str | None = "gzip",
) -> Path:
    """Write a v1 file: activity ``(time, neuron)``, times ``(time,)`` s, attributes."""
    path = Path(path)
    if len(activity) != len(timestamps):
        raise ValueError(f"{path}: {len(activity)} frames of activity, {len(timestamps)} times")
    with atomic_file(path) as temporary, h5py.File(temporary, "w") as file:
        compression = compression if np.size(activity) else None
        file.create_dataset("activity_matrix", data=activity, compression=compression)
        file.create_dataset("timestamps", data=timestamps)
        file.attrs.update({key: _storable(value) for key, value in metadata.items()})
        file.attrs["shape_description"] = "activity_matrix: (time_points, neurons)"
    return path


def _check_lengths(contents: SessionContents) -> None:
    n_frames, n_neurons = contents.activity.shape
    found = {
        "timestamps": (len(contents.timestamps), n_frames),
        "frame_mask": (len(contents.frame_mask), n_frames),
        "split": (len(contents.split), n_frames),
        "neurons": (len(contents.neurons), n_neurons),
        "scaler offset": (len(contents.scaler["offset"]), n_neurons),
        "scaler scale": (len(contents.scaler["scale"]), n_neurons),
        "neuron_mask": (int(np.sum(contents.neuron_mask)), n_neurons),
    }
    if contents.covariates is not None:
        found["covariates"] = (len(contents.covariates), n_frames)
        found["covariate names"] = (len(contents.covariate_names), contents.covariates.shape[1])
    for name, (length, expected) in found.items():
        if length != expected:
            raise ValueError(
                f"{name}: {length} entries, but {expected} are expected for activity of shape "
                f"{n_frames} frames x {n_neurons} neurons"
            )


def _write_activity(file: h5py.File, activity: Rows, progress: bool) -> None:
    """The activity and its time pyramid, one block of rows at a time."""
    n_frames, n_neurons = activity.shape
    full = file.create_dataset("activity", (n_frames, n_neurons), "<f4")
    levels, rows = [], n_frames
    while (rows := -(-rows // PYRAMID_FACTOR)) >= _COARSEST and len(levels) < 5:
        name = f"pyramid/level_{len(levels) + 1}"
        levels.append(file.create_dataset(name, (rows, n_neurons), "<f4"))
    starts = range(0, n_frames, _BLOCK)
    for start in tqdm(starts, desc="writing", unit="block", disable=not progress, leave=False):
        block = np.asarray(activity[start : start + _BLOCK], dtype=np.float32)
        full[start : start + len(block)] = block
        for level in levels:
            start //= PYRAMID_FACTOR
            block = coarser(block)
            level[start : start + len(block)] = block


def coarser(block: np.ndarray) -> np.ndarray:
    """Mean over 4 rows, NaN left out: ``(ceil(time / 4), neuron)`` float32."""
    missing_rows = -len(block) % PYRAMID_FACTOR
    if missing_rows:
        block = np.concatenate([block, np.full((missing_rows, block.shape[1]), np.nan, "f4")])
    groups = block.reshape(-1, PYRAMID_FACTOR, block.shape[1])
    present = np.isfinite(groups)
    counts = present.sum(axis=1)
    total = np.where(present, groups, 0).sum(axis=1)
    return np.where(counts, total / np.maximum(counts, 1), np.nan).astype(np.float32)


def _write_rest(file: h5py.File, contents: SessionContents) -> None:
    file["timestamps"] = np.asarray(contents.timestamps, dtype=np.float64)
    file["frame_mask"] = np.asarray(contents.frame_mask, dtype=bool)
    file["split"] = np.asarray(contents.split, dtype=np.int8)
    file["neuron_mask"] = np.asarray(contents.neuron_mask, dtype=bool)
    if contents.covariates is not None:
        file["covariate_matrix"] = np.asarray(contents.covariates, dtype=np.float32)
        names = file.create_group("covariate_metadata")
        names["feature_names"] = [name.encode() for name in contents.covariate_names]
        for name, values in contents.covariate_scaler.items():
            names[name] = np.asarray(values)
    _write_scaler(file.create_group("normalization"), contents.scaler)
    _write_trials(file.create_group("trial_data"), contents)
    _write_table(file.create_group("neurons"), contents.neurons)
    _write_table(file.create_group("quality_metrics"), contents.quality)
    _write_table(file.create_group("preprocessing_stats/excluded"), contents.excluded)
    _write_table(file.create_group("preprocessing_stats/availability"), contents.availability)
    metadata = file.create_group("metadata")
    metadata.attrs.update({key: _storable(value) for key, value in contents.metadata.items()})
    metadata.attrs["layout_version"] = 2
    file["provenance"] = json.dumps(dict(contents.provenance), default=str)


def _write_scaler(group: h5py.Group, scaler: Mapping[str, Any]) -> None:
    offset, scale = (np.asarray(scaler[key], dtype=np.float32) for key in ("offset", "scale"))
    group["q005"], group["data_range"], group["q995"] = offset, scale, offset + scale
    rest = {key: value for key, value in scaler.items() if key not in ("offset", "scale")}
    group.attrs.update({key: _storable(value) for key, value in rest.items()})


def _write_trials(group: h5py.Group, contents: SessionContents) -> None:
    _write_table(group, contents.trials)
    for name, values in contents.trial_data.items():
        if name not in group:
            group[name] = np.asarray(values)


def _write_table(group: h5py.Group, table: pd.DataFrame) -> None:
    """One data set per column; texts as UTF-8, what is not a number as text."""
    group.attrs["columns"] = json.dumps([str(name) for name in table.columns])
    for name in table.columns:
        values = table[name].to_numpy()
        if values.dtype.kind not in "fiub":
            texts = ["" if pd.isna(value) else str(value) for value in values]
            values = np.array(texts, dtype=object)
            group.create_dataset(str(name), data=values, dtype=h5py.string_dtype())
        else:
            group[str(name)] = values


def _storable(value: Any) -> Any:
    """Attributes hold numbers and texts; None becomes an empty text, the rest text."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float | str | np.generic | np.ndarray):
        return value
    return json.dumps(value) if isinstance(value, list | tuple | dict) else str(value)
