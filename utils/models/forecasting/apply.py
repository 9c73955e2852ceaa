"""Use a fitted forecaster on a recording: forecasts streamed window by window, or as a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import h5py
import numpy as np
from tqdm.auto import tqdm

from utils.models.forecasting.base import Forecaster
from utils.training.task import past_covariates

if TYPE_CHECKING:
    from utils.windows import WindowData

BATCH = 256


class WindowForecasts(NamedTuple):
    """Forecasts of some windows."""

    starts: np.ndarray  # (window,) first frame of the context
    predictions: np.ndarray  # (window, horizon, neuron) float32
    split: str


def apply(
    forecaster: Forecaster,
    data: WindowData | str | Path,
    *,
    splits: Sequence[str] | None = None,
    stride: int | None = None,
) -> Iterator[WindowForecasts]:
    """Forecast the windows of a recording, one batch at a time.

    Parameters
    ----------
    data : windows, or the path of a session file (cut with the model's context and horizon).
    splits : names of the blocks to forecast; None: all that the recording has.
    stride : frames between windows; None: the horizon, so that each frame is forecast once.

    Raises
    ------
    DataMismatchError
        Other windows or other neurons than fitted on, unless the model transfers.
    """
    windows = as_windows(forecaster, data)
    return _stream(forecaster, windows, splits, stride or windows.horizon)


def write_predictions(
    path: str | Path,
    forecaster: Forecaster,
    data: WindowData | str | Path,
    *,
    splits: Sequence[str] | None = None,
    stride: int | None = None,
    progress: bool = False,
) -> Path:
    """Forecast as :func:`apply` does, into an HDF5 file that appears only when complete.

    Data sets: ``predictions`` (window, horizon, neuron) float32, ``starts`` and ``start_times``
    (window,) of the first forecast frame in seconds, ``split`` (window,), ``neuron_ids`` (neuron,).
    """
    path = Path(path)
    windows = as_windows(forecaster, data)
    batches = _stream(forecaster, windows, splits, stride or windows.horizon)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(handle)
    try:
        with h5py.File(temporary, "w") as file:
            _write_header(file, forecaster, windows)
            for batch in tqdm(batches, desc="forecasting", unit="batch", disable=not progress):
                _append(file, batch, windows)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def as_windows(forecaster: Forecaster, data: WindowData | str | Path) -> WindowData:
    """Windows of a recording as the forecaster needs them, checked against what it knows."""
    if isinstance(data, str | Path):
        from utils.windows import load_windows

        fitted = forecaster._fitted()
        data = load_windows(data, fitted.context, fitted.horizon)
    forecaster.check_data(data)
    return data


def _stream(
    forecaster: Forecaster, data: WindowData, splits: Sequence[str] | None, stride: int
) -> Iterator[WindowForecasts]:
    blocks = {block.name: block for block in data.splits}
    unknown = set(splits or ()) - set(blocks)
    if unknown:
        raise ValueError(f"no windows in {sorted(unknown)}; this recording has {list(blocks)}")
    for name in splits or blocks:
        for batch in blocks[name].batches(BATCH, stride=stride):
            future = forecaster.predict(batch.past, past_covariates(batch), batch.past_mask)
            yield WindowForecasts(batch.starts.numpy(), future.numpy(), name)


def _write_header(file: h5py.File, forecaster: Forecaster, data: WindowData) -> None:
    shape = (0, data.horizon, data.n_neurons)
    chunk = (1, data.horizon, data.n_neurons)
    file.create_dataset("predictions", shape, "f4", maxshape=(None, *shape[1:]), chunks=chunk)
    file.create_dataset("starts", (0,), "i8", maxshape=(None,))
    file.create_dataset("start_times", (0,), "f8", maxshape=(None,))
    text = h5py.string_dtype()
    file.create_dataset("split", (0,), text, maxshape=(None,))
    file.create_dataset("neuron_ids", data=data.neurons["uuid"].astype(str).tolist(), dtype=text)
    file.attrs.update(
        model=forecaster.name,
        context=data.context,
        horizon=data.horizon,
        frame_rate=data.frame_rate,
        unit=data.unit,
        source=data.source,
        simulated=data.source == "simulated",
        content_hash=data.content_hash,
        fitted_on=forecaster._fitted().content_hash,
    )


def _append(file: h5py.File, batch: WindowForecasts, data: WindowData) -> None:
    done, count = len(file["starts"]), len(batch.starts)
    rows = {
        "predictions": batch.predictions,
        "starts": batch.starts,
        "start_times": data.timestamps[batch.starts + data.context],
        "split": [batch.split] * count,
    }
    for name, values in rows.items():
        file[name].resize(done + count, axis=0)
        file[name][done:] = values
