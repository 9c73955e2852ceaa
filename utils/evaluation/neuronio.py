"""How well does a model predict the spikes and the voltage of NeuronIO's neuron, as published?

Windows of 500 ms start at rest, every 350 ms; their first 150 ms are not used but for the first
window. Predicted voltages are aligned to the mean and the standard deviation of the true ones of
the same file. The first 500 ms and simulations with more than 24 spikes do not count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from utils.datasets.neuronio import (
    INPUTS,
    SOMA_BIAS_MV,
    SOMA_CAP_MV,
    SOMA_SCALE,
    NeuronIOSimulations,
    NeuronIOStore,
)
from utils.datasets.neuronio.native import native_files, read_native_file
from utils.datasets.neuronio.simulations import signs
from utils.datasets.neuronio.store import SUFFIX, converted_files, open_converted
from utils.metrics.neuronio import counted_ms, neuronio_metrics
from utils.models.elm.recurrence import Events

logger = logging.getLogger(__name__)

WINDOWS_AT_ONCE = 64
DENSE_WINDOWS_AT_ONCE = 16  # 41 MB


class NeuronIOModel(Protocol):
    """What is scored; with ``forward_events`` beside it, inputs never become dense."""

    def neuronio_eval_forward(self, X: Tensor) -> Tensor:
        """(batch, time, 1278) -> (batch, time, 2): spike probability, mV above -67.7 mV."""


class NeuronIOPrediction(NamedTuple):
    """A file's simulations and what a model makes of them, all (simulation, time) float64."""

    spikes: NDArray[np.float64]  # 1 in a ms with a spike
    probability: NDArray[np.float64]
    soma_mv: NDArray[np.float64]  # cut off at -55 mV
    predicted_mv: NDArray[np.float64]  # aligned to soma_mv

    def counted(self) -> NeuronIOPrediction:
        """What counts for the published scores, (ms,)."""
        simulations, times = counted_ms(self.spikes)
        return NeuronIOPrediction(*(values[simulations, times].ravel() for values in self))


def evaluate_neuronio(
    model: NeuronIOModel, simulations: Any, burn_in: int = 150, window: int = 500
) -> dict[str, float]:
    """The published scores of a model.

    Parameters
    ----------
    model, simulations, burn_in, window : as of :func:`predict_neuronio`.

    Returns
    -------
    ``auc`` of spikes over all ms that count; ``rmse_mv``; ``explained_variance`` as a fraction. NaN
    where a score is not defined (no spike, nothing that counts), with a warning in the log. For
    more scores see :func:`utils.metrics.neuronio_metrics`.
    """
    counted = [
        prediction.counted() for prediction in predict_neuronio(model, simulations, burn_in, window)
    ]
    scores = neuronio_metrics(*map(np.concatenate, zip(*counted)))
    return {name: scores[name] for name in ("auc", "rmse_mv", "explained_variance")}


@torch.no_grad()
def predict_neuronio(
    model: NeuronIOModel, simulations: Any, burn_in: int = 150, window: int = 500
) -> Iterator[NeuronIOPrediction]:
    """Predict file by file, on the device of the model and in evaluation mode.

    Parameters
    ----------
    model : anything with ``neuronio_eval_forward``; ``forward_events``, which gives the logit of a
        spike and the scaled voltage, is used where there is one.
    simulations : native or converted files or folders of them, an open store, or arrays (inputs
        (simulation, time, input), spikes (simulation, time), soma_mv (simulation, time)), which
        count as one file.
    burn_in : ms at the start of a window that are not used.
    window : ms.

    Raises
    ------
    FileNotFoundError, ValueError
        No files or wrong ones, arrays that do not belong together, or a burn-in that fills the
        window.
    """
    if not 0 <= burn_in < window:
        raise ValueError(f"expected 0 <= burn_in < window, found {burn_in} and {window}")
    was_training = getattr(model, "training", False)
    try:
        if was_training:
            model.eval()
        for file in _files(simulations):
            yield _predict_file(model, file, burn_in, window)
    finally:
        if was_training:
            model.train()


class _Simulations(NamedTuple):
    """Simulations of a file as events with any values."""

    idx: NDArray[np.integer]  # (event,)
    val: NDArray  # (event,)
    ptr: NDArray[np.int64]  # (simulation, time + 1) places in idx
    n_inputs: int
    spikes: NDArray  # (simulation, time)
    soma_mv: NDArray  # (simulation, time)


def _files(simulations: Any) -> Iterator[_Simulations]:
    if isinstance(simulations, NeuronIOStore):
        yield from map(_from_file, simulations.files)
    elif isinstance(simulations, NeuronIOSimulations):
        yield _from_file(simulations)
    elif isinstance(simulations, str | Path) or isinstance(simulations[0], str | Path):
        paths = [simulations] if isinstance(simulations, str | Path) else simulations
        opened = [reader for path in paths for reader in _readers(Path(path))]
        for read, path in tqdm(opened, desc="scoring", unit="file", leave=False, delay=1):
            yield _from_file(read(path))
    else:
        yield _from_arrays(simulations)


