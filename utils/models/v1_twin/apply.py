"""Rates of a session's cells for stimuli that they were never shown."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from utils.models.v1_twin.twin import V1Twin


@torch.no_grad()
def apply(
    model: V1Twin,
    dataset: str,
    stimulus: NDArray | None,
    behavior: NDArray | None = None,
    responses: NDArray | None = None,
    *,
    n_lags: int | None = None,
    sequence_bins: int = 120,
) -> NDArray[np.float32]:
    """Rates (time, cell) in counts per bin; NaN for the first bins, which lack frames before them.

    For a whole recording, with its trials and gaps, see ``utils.evaluation.v1_twin``.

    Parameters
    ----------
    dataset : whose cells to predict.
    stimulus : (time, [channel,] row, column) at the rate of the data set: uint8 pixels, or floats
        after its transforms. None for a twin of behaviour alone.
    behavior : (time, column) after the data set's transforms, where the twin looks at it.
    responses : (time, cell), for a twin with a history.
    n_lags : frames that a bin is predicted from; by default as the twin was trained.
    sequence_bins : bins that are predicted in one pass.

    Raises
    ------
    ValueError
        No time left to predict, inputs of different lengths, or what the twin itself refuses.
    """
    inputs = [None if x is None else np.asarray(x) for x in (stimulus, behavior, responses)]
    n_bins = _common_length(inputs)
    n_lags = _trained_lags(model, dataset) if n_lags is None else n_lags
    if n_bins < n_lags:
        raise ValueError(f"{n_bins} frames are too few: the first prediction needs {n_lags}")
    model.eval()
    device = next(model.parameters()).device
    rates = np.full((n_bins, len(model.datasets[dataset].cell_ids)), np.nan, np.float32)
    for first in tqdm(range(n_lags - 1, n_bins, sequence_bins), f"rates of {dataset}", delay=1):
        stop = min(first + sequence_bins, n_bins)
        frames = slice(first - n_lags + 1, stop)
        sequence = [None if x is None else _batch_of_one(x[frames]).to(device) for x in inputs]
        found = model(dataset, *sequence, n_bins=stop - first)
        rates[first:stop] = found[0].float().cpu().numpy()
    return rates


def _batch_of_one(values: NDArray) -> Tensor:
    values = values if values.dtype == np.uint8 else values.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(values))[None]


def _common_length(inputs: list[NDArray | None]) -> int:
    lengths = {len(values) for values in inputs if values is not None}
    if len(lengths) != 1:
        raise ValueError(f"stimulus, behavior and responses differ in length: {sorted(lengths)}")
    return lengths.pop()


def _trained_lags(model: V1Twin, dataset: str) -> int:
    if model.trained_on is None:
        raise ValueError("this twin was not trained; say by n_lags how many frames a bin needs")
    return model.trained_on.dataset(dataset).n_lags
