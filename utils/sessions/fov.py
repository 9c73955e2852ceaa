"""One field of view (FOV): traces of its ROIs, their frame times, and what is known of each ROI."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from utils.sessions.errors import SessionError
from utils.sessions.regions import UNKNOWN, region_table
from utils.signals import baseline_floor, correct_neuropil, delta_f_over_f

CELL = 1  # value of mpciROIs.mpciROITypes for a cell

Trace = np.ndarray | Callable[[], np.ndarray]  # (time, roi), or a function that opens it
TimeWindow = float | tuple[float, float] | None  # seconds after the first good frame


class FOVData(BaseModel):
    """Activity of one field of view. All traces are ``(time, roi)``.

    Traces may be given as arrays or as functions that open them on first access, so that a
    memory map (or a download) happens only where it is needed.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", repr=False)

    fov_name: str
    collection: str
    roi_activity_source: Trace = Field(alias="roi_activity", description="F or deconvolved")
    neuropil_source: Trace | None = Field(None, alias="neuropil_activity")
    deconvolved_source: Trace | None = Field(None, alias="deconvolved_activity")
    raw_activity: bool = Field(True, description="roi_activity is F, else deconvolved")
    timestamps: np.ndarray = Field(description="(time,) s, start of each frame")
    bad_frames: np.ndarray | None = Field(None, description="(time,) bool; absent: none is bad")
    frame_qc: np.ndarray | None = Field(None, description="(time,) codes; absent: all 0 (ok)")
    frame_qc_names: dict[int, str] = {}
    roi_types: np.ndarray | None = Field(None, description="(roi,) 1 = cell; absent: all cells")
    brain_locations: np.ndarray | None = Field(None, description="(roi,) Allen CCF ids")
    mlapdv: np.ndarray | None = Field(None, description="(roi, 3) um from bregma")
    stack_pos: np.ndarray | None = Field(None, description="(roi, 3) row, column, plane in px")
    timeshift: np.ndarray | None = Field(None, description="(row,) s, per scan line")
    uuids: np.ndarray | None = Field(None, description="(roi,) ids")
    cell_probability: np.ndarray | None = Field(None, description="(roi,) 0-1")
    mean_image: np.ndarray | None = Field(None, description="(row, column)")

    def model_post_init(self, _context: Any) -> None:
        """Fill what is absent with neutral values."""
        if self.bad_frames is None:
            self.bad_frames = np.zeros(self.n_frames, dtype=bool)
        self.bad_frames = np.asarray(self.bad_frames).astype(bool)  # older files: int8, uint32
        if self.frame_qc is None:
            self.frame_qc = np.zeros(self.n_frames, dtype=np.uint32)

    def __repr__(self) -> str:
        kind = "F" if self.raw_activity else "deconvolved"
        return (
            f"FOVData({self.fov_name}: {kind} of {self.n_frames} frames x {self.n_rois} ROIs, "
            f"{self.n_neurons} cells, {self.frame_rate:.2f} Hz, "
            f"{int((~self.good_frame_mask).sum())} frames excluded)"
        )

    __str__ = __repr__

    @cached_property
    def roi_activity(self) -> np.ndarray:
        """``(time, roi)``: F in detector units, or deconvolved activity."""
        return _opened(self.roi_activity_source)

    @cached_property
    def neuropil_activity(self) -> np.ndarray | None:
        """``(time, roi)`` neuropil fluorescence, or None."""
        return self._optional(self.neuropil_source, "neuropil")

    @cached_property
    def deconvolved_activity(self) -> np.ndarray | None:
        """``(time, roi)`` deconvolved activity, >= 0, arbitrary units, or None."""
        return self._optional(self.deconvolved_source, "deconvolved activity")

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.timestamps)

    @property
    def n_rois(self) -> int:
        """Number of ROIs, cells or not."""
        return self.roi_activity.shape[1]

    @property
    def n_neurons(self) -> int:
        """Number of ROIs that are cells."""
        return len(self.cell_indices)

    @property
    def frame_rate(self) -> float:
        """Frames per second: 1 / median frame interval, so that gaps do not count."""
        return 1.0 / float(np.median(np.diff(self.timestamps)))

    @property
    def neuron_mask(self) -> np.ndarray:
        """``(roi,)`` bool: which ROIs are cells. All of them where ROI types are missing."""
        if self.roi_types is None:
            return np.ones(self.n_rois, dtype=bool)
        return np.asarray(self.roi_types) == CELL

    @property
    def cell_indices(self) -> np.ndarray:
        """Indices of the cells among the ROIs."""
        return np.flatnonzero(self.neuron_mask)

    @property
    def good_frame_mask(self) -> np.ndarray:
        """``(time,)`` bool: frames that are neither bad nor flagged by frame QC."""
        return ~self.bad_frames & (np.asarray(self.frame_qc) == 0)

    @property
    def roi_time_offsets(self) -> np.ndarray:
        """``(roi,)`` s from the start of a frame to the scan line (row) of each ROI."""
        if self.timeshift is None or self.stack_pos is None:
            return np.zeros(self.n_rois)
        return np.asarray(self.timeshift, dtype=np.float64)[np.asarray(self.stack_pos)[:, 0]]

    @cached_property
    def neurons(self) -> pd.DataFrame:
        """One row per cell: fov, roi, uuid, region, position, probability, flags."""
        cells = self.cell_indices
        ids = np.zeros(self.n_rois) if self.brain_locations is None else self.brain_locations
        regions = region_table(np.asarray(ids, dtype=np.int64)[cells])
        unknown = regions["region"] == UNKNOWN
        table = pd.DataFrame({"fov": self.fov_name, "roi": cells}).astype({"fov": object})
        table["uuid"] = np.asarray(self.uuids)[cells] if self.uuids is not None else ""
        table[["region", "region_id"]] = regions
        table[["ml", "ap", "dv"]] = _columns(self.mlapdv, cells, 3)
        table[["row", "column"]] = _columns(self.stack_pos, cells, 2)
        table["cell_probability"] = _columns(self.cell_probability, cells, 1)
        table["flags"] = np.where(unknown, "region unknown", "").astype(object)
        return table

    def get_filtered_activity(
        self, time_window: TimeWindow = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Activity of all ROIs on good frames: ``(time, roi)`` and times ``(time,)`` in s.

        Excluded frames are left out, so neighbouring rows may be far apart in time.
        """
        kept = self._kept_frames(time_window)
        return self.roi_activity[kept], self.timestamps[kept]

    def get_neuron_activity(
        self, time_window: TimeWindow = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `get_filtered_activity`, of the cells only; third the mask ``(roi,)`` of cells."""
        kept = self._kept_frames(time_window)
        activity = self.roi_activity[np.ix_(kept, self.cell_indices)]
        return activity, self.timestamps[kept], self.neuron_mask

    def compute_dff(
        self, neucoeff: float = 0.7, rois: Sequence[int] | np.ndarray | None = None
    ) -> np.ndarray:
        """Neuropil-corrected dF/F ``(time, roi)`` float32 of all ROIs, or of some; finite.

        The baseline is the causal running percentile of preprocessing, over good frames only and
        floored by each ROI's noise; in the first seconds it rests on few frames. Excluded frames
        have values too, see `good_frame_mask`. Where neuropil is missing (see
        ``session.availability``) it is not corrected for.

        Raises
        ------
        SessionError
            The traces are deconvolved: they have no baseline fluorescence. Or no frame is good.
        """
        if not self.raw_activity:
            raise SessionError(
                f"{self.fov_name}: dF/F needs fluorescence, but the session was opened with "
                "raw_activity=False (deconvolved traces); open it with raw_activity=True"
            )
        self._kept_frames(None)
        good = self.good_frame_mask
        columns = slice(None) if rois is None else np.asarray(rois)
        fluorescence, neuropil = self.roi_activity[:, columns], None
        if self.neuropil_activity is not None:
            neuropil = self.neuropil_activity[:, columns]
            fluorescence = correct_neuropil(fluorescence, neuropil, neucoeff)
        floor = baseline_floor(fluorescence, neuropil, good=good)
        return delta_f_over_f(fluorescence, self.frame_rate, good=good, floor=floor, warmup_s=0)

    def get_dff_activity(
        self, time_window: TimeWindow = None, neucoeff: float = 0.7
    ) -> tuple[np.ndarray, np.ndarray]:
        """dF/F of all ROIs on good frames: ``(time, roi)`` and times ``(time,)`` in s."""
        kept = self._kept_frames(time_window)
        return self.compute_dff(neucoeff)[kept], self.timestamps[kept]

    def get_neuron_dff_activity(
        self, time_window: TimeWindow = None, neucoeff: float = 0.7
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `get_dff_activity`, of the cells only; third the mask ``(roi,)`` of cells."""
        kept = self._kept_frames(time_window)
        dff = self.compute_dff(neucoeff, self.cell_indices)
        return dff[kept], self.timestamps[kept], self.neuron_mask

    def _kept_frames(self, time_window: TimeWindow) -> np.ndarray:
        good = np.flatnonzero(self.good_frame_mask)
        if not len(good):
            raise SessionError(f"{self.fov_name}: all {self.n_frames} frames are bad or flagged")
        start, stop = window_limits(time_window)
        since = self.timestamps[good] - self.timestamps[good[0]]
        return good[(since >= start) & (since <= stop)]

    def _optional(self, source: Trace | None, what: str) -> np.ndarray | None:
        if source is None:
            return None
        trace = _opened(source)
        if trace.shape != self.roi_activity.shape:
            raise SessionError(
                f"{self.collection}: {what} has shape {trace.shape}, the activity "
                f"{self.roi_activity.shape}; both must be (frames, ROIs)"
            )
        return trace


class FieldsOfView(Sequence):
    """The FOVs of a session in order; by position (``fovs[0]``) or name (``fovs["FOV_00"]``)."""

    def __init__(self, fovs: Sequence[FOVData] | dict[str, FOVData] = ()) -> None:
        fovs = fovs.values() if isinstance(fovs, dict) else fovs
        self._by_name = {fov.fov_name: fov for fov in fovs}

    def __getitem__(self, key: int | slice | str) -> Any:
        if isinstance(key, str):
            if key not in self._by_name:
                raise KeyError(f"no FOV '{key}'; the session has {', '.join(self._by_name)}")
            return self._by_name[key]
        return list(self._by_name.values())[key]

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[FOVData]:
        return iter(self._by_name.values())

    def __contains__(self, item: object) -> bool:
        return item in self._by_name if isinstance(item, str) else any(f is item for f in self)

    def __repr__(self) -> str:
        return f"FieldsOfView({', '.join(self._by_name)})"

    def keys(self) -> list[str]:
        """Names of the FOVs."""
        return list(self._by_name)

    def values(self) -> list[FOVData]:
        """The FOVs."""
        return list(self._by_name.values())

    def items(self) -> list[tuple[str, FOVData]]:
        """Names and FOVs."""
        return list(self._by_name.items())


def window_limits(time_window: TimeWindow) -> tuple[float, float]:
    """``(start, stop)`` in s; one number is the stop, None is everything."""
    if time_window is None:
        return 0.0, np.inf
    limits = (0.0, time_window) if isinstance(time_window, Real) else time_window
    is_pair = np.ndim(limits) == 1 and len(limits) == 2 and not isinstance(limits, str)
    if not is_pair or not limits[0] < limits[1]:
        raise SessionError(
            f"time_window {time_window!r}: expected (start, stop) in seconds after the first good "
            "frame, start < stop, or one number (stop)"
        )
    return float(limits[0]), float(limits[1])


def _opened(source: Trace) -> np.ndarray:
    return source() if callable(source) else source


def _columns(values: np.ndarray | None, cells: np.ndarray, n: int) -> np.ndarray:
    """First ``n`` columns of a per-ROI table for the cells; NaN where the table is missing."""
    if values is None:
        return np.full((len(cells), n) if n > 1 else len(cells), np.nan)
    values = np.asarray(values, dtype=np.float64)[cells]
    return values[:, :n] if n > 1 else values
