"""From arrays, or a session file, to :class:`WindowData`, with every input checked."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from utils.splits import (
    SPLIT_NAMES,
    TRAIN,
    check_timestamps,
    split_by_blocks,
    widen_gaps,
)
from utils.windows.data import WindowData
from utils.windows.gather import frames_with_values

if TYPE_CHECKING:
    from utils.sessions.hdf5 import SessionFile


def window_data(
    activity: ArrayLike | Tensor,
    timestamps: ArrayLike | Tensor,
    context: int = 48,
    horizon: int = 16,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    covariates: ArrayLike | Tensor | None = None,
    *,
    split: ArrayLike | None = None,
    frame_mask: ArrayLike | None = None,
    scale: str | None = None,
    neurons: pd.DataFrame | None = None,
    covariate_names: Sequence[str] | None = None,
    source: str = "unknown",
    unit: str = "",
    reach_back: bool = False,
) -> WindowData:
    """Cut plain arrays into contiguous train, validation and test blocks of windows.

    Parameters
    ----------
    activity : (T, N), numpy or torch; NaN = missing. Float32 in row order is used without a
        copy, other types are converted. A frame without any value ends a segment.
    timestamps : (T,) seconds, increasing; a step over 1.5 times the median is a hole.
    context, horizon : past and future frames of a window.
    fractions : shares of train, validation and test; not used when ``split`` is given.
    covariates : (T, C) beside the activity; NaN = missing.
    split : (T,) labels of :mod:`utils.splits`; gaps shorter than a window are widened.
    frame_mask : (T,) bool, True where a frame is valid.
    scale : ``"zscore"`` scales every neuron by mean and deviation of the training block (a
        scaled copy is made); None changes nothing.
    neurons : one row per column of the activity; default: column numbers as ``uuid``.
    source, unit : where the recording comes from (``"simulated"``, ``"ibl"``, ...) and the unit
        of the activity: shown in reprs and reports.
    reach_back : a window belongs to the block that holds all its future frames, and its context
        may lie in the frames before, also of an earlier block, as in benchmarks of time series.
        No gaps are made then: use it where each block may know the past of all that it forecasts.

    Raises
    ------
    ValueError
        Shapes that disagree, timestamps that do not increase, infinite values, or a recording
        that cannot hold one window per block.
    """
    context, horizon = _frames("context", context), _frames("horizon", horizon)
    gap = 0 if reach_back else context + horizon
    values = _as_float32("activity", activity)
    times = check_timestamps(timestamps)
    _check_length(values, times, context + horizon)
    good = _valid_frames(values, frame_mask)
    labels = (
        split_by_blocks(times, fractions, gap, valid=good)
        if split is None
        else widen_gaps(_check_labels(split, len(times)), gap)
    )
    columns, names = _check_covariates(covariates, covariate_names, len(times))
    scaler = None
    if scale is not None:
        values, scaler = _scaled(values, good & (labels == TRAIN), scale)
    return _checked(
        WindowData(
            activity=values,
            timestamps=times,
            split=labels,
            frame_mask=good,
            context=context,
            horizon=horizon,
            neurons=_check_neurons(neurons, values.shape[1]),
            covariates=columns,
            covariate_names=names,
            scaler=scaler,
            source=source,
            unit=unit,
            reach_back=reach_back,
        ),
        "activity",
    )


def load_windows(
    session_file: str | PathLike[str] | SessionFile,
    context: int = 48,
    horizon: int = 16,
    *,
    in_memory: bool | None = None,
) -> WindowData:
    """Windows of a preprocessed session file, with the blocks that are stored in it.

    Parameters
    ----------
    session_file : HDF5 v2 file written by :func:`utils.preprocessing.preprocess`.
    context, horizon : past and future frames of a window. Gaps between blocks that are shorter
        than a window are widened at the start of the later block.
    in_memory : read the activity (True) or map the file (False); None reads it when it takes
        less than half of the free memory.

    Raises
    ------
    ValueError
        A block that cannot hold one window; the message says how long the blocks are.
    """
    from utils.sessions.hdf5 import SessionFile  # plain arrays need no reader of files

    file = session_file if isinstance(session_file, SessionFile) else SessionFile(session_file)
    context, horizon = _frames("context", context), _frames("horizon", horizon)
    values = _as_float32(f"{file.path}: activity", _stored_activity(file, in_memory))
    times = check_timestamps(file.timestamps)
    columns, names = _check_covariates(file.covariates, file.covariate_names, len(times))
    return _checked(
        WindowData(
            activity=values,
            timestamps=times,
            split=widen_gaps(_check_labels(file.split, len(times)), context + horizon),
            frame_mask=np.asarray(file.frame_mask, bool),
            context=context,
            horizon=horizon,
            neurons=_check_neurons(file.neurons, values.shape[1]),
            covariates=columns,
            covariate_names=names,
            scaler=file.scaler or None,
            source=file.source,
            unit=file.unit,
            stored_hash=file.content_hash or None,
        ),
        str(file.path),
    )


def _stored_activity(file: SessionFile, in_memory: bool | None) -> NDArray[np.float32]:
    stored = file.activity
    if not isinstance(stored, np.memmap):  # compressed, by another program: was read as a whole
        return stored
    if in_memory or (in_memory is None and stored.nbytes < _free_memory() / 2):
        return np.array(stored)
    try:
        # Private pages: a write by mistake changes a copy instead of crashing the process.
        return np.memmap(file.path, stored.dtype, "c", offset=stored.offset, shape=stored.shape)
    except OSError:  # what exceeds all memory can be mapped for reading alone
        return stored


def _frames(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number of frames >= 1, found {value!r}")
    return int(value)


def _as_float32(name: str, values: ArrayLike | Tensor) -> Tensor:
    """(time, column) float32 in row order; shares memory where that is already so."""
    if isinstance(values, Tensor):
        tensor = values.detach().cpu()
    else:
        tensor = _shared_tensor(name, np.asanyarray(values))
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise ValueError(f"{name} must be (time, column), found shape {tuple(tensor.shape)}")
    return tensor.to(torch.float32).contiguous()


def _shared_tensor(name: str, array: NDArray) -> Tensor:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, found dtype {array.dtype}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    array = np.require(array, requirements=["C", "A"])  # a mapped file may be misaligned
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _check_length(values: Tensor, times: NDArray[np.float64], window: int) -> None:
    if len(values) != len(times):
        raise ValueError(
            f"activity has {len(values)} frames and timestamps {len(times)}; "
            f"activity must be (time, neuron): is it transposed?"
        )
    if len(values) < window:
        raise ValueError(
            f"recording of {len(values)} frames is shorter than one window of {window} frames "
            f"(context + horizon); use a shorter context or horizon"
        )


def _valid_frames(values: Tensor, frame_mask: ArrayLike | None) -> NDArray[np.bool_]:
    """Frames that hold any value and are not masked."""
    good = frames_with_values(values, "activity")
    if frame_mask is not None:
        mask = np.asarray(frame_mask, bool)
        if mask.shape != good.shape:
            raise ValueError(f"frame_mask has shape {mask.shape}, expected {good.shape}")
        good &= mask
    if not good.any():
        raise ValueError(f"none of the {len(good)} frames is valid: all are NaN or masked")
    return good


def _check_labels(split: ArrayLike, n_frames: int) -> NDArray[np.int8]:
    labels = np.asarray(split)
    if labels.shape != (n_frames,):
        raise ValueError(f"split has shape {labels.shape}, expected ({n_frames},): one per frame")
    unknown = sorted(set(np.unique(labels).tolist()) - set(SPLIT_NAMES))
    if unknown:
        raise ValueError(f"split has unknown labels {unknown}; known: {SPLIT_NAMES}")
    return labels.astype(np.int8)


def _check_covariates(
    covariates: ArrayLike | Tensor | None, names: Sequence[str] | None, n_frames: int
) -> tuple[Tensor | None, tuple[str, ...]]:
    if covariates is None:
        if names is not None and len(names):
            raise ValueError("covariate_names are given but covariates are not")
        return None, ()
    values = _as_float32("covariates", covariates)
    if len(values) != n_frames:
        raise ValueError(f"covariates have {len(values)} frames, the activity has {n_frames}")
    frames_with_values(values, "covariates")  # refuses infinite ones
    if names is None:
        names = [f"covariate_{i}" for i in range(values.shape[1])]
    if len(names) != values.shape[1]:
        raise ValueError(f"{len(names)} covariate_names for {values.shape[1]} covariates")
    return values, tuple(str(name) for name in names)


def _check_neurons(neurons: pd.DataFrame | None, n_neurons: int) -> pd.DataFrame:
    if neurons is None or neurons.shape[1] == 0:
        return pd.DataFrame({"uuid": [str(i) for i in range(n_neurons)]})
    if len(neurons) != n_neurons:
        raise ValueError(f"neurons has {len(neurons)} rows, the activity has {n_neurons} columns")
    return neurons.reset_index(drop=True)


def _scaled(values: Tensor, fit_on: NDArray[np.bool_], method: str) -> tuple[Tensor, dict]:
    if method != "zscore":
        raise ValueError(f"scale = {method!r}: expected 'zscore' or None")
    rows = values[torch.from_numpy(fit_on)].double()
    count = (~rows.isnan()).sum(0)
    mean = (rows.nansum(0) / count).nan_to_num(0.0)  # a neuron without any value: 0
    deviation = ((rows - mean).square().nansum(0) / count).sqrt().nan_to_num(0.0)
    # A constant neuron becomes 0 instead of rounding noise blown up.
    flat = deviation <= 1e-6 * mean.abs().clamp(min=1e-30)
    deviation[flat] = 1.0
    offset, scale = mean.float(), deviation.float()
    scaler = {"method": method, "offset": offset.numpy(), "scale": scale.numpy()}
    return (values - offset) / scale, scaler


def _checked(data: WindowData, what: str) -> WindowData:
    """Refuse data of which a block holds no window."""
    blocks = (data.train, data.validation, data.test)
    empty = [block.name for block in blocks if not len(block)]
    if empty:
        found = ", ".join(f"{block.name} {block.n_frames}" for block in blocks)
        raise ValueError(
            f"{what}: recording too short for windows of {data.context} + {data.horizon} = "
            f"{data.window} frames: no window fits into {' and '.join(empty)} (valid frames: "
            f"{found}); use a shorter context or horizon, or a longer recording"
        )
    return data


def _free_memory() -> int:
    """Bytes of free memory; half of all memory where the system does not say."""
    page = os.sysconf("SC_PAGE_SIZE")
    if "SC_AVPHYS_PAGES" in os.sysconf_names:
        return page * os.sysconf("SC_AVPHYS_PAGES")
    return page * os.sysconf("SC_PHYS_PAGES") // 2
