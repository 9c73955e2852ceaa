"""The front door: one mesoscope session, wherever it comes from.

>>> from utils.load_meso_session import open_session
>>> session = open_session("small")          # simulated on first use
>>> session.availability                     # what is there, what is missing, what that costs
>>> activity, times = session.get_activity_matrix()

`MesoscopeSession.from_eid` reads a session through any ONE object (local cache or server),
`from_suite2p` a suite2p folder, `from_preprocessed` an HDF5 file; `open_session` takes any of
these references. Traces are memory maps that are read one field of view (FOV) at a time.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, PrivateAttr, field_validator

from utils.paths import TRUTH_FOLDER, one_cache_dir
from utils.sessions import alf, hdf5, hdf5_write
from utils.sessions.aligned import cells_on_clock, frames_in_window
from utils.sessions.availability import Availability, missing_summary
from utils.sessions.behaviour import Behaviour, read_behaviour
from utils.sessions.clock import Clock, common_clock
from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.fov import FieldsOfView, FOVData, TimeWindow
from utils.sessions.lookup import (
    eid_in_csv,
    is_eid,
    local_one,
    session_details,
    unknown_reference,
    unknown_session,
)
from utils.sessions.preprocessed import session_fields
from utils.sessions.suite2p import is_suite2p, read_suite2p

__all__ = [
    "FOVData",
    "MesoscopeSession",
    "SessionError",
    "load_activity_matrix",
    "load_session_from_hdf5",
    "open_session",
]


class MesoscopeSession(Behaviour):
    """One recording: fields of view, behaviour, and a table of what was found.

    Matrices are ``(time, neuron)`` float32 on one clock, in seconds from the session's start;
    NaN where there is no measurement.
    """

    eid: str
    subject: str = "unknown"
    date: str = "unknown"
    task_protocol: str = ""
    source: Literal["simulated", "ibl", "suite2p", "preprocessed"]
    is_simulated: bool = False
    raw_activity: bool = True
    rate_is_nominal: bool = Field(False, description="the frame rate was given, not measured")
    session_path: Path | None = None
    fovs: FieldsOfView
    availability: pd.DataFrame

    _stored: hdf5.SessionFile | None = PrivateAttr(None)

    @field_validator("fovs", mode="before")
    @classmethod
    def _as_fields_of_view(cls, fovs: Any) -> Any:
        return FieldsOfView(fovs) if isinstance(fovs, dict | list | tuple) else fovs

    # ---- where sessions come from

    @classmethod
    def from_eid(
        cls, one: Any, eid: str, raw_activity: bool = True, max_fovs: int | None = None
    ) -> MesoscopeSession:
        """Read an IBL session through any ONE object, local or server.

        Parameters
        ----------
        one : ``One(cache_dir=...)``, ``ONE(base_url=...)`` or anything that lists and loads alike.
        eid : session id.
        raw_activity : True for fluorescence F, False for deconvolved activity.
        max_fovs : read only the first FOVs.

        Raises
        ------
        SessionError
            Unknown eid (with near matches); a missing trace or clock; a truncated file; lengths
            that disagree. Other missing data sets are noted in ``availability``.
        """
        eid = str(eid)
        try:
            source = alf.OneSource(one, eid)
            session_path = one.eid2path(eid)
            details = session_details(one, eid, session_path)
        except Exception as error:  # ONE raises its own, the server's and the network's errors
            raise unknown_session(one, eid, error) from error
        if not source.datasets:
            raise unknown_session(one, eid)
        return cls._from_alf(source, eid, details, session_path, raw_activity, max_fovs)

    @classmethod
    def from_folder(
        cls, folder: Path | str, raw_activity: bool = True, max_fovs: int | None = None
    ) -> MesoscopeSession:
        """Read a session folder ``<lab>/Subjects/<subject>/<date>/<number>`` without ONE."""
        folder = Path(folder).resolve()
        if not (folder / "alf").is_dir():
            raise SessionNotFoundError(f"{folder} is no session folder: it has no folder alf")
        details = session_details(None, "", folder)
        source = alf.FolderSource(folder)
        return cls._from_alf(source, details["eid"], details, folder, raw_activity, max_fovs)

    @classmethod
    def from_csv(
        cls, one: Any, csv: Path | str, index: int | str = 0, **options: Any
    ) -> MesoscopeSession:
        """Read the session in row ``index`` (a number from 0, or an eid) of a csv of sessions.

        The csv is one that ``python -m utils.sessions find`` writes; it must have a column
        ``eid``. ``options`` are those of `from_eid`.
        """
        return cls.from_eid(one, eid_in_csv(csv, index), **options)

    @classmethod
    def from_suite2p(
        cls, folder: Path | str, sampling_rate: float | None = None, raw_activity: bool = True
    ) -> MesoscopeSession:
        """Read suite2p output: a plane folder or the parent of ``plane0, plane1, ...``.

        The rate (Hz) is that of ``ops.npy``, else ``sampling_rate``, else time counts frames with
        a warning. ``raw_activity`` is True for F, False for spks.
        """
        availability = Availability()
        recording = read_suite2p(folder, sampling_rate, raw_activity, availability)
        return cls(
            eid=recording.eid,
            subject=recording.name,
            source="simulated" if recording.is_simulated else "suite2p",
            raw_activity=raw_activity,
            is_simulated=recording.is_simulated,
            rate_is_nominal=recording.rate_is_nominal,
            session_path=Path(folder),
            fovs=FieldsOfView(recording.fovs),
            availability=availability.to_frame(),
        )

    @classmethod
    def from_preprocessed(cls, path: Path | str) -> MesoscopeSession:
        """Open an HDF5 session file (v2, or the older v1) that `preprocess` or `save_*` wrote."""
        file = hdf5.SessionFile(path)
        session = cls(**session_fields(file))
        session._stored = file
        return session

    @classmethod
    def _from_alf(
        cls,
        source: alf.Source,
        eid: str,
        details: dict[str, str],
        session_path: Path | None,
        raw_activity: bool,
        max_fovs: int | None,
    ) -> MesoscopeSession:
        availability = Availability()
        fovs = alf.read_fovs(source, eid, raw_activity, max_fovs, availability)
        behaviour = read_behaviour(source, availability)
        simulated = session_path is not None and (Path(session_path) / TRUTH_FOLDER).is_dir()
        return cls(
            eid=eid,
            subject=details["subject"],
            date=details["date"],
            task_protocol=details["task_protocol"],
            source="simulated" if simulated else "ibl",
            is_simulated=simulated,
            raw_activity=raw_activity,
            session_path=session_path,
            fovs=FieldsOfView(fovs),
            availability=availability.to_frame(),
            **behaviour,
        )

    def __repr__(self) -> str:
        origin = "SIMULATED" if self.is_simulated else self.source
        unit = "nominal " if self.rate_is_nominal else ""
        fovs = "1 FOV" if self.n_fovs == 1 else f"{self.n_fovs} FOVs"
        missing = missing_summary(self.availability)
        return (
            f"MesoscopeSession({origin}, {self.eid}, {self.subject} {self.date[:10]}: "
            f"{fovs}, {self.n_total_neurons} cells of {self.n_total_rois} ROIs, "
            f"{self.duration_seconds / 60:.1f} min at {unit}{self.frame_rate:.2f} Hz; "
            f"missing: {missing or 'nothing'})"
        )

    __str__ = __repr__

    # ---- what a session is

    @property
    def n_fovs(self) -> int:
        """Number of fields of view."""
        return len(self.fovs)

    @property
    def n_total_rois(self) -> int:
        """Number of ROIs of all FOVs, cells or not."""
        return sum(fov.n_rois for fov in self.fovs)

    @property
    def n_total_neurons(self) -> int:
        """Number of cells of all FOVs: the columns of the activity matrix."""
        return sum(fov.n_neurons for fov in self.fovs)

    @cached_property
    def clock(self) -> Clock:
        """The frame times that all neurons are brought to."""
        try:
            return common_clock(list(self.fovs))
        except ValueError as error:
            raise SessionError(f"session {self.eid}: {error}") from None

    @property
    def timestamps(self) -> np.ndarray:
        """``(time,)`` s: the session's clock."""
        return self.clock.times

    @property
    def frame_rate(self) -> float:
        """Frames per second: 1 / median frame interval (gaps do not count)."""
        return self.clock.frame_rate

    @property
    def duration_seconds(self) -> float:
        """From the start of the first frame to the end of the last one, gaps included."""
        first = min(fov.timestamps[0] for fov in self.fovs)
        last = max(fov.timestamps[-1] for fov in self.fovs)
        return float(last - first + self.clock.frame_interval)

    @property
    def duration_hours(self) -> float:
        """`duration_seconds` in hours."""
        return self.duration_seconds / 3600

    @cached_property
    def neurons(self) -> pd.DataFrame:
        """One row per column of the activity matrix.

        Columns: fov, roi (index in its FOV), uuid, region (acronym), region_id, ml, ap, dv (um
        from bregma), row, column (px), cell_probability, flags ("" is none).
        """
        if self._stored is not None:
            return self._stored.neurons
        return pd.concat([fov.neurons for fov in self.fovs], ignore_index=True)

    # ---- activity

    def get_activity_matrix(self, time_window: TimeWindow = None) -> tuple[np.ndarray, np.ndarray]:
        """Activity of all cells ``(time, neuron)`` float32 and the clock ``(time,)`` in s.

        Every ROI is brought from its own sampling times to the clock; frames that are bad,
        flagged, in a gap or absent in a FOV are NaN. ``time_window`` is (start, stop) in s after
        the first good frame, or the stop alone.
        """
        kept = frames_in_window(self.fovs, self.timestamps, time_window)
        times = self.timestamps[kept]
        if self._stored is not None:  # it is on one clock already
            return np.array(self._stored.activity[kept]), times
        matrix = cells_on_clock(self.fovs, times, lambda fov: fov.roi_activity[:, fov.cell_indices])
        return matrix, times

    def get_dff_activity_matrix(
        self, time_window: TimeWindow = None, neucoeff: float = 0.7
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `get_activity_matrix`, of the neuropil-corrected dF/F (see `FOVData.compute_dff`)."""
        kept = frames_in_window(self.fovs, self.timestamps, time_window)
        times = self.timestamps[kept]
        matrix = cells_on_clock(
            self.fovs, times, lambda fov: fov.compute_dff(neucoeff, fov.cell_indices)
        )
        return matrix, times

    def get_preprocessed_data(self) -> tuple[np.ndarray, np.ndarray]:
        """Stored activity ``(time, neuron)``, a memory map, and times of a preprocessed file."""
        if self._stored is None:
            raise SessionError(
                f"session {self.eid} is not preprocessed (source: {self.source}); "
                "preprocess(session) writes a file that from_preprocessed(path) opens"
            )
        return self._stored.activity, self.timestamps

    # ---- files of the first format (v1)

    def save_activity_matrix(
        self,
        path: Path | str,
        time_window: TimeWindow = None,
        compression: str | None = "gzip",
    ) -> Path:
        """Write the activity matrix as HDF5 v1; an existing file is replaced in one step."""
        return self._save(path, self.get_activity_matrix(time_window), time_window, compression)

    def save_dff_activity_matrix(
        self,
        path: Path | str,
        time_window: TimeWindow = None,
        compression: str | None = "gzip",
        neucoeff: float = 0.7,
    ) -> Path:
        """Write the dF/F matrix as HDF5 v1; an existing file is replaced in one step."""
        matrix = self.get_dff_activity_matrix(time_window, neucoeff)
        return self._save(path, matrix, time_window, compression)

    @staticmethod
    def load_activity_matrix(path: Path | str) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Activity ``(time, neuron)``, times ``(time,)`` s and metadata of an HDF5 file."""
        return hdf5.load_activity_matrix(path)

    @staticmethod
    def load_session_from_hdf5(path: Path | str) -> tuple[np.ndarray, np.ndarray, str]:
        """Activity ``(time, neuron)``, times ``(time,)`` s and eid of an HDF5 file."""
        return hdf5.load_session_from_hdf5(path)

    def _save(
        self,
        path: Path | str,
        matrix: tuple[np.ndarray, np.ndarray],
        time_window: TimeWindow,
        compression: str | None,
    ) -> Path:
        metadata = {
            "eid": self.eid,
            "subject": self.subject,
            "date": self.date,
            "duration_hours": self.duration_hours,
            "task_protocol": self.task_protocol,
            "n_total_neurons": self.n_total_neurons,
            "time_window": None if time_window is None else np.asarray(time_window),
            "source": "simulated" if self.is_simulated else self.source,
            "simulated": self.is_simulated,
        }
        return hdf5_write.save_activity_matrix(path, *matrix, metadata, compression=compression)


load_activity_matrix = MesoscopeSession.load_activity_matrix
load_session_from_hdf5 = MesoscopeSession.load_session_from_hdf5


def open_session(
    reference: str | Path,
    *,
    rate: float | None = None,
    raw_activity: bool = True,
    one: Any = None,
) -> MesoscopeSession:
    """Open a session by any reference.

    Parameters
    ----------
    reference : ``"small"`` or ``"sample"`` (simulated on first use), an eid that ``one`` knows
        (default: the local cache ``DATA/one``), a session folder, a suite2p folder, or an HDF5
        session file.
    rate : Hz, for suite2p folders that do not tell their frame rate.
    raw_activity : True for fluorescence, False for deconvolved activity.

    Raises
    ------
    SessionError
        A reference to nothing, with near matches; or a session that cannot be read.
    """
    from utils.simulation import PRESETS, preset_session  # late: readers need no simulation

    name = str(reference)
    path = Path(name or " ").expanduser()  # Path("") would be the current folder
    if name in PRESETS:
        one, name = None, preset_session(name)
    elif path.is_file():
        return MesoscopeSession.from_preprocessed(path)
    elif (path / "alf").is_dir():
        return MesoscopeSession.from_folder(path, raw_activity)
    elif is_suite2p(path):
        return MesoscopeSession.from_suite2p(path, rate, raw_activity)
    elif path.is_dir() or not is_eid(name):
        raise unknown_reference(name, path, list(PRESETS), one)
    one = local_one(one_cache_dir()) if one is None else one
    return MesoscopeSession.from_eid(one, name, raw_activity)
