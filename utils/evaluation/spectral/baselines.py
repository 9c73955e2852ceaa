"""What heads are compared with: guesses of parameters that need no network.

Samples may lack the truth of some heads: their class is -1 there, their value NaN. They teach
nothing about these heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import NearestNeighbors

from utils.datasets.vimh.parameters import class_index
from utils.models.spectral import Head, HeadPrediction
from utils.models.spectral.network import Batch

PENALTIES = np.logspace(-9, 3, 25)  # of ridge, chosen by leaving out one sample after the other

Predictions = Mapping[str, HeadPrediction]  # by name of the head


class Samples(NamedTuple):
    """Inputs and truth of a part of a data set, whole."""

    inputs: NDArray[np.float64]  # (sample, pixel), or points in time of sounds
    auxiliary: NDArray[np.float64]  # (sample, A)
    labels: NDArray[np.int64]  # (sample, head)
    values: NDArray[np.float64]  # (sample, head), in the parameters' own units


class _Guess(NamedTuple):
    """Classes and values (sample, head)."""

    classes: NDArray[np.int64]
    values: NDArray[np.float64]


def samples_of(batches: Iterable[Batch]) -> Samples:
    """All batches of a loader, in order.

    Raises
    ------
    ValueError
        There are none.
    """
    parts = list(zip(*batches))
    if not parts or not sum(map(len, parts[0])):
        raise ValueError("a part of the data set is empty: nothing can be fitted or scored")
    inputs, auxiliary, labels, values = (torch.cat(part).numpy() for part in parts)
    flat = inputs.reshape(len(inputs), -1).astype(float)
    return Samples(flat, auxiliary.astype(float), labels, values.astype(float))


def baseline_predictions(
    train: Samples, test: Samples, heads: Sequence[Head]
) -> dict[str, Predictions]:
    """Predictions of the test samples by each baseline, fitted to the training samples.

    ``majority`` says the most frequent class, ``mean`` the mean value, ``nearest neighbour`` what
    belongs to the most similar training sample, and ``ridge`` a linear function of the inputs. The
    last two see what the model sees: pixels (or sounds) and auxiliary inputs.
    """
    guesses = {name: guess(train, test, heads) for name, guess in BASELINES.items()}
    return {name: _by_head(guess, heads) for name, guess in guesses.items()}


def true_classes(test: Samples, heads: Sequence[Head]) -> Predictions:
    """Always the right class and its value: no head with classes can do better."""
    values = [head.class_values[labels] for head, labels in zip(heads, test.labels.T)]
    return _by_head(_Guess(test.labels, np.stack(values, axis=1)), heads)


def _by_head(guess: _Guess, heads: Sequence[Head]) -> Predictions:
    return {
        head.name: HeadPrediction(guess.classes[:, i], guess.values[:, i], None)
        for i, head in enumerate(heads)
    }


def _majority(train: Samples, test: Samples, heads: Sequence[Head]) -> _Guess:
    classes = np.array([np.bincount(labels[labels >= 0]).argmax() for labels in train.labels.T])
    values = np.array([head.class_values[k] for head, k in zip(heads, classes)])
    shape = test.labels.shape
    return _Guess(np.broadcast_to(classes, shape), np.broadcast_to(values, shape))


def _mean(train: Samples, test: Samples, heads: Sequence[Head]) -> _Guess:
    values = np.broadcast_to(np.nanmean(train.values, axis=0), test.values.shape)
    return _Guess(_nearest_classes(values, heads), values)


def _ridge(train: Samples, test: Samples, heads: Sequence[Head]) -> _Guess:
    features, asked = _features(train, test)
    values = np.empty(test.values.shape)
    for known, of_heads in _known_together(train):
        ridge = RidgeCV(PENALTIES, alpha_per_target=True)
        ridge.fit(features[known], train.values[known][:, of_heads])
        values[:, of_heads] = ridge.predict(asked).reshape(len(asked), -1)
    return _Guess(_nearest_classes(values, heads), values)


def _nearest_neighbour(train: Samples, test: Samples, heads: Sequence[Head]) -> _Guess:
    features, asked = _features(train, test)
    place = np.empty(test.labels.shape, int)  # (sample, head)
    for known, of_heads in _known_together(train):
        nearest = NearestNeighbors(n_neighbors=1).fit(features[known])
        place[:, of_heads] = known[nearest.kneighbors(asked, return_distance=False)]
    return _Guess(*(np.take_along_axis(truth, place, axis=0) for truth in train[2:]))


BASELINES: dict[str, Callable[[Samples, Samples, Sequence[Head]], _Guess]] = {
    "majority": _majority,
    "mean": _mean,
    "ridge": _ridge,
    "nearest neighbour": _nearest_neighbour,
}


def _features(train: Samples, test: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inputs beside auxiliary ones; all pixels together weigh as much as one of these."""
    mean = train.inputs.mean(axis=0)
    weight = np.sqrt(((train.inputs - mean) ** 2).sum(axis=1).mean()) or 1.0
    known, asked = (
        np.hstack([(part.inputs - mean) / weight, part.auxiliary]) for part in (train, test)
    )
    return known, asked


def _known_together(train: Samples) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Heads whose truth is known of the same samples, which one fit can serve: samples, heads."""
    patterns, group = np.unique(train.labels >= 0, axis=1, return_inverse=True)
    for i, pattern in enumerate(patterns.T):
        yield np.flatnonzero(pattern), np.flatnonzero(group == i)


def _nearest_classes(values: NDArray[np.float64], heads: Sequence[Head]) -> NDArray[np.int64]:
    classes = [
        class_index(of_head, head.minimum, head.maximum, head.step)
        for head, of_head in zip(heads, values.T)
    ]
    return np.stack(classes, axis=1)
