"""Reading preprocessed sessions: HDF5 layout v2 (written here) and v1 (read only).

v2, one file per session::

    /activity (time, neuron) float32, contiguous: mapped into memory, never copied
    /timestamps (time,) s     /frame_mask (time,) bool     /split (time,) int8
    /neuron_mask (cell,) bool: which cells of the session were kept     /neurons/<column>
    /covariate_matrix (time, covariate)     /covariate_metadata/feature_names
    /normalization/{q005, q995, data_range} (neuron,): activity = (raw - q005) / data_range
    /trial_data/<name>     /metadata (attributes)     /quality_metrics/<column>
    /preprocessing_stats/{excluded, availability}/<column>
    /pyramid/level_<k> (time / 4^k, neuron)     /provenance (JSON text)

v1 holds ``/activity_matrix``, ``/timestamps`` and attributes of the root. A v2 file of another
program may lack what is listed without being needed to read the activity.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from utils.sessions.errors import SessionError, SessionNotFoundError

HASH_EXEMPT = ("provenance",)  # differs between two runs that give the same data
_LAYOUTS = {2: "activity", 1: "activity_matrix"}


class SessionFile:
    """A preprocessed session, read lazily; the file is open only while something is read.

    Raises
    ------
    SessionError
        Not HDF5, truncated, or of another layout; the message says what was found.
    SessionNotFoundError
        There is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._open() as file:
            self.version = _layout_of(file, self.path)
            matrix = file[_LAYOUTS[self.version]]
            _check_shapes(matrix, file["timestamps"], self.path)
            _check_order(file, self.path)
            self.n_frames, self.n_neurons = matrix.shape

    def __repr__(self) -> str:
        minutes = (self.timestamps[-1] - self.timestamps[0]) / 60 if self.n_frames else 0.0
        return (
            f"SessionFile({self.eid}: {self.n_neurons} neurons x {self.n_frames} frames, "
            f"{minutes:.1f} min, {self.frame_rate:.2f} Hz, {self.unit}"
            f"{', SIMULATED' if self.simulated else ''})"
        )

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """All attributes of the session: eid, subject, date, task_protocol, unit, source, ..."""
        with self._open() as file:
            holder = file if self.version == 1 else file.get("metadata", file)
            return {key: _plain(value) for key, value in holder.attrs.items()}

    @property
    def eid(self) -> str:
        """Experiment id."""
        return str(self.metadata.get("eid", "unknown"))

    @property
    def subject(self) -> str:
        """Name of the animal."""
        return str(self.metadata.get("subject", "unknown"))

    @property
    def source(self) -> str:
        """Where the recording came from: simulated, ibl, suite2p, or preprocessed (unknown)."""
        return str(self.metadata.get("source", "preprocessed"))

    @property
    def simulated(self) -> bool:
        """Whether the recording is simulated."""
        return bool(self.metadata.get("simulated", False))

    @property
    def unit(self) -> str:
        """What the activity is, e.g. ``dF/F, scaled by the 0-99.5 percentile``."""
        return str(self.metadata.get("unit", "unit unknown"))

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything but the provenance; empty in files of other programs."""
        return str(self.metadata.get("content_hash", ""))

    @cached_property
    def frame_rate(self) -> float:
        """Frames per second: 1 / median step of the timestamps."""
        return float(1.0 / np.median(np.diff(self.timestamps)))

    @cached_property
    def timestamps(self) -> np.ndarray:
        """``(time,)`` s, float64."""
        return self._read("timestamps").astype(np.float64)

    @cached_property
    def activity(self) -> np.ndarray:
        """``(time, neuron)`` read-only float32 with NaN where missing.

        A memory map where the data set is contiguous and uncompressed (all files written here),
        otherwise read into memory.
        """
        with self._open() as file:
            return _mapped(file[_LAYOUTS[self.version]], self.path)

    @cached_property
    def frame_mask(self) -> np.ndarray:
        """``(time,)`` bool: frames in which enough cells have a value."""
        if self._has("frame_mask"):
            return self._read("frame_mask").astype(bool)
        return np.isfinite(self.activity).any(axis=1)

    @cached_property
    def split(self) -> np.ndarray:
        """``(time,)`` int8 labels of :mod:`utils.splits`."""
        if not self._has("split"):
            raise SessionError(
                f"{self.path}: no /split: the file was not written by utils.preprocessing. "
                "Preprocess the recording, or make windows from its arrays with window_data(...)"
            )
        return self._read("split").astype(np.int8)

    @cached_property
    def neurons(self) -> pd.DataFrame:
        """One row per column of the activity: fov, roi, uuid, region, position, ..."""
        table = self._table("neurons")
        return table if len(table.columns) else pd.DataFrame(index=range(self.n_neurons))

    @cached_property
    def neuron_mask(self) -> np.ndarray:
        """``(cell,)`` bool: which cells of the session were kept."""
        if self._has("neuron_mask"):
            return self._read("neuron_mask").astype(bool)
        return np.ones(self.n_neurons, bool)

    @cached_property
    def covariates(self) -> np.ndarray | None:
        """``(time, covariate)`` float32, finite, or None."""
        if not self._has("covariate_matrix"):
            return None
        return self._read("covariate_matrix").astype(np.float32)

    @cached_property
    def covariate_names(self) -> list[str]:
        """Names of the covariates."""
        if not self._has("covariate_metadata/feature_names"):
            return []
        return _texts(self._read("covariate_metadata/feature_names"))

    @cached_property
    def trial_data(self) -> dict[str, np.ndarray]:
        """Trial columns, wheel position and times, as stored."""
        if not self._has("trial_data"):
            return {}
        with self._open() as file:
            return {name: _values(item) for name, item in file["trial_data"].items()}

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial; empty where there was no task."""
        data = self.trial_data
        with self._open() as file:
            columns = _columns(file["trial_data"]) if "trial_data" in file else []
        if not columns and "stimOn_times" in data:  # a file of another program
            n_trials = len(data["stimOn_times"])
            columns = [key for key, v in data.items() if v.shape == (n_trials,)]
        return pd.DataFrame({name: data[name] for name in columns})

    @cached_property
    def scaler(self) -> dict[str, Any]:
        """``method``, ``offset`` (neuron,), ``scale`` (neuron,): activity = (raw - offset)/scale.

        Empty where the file stores none.
        """
        if not self._has("normalization/data_range"):
            return {}
        with self._open() as file:
            group = file["normalization"]
            attributes = {key: _plain(value) for key, value in group.attrs.items()}
            return attributes | {
                "method": attributes.get("method", "percentile"),
                "offset": group["q005"][...],
                "scale": group["data_range"][...],
            }

    @cached_property
    def pyramid(self) -> list[np.ndarray]:
        """The activity at coarser and coarser time: item k has ``ceil(time / 4^k)`` rows.

        Item 0 is the activity itself; each further one is the mean of 4 rows, NaN left out.
        """
        with self._open() as file:
            names = sorted(file.get("pyramid", {}), key=lambda name: int(name.split("_")[1]))
            levels = [_mapped(file["pyramid"][name], self.path) for name in names]
        return [self.activity, *levels]

    @cached_property
    def quality(self) -> pd.DataFrame:
        """Quality of each neuron (training block): noise level, SNR, flags, ..."""
        return self._table("quality_metrics")

    @cached_property
    def excluded(self) -> pd.DataFrame:
        """What was left out and why: kind, item, reason, count."""
        return self._table("preprocessing_stats/excluded")

    @cached_property
    def availability(self) -> pd.DataFrame:
        """What the recording had and lacked: dataset, collection, found, required, consequence."""
        return self._table("preprocessing_stats/availability")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """How the file was made: config, versions, input hash, commit, wall time."""
        if not self._has("provenance"):
            return {}
        with self._open() as file:
            return json.loads(file["provenance"].asstr()[()])

    def _open(self) -> h5py.File:
        return open_hdf5(self.path)

    def _has(self, name: str) -> bool:
        with self._open() as file:
            return name in file

    def _read(self, name: str) -> np.ndarray:
        with self._open() as file:
            return _values(file[name])

    def _table(self, name: str) -> pd.DataFrame:
        with self._open() as file:
            if name not in file:
                return pd.DataFrame()
            group = file[name]
            return pd.DataFrame({key: _values(group[key]) for key in _columns(group)})


