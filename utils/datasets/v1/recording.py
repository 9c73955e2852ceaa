"""A V1 recording: arrays of equal length on one clock, in memory or in a file.

=============  ===========================  =======================================================
stim           (T, H, W) uint8 or float     what the centre of gaze sees; row 0 is up, column 0 left
robs           (T, N)                       responses: counts per bin, or floats for calcium
trial_inds     (T,) int                     number of the trial; a trial is contiguous
eyepos         (T, 2), optional             azimuth (right +), elevation (up +), deg; NaN where lost
valid          (T,), (T, 1) or (T, N) bool  False where a response must not be used; default all
t_bins         (T,)                         centre of the bin, s; by default bins without a pause
stim_type      (T,) int                     index into the metadata's stim_types; default 0
psth_inds      (T,) int                     place in a movie that is repeated, else -1 (default)
sf, ori, phase  (T,)                        of gratings, c/deg, deg, rad; NaN elsewhere (default)
behavior       (T, D), optional             more behaviour: running, pupil, ..
=============  ===========================  =======================================================

Metadata are ``rate_hz`` (bins per second) and ``px_per_deg``, which are needed, ``name``,
``cell_ids`` (N,), ``stim_types``, ``simulated`` and whatever else is worth knowing. In a
dictionary and in an ``.npz`` file they are entries beside the arrays, in HDF5 attributes of the
file. The pixel (i, j) lies at azimuth (j - (W - 1) / 2) / px_per_deg and elevation
((H - 1) / 2 - i) / px_per_deg deg from the centre of gaze.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.datasets.v1.checks import ARRAYS, check_cell_ids, complete_arrays, complete_metadata
from utils.paths import atomic_file

logger = logging.getLogger(__name__)

SUFFIXES = (".h5", ".hdf5", ".npz")
GRATING = ("sf", "ori", "phase")


@dataclass(frozen=True, eq=False)
class V1Recording:
    """A checked recording; see the head of this module for its arrays.

    Frames of a file written by :func:`write_recording` stay on disk and are mapped.

    Attributes
    ----------
    stim : None where there was no stimulus.
    valid : (T, 1) or (T, N).
    path : of the file it was read from.
    """

    stim: NDArray | None
    robs: NDArray
    trial_inds: NDArray[np.int64]
    eyepos: NDArray[np.float32] | None
    valid: NDArray[np.bool_]
    t_bins: NDArray[np.float64]
    stim_type: NDArray[np.int8]
    psth_inds: NDArray[np.int32]
    sf: NDArray[np.float32]
    ori: NDArray[np.float32]
    phase: NDArray[np.float32]
    behavior: NDArray[np.float32] | None
    metadata: dict[str, Any]
    path: Path | None = None

    def __repr__(self) -> str:
        about = self.metadata
        return (
            f"<V1 recording {about['name']}: {self.n_cells} cells, {len(self.trials)} trials, "
            f"{self.n_bins / about['rate_hz'] / 60:.1f} min at {about['rate_hz']:g} Hz>"
        )

    def __reduce__(self) -> tuple:
        """Another process maps the file itself."""
        if self.path is not None:
            return read_recording, (self.path,)
        return V1Recording, tuple(getattr(self, field.name) for field in fields(self))

    @property
    def n_bins(self) -> int:
        """T."""
        return self.robs.shape[0]

    @property
    def n_cells(self) -> int:
        """N."""
        return self.robs.shape[1]

    @cached_property
    def trials(self) -> NDArray[np.int64]:
        """(trial, 2) first bin and one past the last bin of each."""
        borders = np.flatnonzero(np.diff(self.trial_inds)) + 1
        return np.stack([np.r_[0, borders], np.r_[borders, self.n_bins]], axis=1)

    @property
    def trial_types(self) -> list[str]:
        """Stimulus type of each trial."""
        names = self.metadata["stim_types"]
        return [names[index] for index in self.stim_type[self.trials[:, 0]]]


def read_recording(path: str | Path) -> V1Recording:
    """Read a recording from HDF5 or ``.npz``.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        A file that is truncated or no recording, or an array that is missing, of a wrong kind, or
        does not fit the others; the message names it.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: a V1 recording is one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such V1 recording")
    values = _read_npz(path) if path.suffix == ".npz" else _read_hdf5(path)
    return _recording(values, path)


