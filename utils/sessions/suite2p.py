"""Reading (and writing) suite2p output folders of one or several planes.

A plane holds ``F.npy``, ``Fneu.npy``, ``spks.npy``, ``iscell.npy``, ``stat.npy`` and ``ops.npy``.
suite2p stores traces as ``(roi, time)``; they are shown ``(time, roi)`` as views. It stores no
frame times: they are made from the frame rate.
"""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from collections.abc import Callable, Iterable
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from utils.sessions.alf import made_uuids
from utils.sessions.availability import Availability
from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.fov import FOVData
from utils.sessions.npy import open_npy
from utils.sessions.safe_pickle import load_object_npy

logger = logging.getLogger(__name__)

ACTIVITY = {True: "F.npy", False: "spks.npy"}
OPTIONAL = {
    "Fneu.npy": "dF/F without neuropil correction",
    "spks.npy": "no deconvolved activity",
    "iscell.npy": "cells cannot be told from other ROIs: all ROIs are used",
    "stat.npy": "pixel positions of ROIs unknown",
    "ops.npy": "frame rate, mean image, bad frames and number of planes unknown",
}
_PLANE = re.compile(r"^plane(\d+)$")


class Suite2pRecording(NamedTuple):
    """What a suite2p folder holds."""

    eid: str  # name and hash of the content: the same wherever the folder lies
    name: str
    fovs: list[FOVData]
    rate_is_nominal: bool  # the rate comes from the caller, or from nowhere
    is_simulated: bool  # ops.npy says so, see `write_suite2p`


def is_suite2p(folder: Path) -> bool:
    """Whether a folder is a suite2p plane folder or holds some."""
    return folder.is_dir() and bool(_planes(folder))