def _readers(path: Path) -> list[tuple[Callable[[Path], NeuronIOSimulations], Path]]:
    """Files of a path, each with what reads it; converted ones where a folder has both."""
    if path.suffix == SUFFIX or (path.is_dir() and any(path.rglob(f"*{SUFFIX}"))):
        return [(open_converted, file) for file in converted_files(path)]
    return [(read_native_file, file) for file in native_files(path)]


def _from_file(file: NeuronIOSimulations) -> _Simulations:
    ends = file.first[:-1, None] + file.counts.cumsum(axis=1, dtype=np.int64)
    ptr = np.column_stack([file.first[:-1], ends])
    return _Simulations(file.idx, signs(file.idx), ptr, INPUTS, file.spikes, file.soma_mv)


def _from_arrays(arrays: Sequence[Any]) -> _Simulations:
    """Any values of the inputs are kept."""
    inputs, spikes, soma_mv = (torch.as_tensor(array).cpu().numpy() for array in arrays)
    if inputs.ndim != 3 or not (inputs.shape[:2] == spikes.shape == soma_mv.shape):
        raise ValueError(
            "expected inputs (simulation, time, input), spikes and soma_mv (simulation, time); "
            f"found {inputs.shape}, {spikes.shape} and {soma_mv.shape}"
        )
    n_simulations, duration, n_inputs = inputs.shape
    found = [np.nonzero(of_one) for of_one in inputs]
    counts = np.stack([np.bincount(ms, minlength=duration) for ms, _ in found])
    return _Simulations(
        idx=np.concatenate([idx for _, idx in found]),
        val=np.concatenate([of_one[place] for of_one, place in zip(inputs, found)]),
        ptr=np.concatenate([[0], counts.cumsum()])[
            np.arange(n_simulations)[:, None] * duration + np.arange(duration + 1)
        ],
        n_inputs=n_inputs,
        spikes=spikes,
        soma_mv=soma_mv,
    )


def _predict_file(
    model: NeuronIOModel, file: _Simulations, burn_in: int, window: int
) -> NeuronIOPrediction:
    n_simulations, duration = file.spikes.shape
    n_windows = 1 + max(0, -(-(duration - window) // (window - burn_in)))
    predicted = np.empty((n_simulations, duration, 2))
    rows = [(s, k * (window - burn_in)) for s in range(n_simulations) for k in range(n_windows)]
    at_once = WINDOWS_AT_ONCE if hasattr(model, "forward_events") else DENSE_WINDOWS_AT_ONCE
    for first in tqdm(range(0, len(rows), at_once), desc="windows", leave=False, delay=1):
        some = rows[first : first + at_once]
        outputs = _outputs(model, file, some, window)  # (window, time, 2)
        for (simulation, start), output in zip(some, outputs):
            begin = burn_in if start else 0
            stretch = predicted[simulation, start + begin : start + window]
            stretch[:] = output[begin : begin + len(stretch)]
    soma_mv = np.minimum(file.soma_mv.astype(np.float64), SOMA_CAP_MV)
    return NeuronIOPrediction(
        spikes=file.spikes.astype(np.float64),
        probability=predicted[..., 0],
        soma_mv=soma_mv,
        predicted_mv=_aligned(predicted[..., 1] + SOMA_BIAS_MV, soma_mv),
    )


def _outputs(
    model: NeuronIOModel, file: _Simulations, rows: Sequence[tuple[int, int]], window: int
) -> NDArray[np.float32]:
    """(window, time, 2) probability and mV above -67.7 of windows given by simulation and start.

    Behind the end of a simulation nothing arrives any more.
    """
    simulation, start = np.array(rows).T
    times = np.minimum(start[:, None] + np.arange(window + 1), file.ptr.shape[1] - 1)
    ptr = file.ptr[simulation[:, None], times]  # windows that overlap share their events
    first, last = ptr.min(), ptr.max()
    device = _device(model)
    idx = torch.from_numpy(file.idx[first:last].astype(np.int32)).to(device)
    val = torch.from_numpy(file.val[first:last]).to(device)
    events = Events(idx, torch.from_numpy(ptr - first).to(device), val)
    if not hasattr(model, "forward_events"):
        return model.neuronio_eval_forward(events.dense(file.n_inputs)).float().cpu().numpy()
    logit, soma = model.forward_events(*events).float().unbind(dim=2)
    return torch.stack([logit.sigmoid(), soma / SOMA_SCALE], dim=2).cpu().numpy()


def _device(model: NeuronIOModel) -> torch.device:
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


def _aligned(predicted: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shifted and scaled to the mean and the standard deviation of the true values of a file."""
    if np.ptp(predicted) == 0:
        logger.warning("the predicted voltage is constant: it is set to the mean of the true one")
        return np.full_like(predicted, true.mean())
    standardised = (predicted - predicted.mean()) / predicted.std()
    return true.mean() + true.std() * standardised
