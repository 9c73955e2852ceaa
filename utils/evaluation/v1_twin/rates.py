"""Predicted rates along a recording, and how they and the responses lie over repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from utils.datasets.v1.dataset import V1Dataset
from utils.datasets.v1.sequences import V1Sequences
from utils.datasets.v1.splits import HELD_OUT
from utils.models.v1_twin.twin import V1Twin
from utils.splits import TEST

UNSEEN = (TEST, HELD_OUT)  # labels of trials that neither weights nor settings were fitted to
BATCH = 16  # sequences at once

PredictSequences = Callable[[V1Sequences], Tensor]
"""From sequences to rates (sequence, bin, cell), of their last bins at least."""


@torch.no_grad()
def predict_rates(
    model: V1Twin | PredictSequences,
    dataset: V1Dataset,
    *,
    labels: Iterable[int] = UNSEEN,
    sequence_bins: int = 120,
) -> NDArray[np.float32]:
    """Rates (time, cell) in counts per bin, NaN where nothing is predicted.

    Each bin that has all of its lags is predicted once, whether or not its response counts.

    Parameters
    ----------
    model : a twin, which is used in evaluation mode, or any function of sequences.
    labels : of the trials to predict; default: test and held-out ones.
    sequence_bins : bins that are predicted in one pass, as in training.
    """
    predict = _twin(model, dataset.config.name) if isinstance(model, V1Twin) else model
    rates = np.full(dataset.responses.shape, np.nan, np.float32)
    for label in labels:
        index = dataset.sequences(label, sequence_bins)
        parts = np.array_split(np.arange(len(index.firsts)), -(-len(index.firsts) // BATCH) or 1)
        for part in tqdm(parts, f"rates of {dataset.config.name}", leave=False, delay=1):
            if not len(part):
                continue
            sequences, bins = index.take(part), index.take(part).bins
            predicted = predict(dataset.gather(sequences))[:, -sequence_bins:]
            rates[bins[bins >= 0]] = predicted.float().cpu().numpy()[bins >= 0]
    return rates


def by_repeat(
    values: NDArray, dataset: V1Dataset, stim_type: str, mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Values (time, cell) of a movie that is repeated, as (repeat, time, cell).

    A repeat begins where a trial does, or the movie starts again. Bins outside of the mask
    (time, cell) are NaN; nothing is repeated: no repeat.
    """
    recording = dataset.recording
    place = recording.psth_inds
    rows = np.flatnonzero((place >= 0) & of_type(dataset, stim_type) & mask.any(axis=1))
    new = (np.diff(recording.trial_inds[rows]) != 0) | (np.diff(place[rows]) <= 0)
    repeat = np.cumsum(np.r_[0, new])[: len(rows)]
    places, column = np.unique(place[rows], return_inverse=True)
    together = np.full((len(np.unique(repeat)), len(places), values.shape[1]), np.nan)
    together[repeat, column] = np.where(mask[rows], values[rows], np.nan)
    return together


def of_type(dataset: V1Dataset, stim_type: str) -> NDArray[np.bool_]:
    """(time,) bins that show stimuli of one type."""
    index = dataset.recording.metadata["stim_types"].index(stim_type)
    return dataset.recording.stim_type == index


def repeated_types(dataset: V1Dataset) -> list[str]:
    """Stimulus types of which something is repeated."""
    recording = dataset.recording
    shown = np.unique(recording.stim_type[recording.psth_inds >= 0])
    return [recording.metadata["stim_types"][index] for index in shown]


def _twin(model: V1Twin, name: str) -> PredictSequences:
    model.eval()
    device = next(model.parameters()).device

    def predict(sequences: V1Sequences) -> Tensor:
        inputs = [None if part is None else part.to(device) for part in sequences[:3]]
        return model(name, *inputs, n_bins=sequences.mask.shape[1])

    return predict