def read_suite2p(
    folder: Path | str,
    sampling_rate: float | None,
    raw_activity: bool,
    availability: Availability,
) -> Suite2pRecording:
    """Read the plane folder(s) in ``folder``: itself a plane, or the parent of ``plane0, ...``.

    The frame rate (per plane, Hz) is ``ops["fs"]``; without ops it is ``sampling_rate``; without
    either, time counts frames (1 Hz) and a warning says so. Planes are recorded in turn: where
    ops tells their number, plane ``k`` of ``n`` starts ``k / (n * rate)`` s into a frame.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SessionNotFoundError(f"suite2p folder {folder} does not exist")
    planes = _planes(folder)
    if not planes:
        raise SessionNotFoundError(
            f"{folder} holds no suite2p output: neither F.npy nor folders plane0, plane1, ... "
            f"with F.npy; it holds {sorted(p.name for p in folder.iterdir())[:10]}"
        )
    name, eid = _identity(folder, planes)
    all_ops = [_read_ops(plane) for plane in planes]
    rate, nominal = _frame_rate(folder, all_ops, sampling_rate)
    fovs = [
        _read_plane(plane, ops, rate, raw_activity, eid, availability)
        for plane, ops in zip(planes, all_ops)
    ]
    simulated = any(bool(ops.get("simulated", False)) for ops in all_ops)
    return Suite2pRecording(eid, name, fovs, nominal, simulated)


def write_suite2p(
    fovs: Iterable[FOVData], folder: Path | str, *, frames: int | None = None, simulated: bool
) -> Path:
    """Write FOVs as the planes of a suite2p folder: ``plane0, plane1, ...``.

    suite2p has no frame times, so ``frames`` should end before the first gap. ``simulated`` is
    kept in ``ops.npy``: what was simulated says so when it is read again.

    Raises
    ------
    SessionError
        A FOV was opened without fluorescence (``raw_activity=False``).
    """
    folder, fovs = Path(folder), list(fovs)
    for number, fov in enumerate(fovs):
        if not fov.raw_activity:
            raise SessionError(f"{fov.fov_name}: F.npy needs fluorescence (raw_activity=True)")
        plane = folder / f"plane{number}"
        plane.mkdir(parents=True, exist_ok=True)
        traces = {
            "F": fov.roi_activity,
            "Fneu": fov.neuropil_activity,
            "spks": fov.deconvolved_activity,
        }
        for name, trace in traces.items():
            if trace is not None:
                np.save(plane / f"{name}.npy", np.ascontiguousarray(trace[:frames].T))
        probability = fov.cell_probability
        probability = np.full(fov.n_rois, np.nan) if probability is None else probability
        np.save(plane / "iscell.npy", np.column_stack([fov.neuron_mask, probability]))
        if fov.stack_pos is not None:
            stat = [{"med": [int(row), int(column)]} for row, column in fov.stack_pos[:, :2]]
            np.save(plane / "stat.npy", np.array(stat, dtype=object), allow_pickle=True)
        ops = {"fs": fov.frame_rate, "nplanes": len(fovs), "simulated": simulated}
        ops["badframes"] = ~fov.good_frame_mask[:frames]
        np.save(plane / "ops.npy", np.array(ops, dtype=object), allow_pickle=True)
    return folder


def _planes(folder: Path) -> list[Path]:
    """Plane folders in the order of their numbers; ``combined`` repeats them and is left out."""
    if (folder / "F.npy").is_file():
        return [folder]
    for parent in (folder, folder / "suite2p"):
        planes = [p for p in parent.glob("plane*") if _PLANE.match(p.name) and p.is_dir()]
        planes = [p for p in planes if (p / "F.npy").is_file()]
        if planes:
            return sorted(planes, key=_plane_number)
    return []


def _plane_number(plane: Path) -> int:
    match = _PLANE.match(plane.name)
    return int(match[1]) if match else 0


def _read_ops(plane: Path) -> dict[str, Any]:
    path = plane / "ops.npy"
    if not path.is_file():
        return {}
    ops = load_object_npy(path)
    if isinstance(ops, np.ndarray) and ops.size == 1 and ops.dtype == object:
        ops = ops.item()  # saved as a list of one
    if not isinstance(ops, dict):
        raise SessionError(f"{path}: a dict of settings expected, found {type(ops).__name__}")
    if "fs" in ops and not _is_rate(ops["fs"]):
        raise SessionError(
            f"{path}: the frame rate 'fs' must be a positive number, found {ops['fs']!r}; correct "
            "it there, or move the file away and give the rate yourself"
        )
    return ops


def _is_rate(value: Any) -> bool:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and 0 < value < np.inf


def _frame_rate(
    folder: Path, all_ops: list[dict[str, Any]], sampling_rate: float | None
) -> tuple[float, bool]:
    """Frames per second of each plane, and whether that is only nominal."""
    rates = {float(ops["fs"]) for ops in all_ops if "fs" in ops}
    if len(rates) > 1:
        raise SessionError(f"{folder}: planes of different rates in ops.npy: {sorted(rates)} Hz")
    rate = rates.pop() if rates else sampling_rate
    if rate is not None and not _is_rate(rate):
        raise SessionError(f"{folder}: the frame rate must be a positive number, found {rate!r}")
    if any("fs" in ops for ops in all_ops):
        if sampling_rate is not None and sampling_rate != rate:
            logger.warning(
                "%s: ops.npy says %g Hz, so that is used, not %g Hz", folder, rate, sampling_rate
            )
        return float(rate), False
    if rate is None:
        warnings.warn(
            f"{folder} does not tell its frame rate (no ops.npy), so time counts frames (1 Hz); "
            "pass sampling_rate (open_session: rate, command line: --rate) in Hz",
            UserWarning,
            stacklevel=4,
        )
    return float(rate or 1.0), True


def _read_plane(
    plane: Path,
    ops: dict[str, Any],
    rate: float,
    raw_activity: bool,
    eid: str,
    availability: Availability,
) -> FOVData:
    name = plane.name if _PLANE.match(plane.name) else "plane0"
    found = _note_files(plane, name, raw_activity, availability)
    activity = _trace(plane / ACTIVITY[raw_activity])
    n_frames, n_rois = activity.shape
    iscell = _iscell(plane, n_rois) if "iscell.npy" in found else None
    stat = _stat(plane, n_rois) if "stat.npy" in found else None
    return FOVData(
        fov_name=name,
        collection=name,
        raw_activity=raw_activity,
        roi_activity=activity,
        neuropil_activity=_lazy(plane, "Fneu.npy", found),
        deconvolved_activity=_lazy(plane, "spks.npy", found),
        timestamps=np.arange(n_frames) / rate + _plane_offset(plane, ops, rate),
        bad_frames=_bad_frames(plane, ops, n_frames),
        roi_types=None if iscell is None else iscell[:, 0].astype(np.int16),
        cell_probability=None if iscell is None else iscell[:, 1],
        stack_pos=stat,
        uuids=made_uuids(eid, name, n_rois),
        mean_image=ops.get("meanImg"),
    )


def _note_files(plane: Path, name: str, raw_activity: bool, availability: Availability) -> set[str]:
    """Files of a plane that are there; the missing ones are noted, a missing trace raises."""
    activity = ACTIVITY[raw_activity]
    is_there = (plane / activity).is_file()
    availability.note(activity, name, is_there, required=True)
    if not is_there:
        raise SessionNotFoundError(
            f"{plane / activity} is missing; raw_activity={raw_activity} needs it "
            "(True: F.npy, False: spks.npy)"
        )
    found = {activity}
    for file, consequence in OPTIONAL.items():
        if file == activity:
            continue
        is_there = (plane / file).is_file()
        availability.note(file, name, is_there, consequence="" if is_there else consequence)
        if is_there:
            found.add(file)
    return found


def _trace(path: Path) -> np.ndarray:
    trace = open_npy(path)
    if trace.ndim != 2:
        raise SessionError(f"{path} has shape {trace.shape}; (ROIs, frames) expected")
    if trace.shape[1] < 2:
        raise SessionError(f"{path} has {trace.shape[1]} frames; at least 2 are needed")
    return trace.T


def _lazy(plane: Path, file: str, found: set[str]) -> Callable[[], np.ndarray] | None:
    return (lambda: _trace(plane / file)) if file in found else None


def _iscell(plane: Path, n_rois: int) -> np.ndarray:
    """``(roi, 2)``: is a cell, probability (NaN where an old file has only the first column)."""
    path = plane / "iscell.npy"
    iscell = np.array(open_npy(path), dtype=np.float64)
    iscell = iscell[:, None] if iscell.ndim == 1 else iscell
    if len(iscell) != n_rois:
        raise SessionError(f"{path} has {len(iscell)} ROIs, the activity has {n_rois}")
    if iscell.shape[1] < 2:
        iscell = np.column_stack([iscell[:, 0], np.full(n_rois, np.nan)])
    return iscell


def _stat(plane: Path, n_rois: int) -> np.ndarray:
    """``(roi, 3)`` row, column, 0 in pixels: the medians of each ROI's pixels."""
    path = plane / "stat.npy"
    stat = load_object_npy(path)
    if len(stat) != n_rois:
        raise SessionError(f"{path} has {len(stat)} ROIs, the activity has {n_rois}")
    if not all(isinstance(roi, dict) and "med" in roi for roi in stat):
        raise SessionError(f"{path}: each ROI must be a dict with 'med' (row, column)")
    return np.array([[*roi["med"][:2], 0] for roi in stat], dtype=np.float64).reshape(-1, 3)


def _bad_frames(plane: Path, ops: dict[str, Any], n_frames: int) -> np.ndarray | None:
    bad = ops.get("badframes")
    if bad is not None and len(bad) != n_frames:
        raise SessionError(f"{plane}/ops.npy: {len(bad)} badframes for {n_frames} frames")
    return bad


def _plane_offset(plane: Path, ops: dict[str, Any], rate: float) -> float:
    return _plane_number(plane) / (rate * max(int(ops.get("nplanes", 1)), 1))


def _identity(folder: Path, planes: list[Path]) -> tuple[str, str]:
    """A readable name and an eid that stays the same when the folder is moved."""
    generic = {"suite2p"} | {plane.name for plane in planes if _PLANE.match(plane.name)}
    resolved = folder.resolve()
    named = next((p.name for p in [resolved, *resolved.parents] if p.name not in generic), "")
    name = re.sub(r"[^\w.-]+", "_", named) or "suite2p"
    digest = hashlib.sha256()
    for plane in planes:
        with (plane / "F.npy").open("rb") as file:
            digest.update(file.read(1 << 20))  # the header and some data tell recordings apart
            digest.update(str((plane / "F.npy").stat().st_size).encode())
    return name, f"{name}-{digest.hexdigest()[:8]}"