def write_recording(
    path: str | Path, arrays: Mapping[str, ArrayLike], metadata: Mapping[str, Any]
) -> Path:
    """Check and write a recording; the file appears under its name when it is whole.

    Parameters
    ----------
    path : ``.h5`` (frames can be mapped) or ``.npz``.
    arrays, metadata : see the head of this module; arrays that are None are left out.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: a V1 recording is one of {', '.join(SUFFIXES)}")
    recording = _recording({**arrays, **metadata}, path)
    checked = {name: getattr(recording, name) for name in ARRAYS}
    present = {name: array for name, array in checked.items() if array is not None}
    with atomic_file(path) as temporary:
        if path.suffix == ".npz":
            with temporary.open("wb") as file:
                np.savez(file, **present, **recording.metadata)
        else:
            _write_hdf5(temporary, present, recording.metadata)
    return path


def as_recording(source: str | Path | Mapping[str, Any] | V1Recording) -> V1Recording:
    """A checked recording from a file, or from a dictionary of arrays and metadata.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_recording`.
    """
    if isinstance(source, V1Recording):
        return source
    return _recording(source) if isinstance(source, Mapping) else read_recording(source)


def to_rate(recording: V1Recording, rate_hz: float = 120.0) -> V1Recording:
    """The recording in wider bins.

    Counts are summed, frames decimated (as their grating parameters and places in a movie),
    analogue signals averaged; a bin is valid where all of its bins were. Trials stay whole: bins
    are joined from each trial's start on, and those left over at its end are dropped.

    Raises
    ------
    ValueError
        ``rate_hz`` does not divide the rate of the recording.
    """
    old = recording.metadata["rate_hz"]
    factor = round(old / rate_hz)
    if factor < 1 or not np.isclose(factor * rate_hz, old, rtol=1e-3):
        raise ValueError(
            f"{recording.metadata['name']} has {old:g} bins per second, which cannot be reduced to "
            f"{rate_hz:g}; use a rate that divides it, such as {old / max(factor, 1):g}"
        )
    if factor == 1:
        return recording
    whole = [np.arange(a, b - factor + 1, factor) for a, b in recording.trials]
    first = np.concatenate(whole)
    parts = first[:, None] + np.arange(factor)  # (bin, part)
    place = recording.psth_inds[first]
    arrays = {
        **{name: getattr(recording, name)[first] for name in ("trial_inds", "stim_type", *GRATING)},
        "t_bins": recording.t_bins[parts].mean(axis=1),
        "robs": recording.robs[parts].sum(axis=1),
        "valid": recording.valid[parts].all(axis=1),
        "psth_inds": np.where(place < 0, -1, place // factor).astype(np.int32),
    }
    if recording.stim is not None:
        arrays["stim"] = recording.stim[first]
    for name in ("eyepos", "behavior"):
        if getattr(recording, name) is not None:
            arrays[name] = getattr(recording, name)[parts].mean(axis=1)
    metadata = {**recording.metadata, "rate_hz": old / factor}
    return replace(recording, **arrays, metadata=metadata, path=None)


def _recording(values: Mapping[str, Any], path: Path | None = None) -> V1Recording:
    """A recording from arrays and metadata side by side."""
    where = "V1 recording" if path is None else str(path)
    given = {key: value for key, value in values.items() if value is not None}
    others = {key: value for key, value in given.items() if key not in ARRAYS}
    unused = [key for key, value in others.items() if _is_array(value, given.get("robs", ()))]
    if unused:
        logger.info("%s: not used: %s", where, ", ".join(unused))
    about = {key: _plain(value) for key, value in others.items() if key not in unused}
    metadata = complete_metadata(about, path.stem if path else "recording", where)
    given = {key: value for key, value in given.items() if key in ARRAYS}
    arrays = complete_arrays(given, metadata, where)
    n_cells = arrays["robs"].shape[1]
    metadata.setdefault("cell_ids", list(range(n_cells)))
    check_cell_ids(metadata["cell_ids"], n_cells, where)
    return V1Recording(**arrays, metadata=metadata, path=path)


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (BadZipFile, EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path} is truncated or no .npz file of arrays ({error})") from None


def _read_hdf5(path: Path) -> dict[str, Any]:
    try:
        with h5py.File(path, "r") as file:
            groups = [name for name in file if not isinstance(file[name], h5py.Dataset)]
            arrays = {name: _array(path, file[name]) for name in file if name not in groups}
            return {**file.attrs, **arrays}
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} is truncated or no HDF5 file ({error})") from None


def _array(path: Path, item: h5py.Dataset) -> NDArray:
    """Frames, and what is no part of a recording, are mapped where they lie in one piece."""
    name, offset = item.name.lstrip("/"), item.id.get_offset()
    if offset is None or item.dtype.kind not in "uif" or (name in ARRAYS and name != "stim"):
        return item[()]
    return np.memmap(path, item.dtype, "r", offset, item.shape)


def _write_hdf5(path: Path, arrays: Mapping[str, NDArray], metadata: Mapping[str, Any]) -> None:
    with h5py.File(path, "w", libver="v110") as file:  # older attributes hold 64 KB at most
        for name, array in arrays.items():
            file.create_dataset(name, data=array)  # in one piece, so that it can be mapped
        file.attrs.update(metadata)


def _is_array(value: Any, robs: Any) -> bool:
    """Whether this is one more array of the recording, and no metadata."""
    return np.ndim(value) > 0 and len(value) == len(robs) > 0 and np.ndim(robs) > 0


def _plain(value: Any) -> Any:
    """Metadata as Python knows them, whatever a file made of them."""
    value = np.asarray(value).tolist()
    items = value if isinstance(value, list) else [value]
    texts = [item.decode() if isinstance(item, bytes) else item for item in items]
    return texts if isinstance(value, list) else texts[0]
