"""Reading fields of view from IBL data sets (ALF), through ONE or straight from a folder.

A source lists the data sets of one session and gives the local path of each (through ONE that
may be a download). Names, shapes and what an absence costs are in the tables below.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from utils.sessions.availability import Availability
from utils.sessions.clock import checked_times
from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.fov import FOVData
from utils.sessions.npy import open_npy
from utils.sessions.regions import UNKNOWN, area_of

logger = logging.getLogger(__name__)

_FOV = re.compile(r"^alf/(FOV_\d+)$")
_REVISION = re.compile(r"^#.+#$")


class FOVDataset(NamedTuple):
    """A data set of one FOV: its file names (best first) and what its absence costs."""

    field: str
    names: tuple[str, ...]
    consequence: str


ACTIVITY = {
    True: "mpci.ROIActivityF.npy",
    False: "mpci.ROIActivityDeconvolved.npy",
}
TIMES = "mpci.times.npy"
NEUROPIL = FOVDataset(
    "neuropil_activity", ("mpci.ROINeuropilActivityF.npy",), "dF/F without neuropil correction"
)
DECONVOLVED = FOVDataset(
    "deconvolved_activity", (ACTIVITY[False],), "no deconvolved activity for this FOV"
)
PER_FRAME = (
    FOVDataset("bad_frames", ("mpci.badFrames.npy",), "only frame QC excludes frames"),
    FOVDataset("frame_qc", ("mpci.mpciFrameQC.npy",), "only badFrames excludes frames"),
)
PER_ROI = (
    FOVDataset(
        "roi_types",
        ("mpciROIs.mpciROITypes.npy",),
        "cells cannot be told from other ROIs: all ROIs are used",
    ),
    FOVDataset("cell_probability", ("mpciROIs.cellClassifier.npy",), "cell probability unknown"),
    FOVDataset(
        "stack_pos",
        ("mpciROIs.stackPos.npy",),
        "pixel positions unknown; ROI times are those of the frame, not of the scan line",
    ),
    FOVDataset(
        "mlapdv",
        ("mpciROIs.mlapdv.npy", "mpciROIs.mlapdv_estimate.npy"),
        "positions in the brain unknown",
    ),
    FOVDataset(
        "brain_locations",
        (
            "mpciROIs.brainLocationIds_ccf_2017.npy",  # after histology, better than the estimate
            "mpciROIs.brainLocationIds_ccf_2017_estimate.npy",
        ),
        "brain regions unknown",
    ),
)
PER_FOV = (
    FOVDataset(
        "timeshift",
        ("mpciStack.timeshift.npy",),
        "ROI times are those of the frame, not of the scan line",
    ),
    FOVDataset("mean_image", ("mpciMeanImage.images.npy",), "no mean image to show"),
)
UUIDS = FOVDataset("uuids", ("mpciROIs.uuids.csv",), "ROI ids are made from eid, FOV and index")
QC_NAMES = FOVDataset("frame_qc_names", ("mpciFrameQC.names.tsv",), "QC codes have no names")


class Source(ABC):
    """The data sets of one session."""

    def __init__(self, label: str, relative_paths: Iterable[str]) -> None:
        self.label = label
        self.datasets: dict[str, set[str]] = {}  # collection -> file names, revisions left out
        for relative_path in relative_paths:
            path = PurePosixPath(str(relative_path))
            parts = [part for part in path.parent.parts if not _REVISION.match(part)]
            self.datasets.setdefault("/".join(parts), set()).add(path.name)

    @property
    def fov_collections(self) -> list[str]:
        """Collections of FOVs, sorted; revision folders are not FOVs."""
        return sorted(name for name in self.datasets if _FOV.match(name))

    def find(self, collection: str, names: Iterable[str]) -> str | None:
        """The first of the names that the collection holds."""
        held = self.datasets.get(collection, set())
        return next((name for name in names if name in held), None)

    def collection_with(self, names: Iterable[str], root: str = "alf") -> str | None:
        """The first collection (sorted) whose name starts with ``root`` that holds a name."""
        names = list(names)
        collections = sorted(name for name in self.datasets if name.startswith(root))
        return next((c for c in collections if self.find(c, names)), None)

    @abstractmethod
    def path(self, collection: str, name: str) -> Path:
        """Local path of a data set in its default revision."""


class OneSource(Source):
    """Data sets of a session as a ONE object (local or server) lists and loads them."""

    def __init__(self, one: Any, eid: str) -> None:
        self._one = one
        self._eid = eid
        listed = one.list_datasets(eid)
        # for an eid that it does not know, ONE lists an empty table instead of no paths
        paths = listed["rel_path"] if isinstance(listed, pd.DataFrame) else listed
        super().__init__(f"session {eid}", paths)

    def path(self, collection: str, name: str) -> Path:
        """Local path; on a server the file is downloaded first."""
        try:
            path = self._one.load_dataset(
                self._eid, name, collection=collection, download_only=True
            )
        except Exception as error:  # ONE raises its own, the server's and the network's errors
            raise SessionNotFoundError(
                f"{self.label}: {collection}/{name} is listed but cannot be fetched "
                f"({type(error).__name__}: {error})"
            ) from error
        return Path(path)


class FolderSource(Source):
    """Data sets of a session folder ``<lab>/Subjects/<subject>/<date>/<number>`` on disk."""

    def __init__(self, session_path: Path) -> None:
        self.session_path = Path(session_path)
        self._files: dict[tuple[str, str], Path] = {}
        patterns = ("alf/**/*", "raw_passive_data/*", "raw_task_data_*/*")
        found = sorted(
            p for pattern in patterns for p in self.session_path.glob(pattern) if p.is_file()
        )
        relative = [p.relative_to(self.session_path) for p in found]
        super().__init__(str(session_path), (p.as_posix() for p in relative))
        # "#" sorts before letters, so among revisions the default (newest) is taken explicitly
        for path in sorted(relative, key=_revision_of):
            parts = [part for part in path.parent.parts if not _REVISION.match(part)]
            self._files["/".join(parts), path.name] = self.session_path / path

    def path(self, collection: str, name: str) -> Path:
        """Path of the newest revision."""
        return self._files[collection, name]


def read_fovs(
    source: Source, eid: str, raw_activity: bool, max_fovs: int | None, availability: Availability
) -> list[FOVData]:
    """All fields of view of a session (the first ``max_fovs``), in order of their names."""
    if max_fovs is not None and max_fovs < 1:
        raise SessionError(f"max_fovs must be at least 1, found {max_fovs}")
    collections = source.fov_collections[:max_fovs]
    if not collections:
        raise SessionNotFoundError(
            f"{source.label} has no field of view: no collection alf/FOV_XX among "
            f"{sorted(source.datasets) or 'no data sets at all'}"
        )
    return [read_fov(source, eid, name, raw_activity, availability) for name in collections]


def read_fov(
    source: Source, eid: str, collection: str, raw_activity: bool, availability: Availability
) -> FOVData:
    """One field of view. The trace and its times are required, all else degrades with a note."""
    reader = _FOVReader(source, collection, availability)
    activity = reader.required(ACTIVITY[raw_activity])
    times = reader.times(activity)
    values: dict[str, Any] = {"roi_activity": activity, "timestamps": times}
    for dataset in PER_FRAME:
        values[dataset.field] = reader.array(dataset, activity, axis=0)
    for dataset in PER_ROI:
        values[dataset.field] = reader.array(dataset, activity, axis=1)
    for dataset in PER_FOV:
        values[dataset.field] = reader.array(dataset)
    values["uuids"] = reader.uuids(eid, activity)
    values["frame_qc_names"] = reader.frame_qc_names()
    values["neuropil_activity"] = reader.lazy(NEUROPIL)
    values["deconvolved_activity"] = reader.lazy(DECONVOLVED) if raw_activity else activity
    _check_scan_rows(source, collection, values)
    _note_unknown_regions(collection, values["brain_locations"], availability)
    return FOVData(
        fov_name=collection.rsplit("/", 1)[-1],
        collection=collection,
        raw_activity=raw_activity,
        **values,
    )


class _FOVReader:
    """Reads data sets of one collection and notes what is missing."""

    def __init__(self, source: Source, collection: str, availability: Availability) -> None:
        self._source = source
        self._collection = collection
        self._availability = availability

    def required(self, name: str) -> np.ndarray:
        found = self._source.find(self._collection, [name]) is not None
        self._availability.note(name, self._collection, found, required=True)
        if not found:
            raise SessionNotFoundError(
                f"{self._source.label}: {self._collection}/{name} is missing, and without it the "
                "field of view cannot be read (raw_activity=True needs F, False the deconvolved "
                "activity; max_fovs limits the fields of view that are read)"
            )
        return open_npy(self._source.path(self._collection, name))

    def times(self, activity: np.ndarray) -> np.ndarray:
        if activity.ndim != 2:
            raise SessionError(
                f"{self._source.label}: the activity of {self._collection} has shape "
                f"{activity.shape}; (frames, ROIs) expected"
            )
        times = _column(self.required(TIMES))
        self.check_length(TIMES, times, activity, axis=0)
        try:
            return checked_times(times, f"{self._source.label}: {self._collection}/{TIMES}")
        except ValueError as error:
            raise SessionError(str(error)) from None

    def array(
        self, dataset: FOVDataset, activity: np.ndarray | None = None, axis: int = 0
    ) -> np.ndarray | None:
        path = self._optional(dataset)
        if path is None:
            return None
        values = np.array(_column(open_npy(path)))
        if activity is not None:
            self.check_length(path.name, values, activity, axis)
        return values

    def lazy(self, dataset: FOVDataset) -> partial[np.ndarray] | None:
        """A function that opens (or downloads) a large trace when it is first used."""
        name = self._noted(dataset)
        return None if name is None else partial(_open, self._source, self._collection, name)

    def uuids(self, eid: str, activity: np.ndarray) -> np.ndarray:
        path = self._optional(UUIDS)
        if path is None:
            return made_uuids(eid, self._collection, activity.shape[1])
        ids = pd.read_csv(path, dtype=str).iloc[:, 0].to_numpy(dtype=object)
        self.check_length(path.name, ids, activity, axis=1)
        return ids

    def frame_qc_names(self) -> dict[int, str]:
        path = self._optional(QC_NAMES)
        if path is None:
            return {}
        table = pd.read_csv(path, sep="\t")
        missing = {"qc_values", "qc_labels"} - set(table.columns)
        if missing:
            raise SessionError(
                f"{path}: columns qc_values and qc_labels expected, found {list(table.columns)}"
            )
        return dict(zip(table["qc_values"].astype(int), table["qc_labels"].astype(str)))

    def check_length(self, name: str, values: np.ndarray, activity: np.ndarray, axis: int) -> None:
        if len(values) != activity.shape[axis]:
            unit = ("frames", "ROIs")[axis]
            raise SessionError(
                f"{self._source.label}: {self._collection}/{name} has {len(values)} {unit}, the "
                f"activity has {activity.shape[axis]}; one of the two belongs to another version "
                "of this field of view: download both again"
            )

    def _optional(self, dataset: FOVDataset) -> Path | None:
        name = self._noted(dataset)
        return None if name is None else self._source.path(self._collection, name)

    def _noted(self, dataset: FOVDataset) -> str | None:
        name = self._source.find(self._collection, dataset.names)
        consequence = "" if name else dataset.consequence
        shown = name or dataset.names[-1]
        self._availability.note(shown, self._collection, name is not None, consequence=consequence)
        if name is None:
            logger.info("%s/%s is missing: %s", self._collection, shown, consequence)
        return name


def made_uuids(eid: str, collection: str, n_rois: int) -> np.ndarray:
    """Stable ROI ids ``(roi,)`` for recordings that have none."""
    from uuid import NAMESPACE_URL, uuid5

    names = (f"{eid}/{collection}/{roi}" for roi in range(n_rois))
    return np.array([str(uuid5(NAMESPACE_URL, name)) for name in names], dtype=object)


def _open(source: Source, collection: str, name: str) -> np.ndarray:
    return open_npy(source.path(collection, name))


def _column(values: np.ndarray) -> np.ndarray:
    """(n, 1) as (n,): some data sets are stored as a column."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _check_scan_rows(source: Source, collection: str, values: dict[str, Any]) -> None:
    rows, timeshift = values["stack_pos"], values["timeshift"]
    if rows is None or timeshift is None or not len(rows):
        return
    if rows[:, 0].min() < 0 or rows[:, 0].max() >= len(timeshift):
        raise SessionError(
            f"{source.label}: {collection}/mpciROIs.stackPos.npy has rows "
            f"{rows[:, 0].min()}-{rows[:, 0].max()}, but mpciStack.timeshift.npy has "
            f"{len(timeshift)} scan lines"
        )


def _note_unknown_regions(
    collection: str, ids: np.ndarray | None, availability: Availability
) -> None:
    if ids is None:
        return
    present, counts = np.unique(np.abs(ids), return_counts=True)
    unknown = {int(i): int(n) for i, n in zip(present, counts) if area_of(int(i))[0] == UNKNOWN}
    if unknown:
        listed = ", ".join(f"{region} ({n} ROIs)" for region, n in unknown.items())
        availability.note(
            "mpciROIs.brainLocationIds",
            collection,
            True,
            consequence=f"ids that the Allen atlas does not know, shown as 'unknown': {listed}",
        )


def _revision_of(path: Path) -> tuple[bool, str]:
    revisions = [part for part in path.parts if _REVISION.match(part)]
    return bool(revisions), revisions[-1] if revisions else ""