def load_activity_matrix(path: str | Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Activity ``(time, neuron)``, times ``(time,)`` s and metadata of a v1 or v2 file."""
    file = SessionFile(path)
    return np.array(file.activity), file.timestamps, dict(file.metadata)


def load_session_from_hdf5(path: str | Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Activity ``(time, neuron)``, times ``(time,)`` s and eid of a v1 or v2 file."""
    activity, times, metadata = load_activity_matrix(path)
    return activity, times, str(metadata.get("eid", "unknown"))


def verify(path: str | Path) -> bool:
    """Whether the contents of a v2 file still have the hash that was stored with them.

    Raises
    ------
    SessionError
        The file stores no hash.
    """
    stored = SessionFile(path).content_hash
    if not stored:
        raise SessionError(f"{path}: no content hash to compare with; only files of layout v2 have")
    return content_hash(path) == stored


def content_hash(path: str | Path) -> str:
    """SHA-256 over names, shapes, values and attributes of all but the provenance."""
    digest = hashlib.sha256()
    with open_hdf5(Path(path)) as file:
        names: list[str] = []
        file.visit(names.append)
        for name in sorted(names):
            if name.split("/")[0] not in HASH_EXEMPT:
                _feed(digest, name, file[name])
    return digest.hexdigest()


def open_hdf5(path: Path) -> h5py.File:
    """Open for reading; the error says whether the file is missing, foreign or truncated."""
    if not path.is_file():
        raise SessionNotFoundError(f"{path}: no such file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        kind = "truncated or damaged" if _is_hdf5(path) else "not an HDF5 file"
        raise SessionError(
            f"{path}: {kind} ({error}). Expected a session file of layout v1 or v2; "
            "copy it again, or preprocess the recording again"
        ) from None


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _layout_of(file: h5py.File, path: Path) -> int:
    for version, matrix in _LAYOUTS.items():
        if matrix in file and "timestamps" in file:
            return version
    raise SessionError(
        f"{path}: HDF5 of another layout: expected /activity (v2) or /activity_matrix (v1) and "
        f"/timestamps, found {', '.join('/' + key for key in file) or 'an empty file'}"
    )


def _check_shapes(matrix: h5py.Dataset, times: h5py.Dataset, path: Path) -> None:
    for item in (matrix, times):
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf":
            found = item.dtype if isinstance(item, h5py.Dataset) else "a group"
            raise SessionError(
                f"{path}: HDF5 of another layout: {item.name} must be numbers, found {found}"
            )
    if matrix.ndim != 2 or times.shape != (matrix.shape[0],):
        raise SessionError(
            f"{path}: {matrix.name} has shape {matrix.shape} and /timestamps {times.shape}; "
            "expected (time, neuron) and (time,); transpose a matrix that is (neuron, time)"
        )
    if len(times) < 2:
        raise SessionError(f"{path}: at least 2 frames expected, found {len(times)}")


def _check_order(file: h5py.File, path: Path) -> None:
    """Refuse a square matrix of which the file itself says that neurons come first."""
    described = str(_plain(file.attrs.get("shape_description", "")))
    if re.search("neuron.*time", described):
        raise SessionError(
            f"{path}: shape_description is '{described}'; expected (time, neuron). "
            "Transpose the matrix and write it with save_activity_matrix"
        )


def _mapped(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    offset = dataset.id.get_offset()  # None where chunked or never written
    if offset is None or dataset.dtype != np.dtype("<f4"):
        values = dataset[...].astype(np.float32)
        values.flags.writeable = False
        return values
    return np.memmap(path, dataset.dtype, "r", offset=offset, shape=dataset.shape)


def _values(dataset: h5py.Dataset) -> np.ndarray:
    """Values of a data set; texts as str."""
    if h5py.check_string_dtype(dataset.dtype) is None:
        return dataset[...]
    return dataset.asstr()[...]


def _columns(group: h5py.Group) -> list[str]:
    """Columns of a stored table in their order; none in files of other programs."""
    return json.loads(group.attrs.get("columns", "[]"))


def _texts(values: Any) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in np.atleast_1d(values)]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray) and value.size == 1:
        return value.item()
    return value.item() if isinstance(value, np.generic) else value


def _feed(digest: Any, name: str, item: h5py.Dataset | h5py.Group) -> None:
    """Add a data set or group with its attributes to a hash; the hash itself is left out."""
    attributes = {
        key: np.asarray(_plain(value)).tolist()
        for key, value in item.attrs.items()
        if key != "content_hash"
    }
    digest.update(json.dumps([name, attributes], sort_keys=True, default=str).encode())
    if not isinstance(item, h5py.Dataset):
        return
    digest.update(f"{item.dtype.str}{item.shape}".encode())
    if h5py.check_string_dtype(item.dtype) is not None:
        digest.update("\0".join(np.ravel(item.asstr()[...])).encode())
        return
    rows = max(2**26 // max(item.dtype.itemsize * int(np.prod(item.shape[1:])), 1), 1)
    for start in range(0, item.shape[0] if item.shape else 0, rows):
        digest.update(np.ascontiguousarray(item[start : start + rows]).data)
