"""Examples with one class each: images, or sequences of tokens, in three parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

PADDING = 0  # the token that fills sequences up, at their beginning


class Examples(NamedTuple):
    """Some examples, and what they are."""

    inputs: NDArray  # (example, ...) images (channel, height, width), or tokens (time,)
    labels: NDArray[np.int64]  # (example,) places in the class names


@dataclass(frozen=True, eq=False, repr=False)
class ExampleSets:
    """What to train on, what to choose a model by, and what to score it on."""

    train: Examples
    validation: Examples
    test: Examples
    class_names: tuple[str, ...]
    source: str  # name of the data set, "simulated", or "own"
    num_tokens: int | None = None  # tokens are 0 .. num_tokens - 1; None: values, see white
    white: int | None = None  # the largest value of a pixel, which batches have as 1

    def __repr__(self) -> str:
        counts = [f"{len(part.labels):,}" for part in (self.train, self.validation, self.test)]
        return f"ExampleSets({' + '.join(counts)} examples, {self.source})"


def hold_out(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """Examples to train and to validate on, drawn at random; equal ones stay together.

    Raises
    ------
    ValueError
        Nothing is left to train or to validate on.
    """
    group = _identity(examples.inputs)
    held_groups = np.random.default_rng(seed).random(group.max(initial=-1) + 1) < fraction
    held = held_groups[group]
    if held.all() or not held.any():
        raise ValueError(
            f"validation_fraction {fraction} of {len(group)} examples leaves nothing to train or "
            "to validate on"
        )
    return _chosen(examples, ~held), _chosen(examples, held)


def count_repeated(examples: Examples, others: Examples) -> int:
    """How many examples have an input that one of the others has, too."""
    identity = _identity(np.concatenate([examples.inputs, others.inputs]))
    own, theirs = np.split(identity, [len(examples.labels)])
    return int(np.isin(own, theirs).sum())


def pad_left(sequences: list[NDArray], length: int | None = None) -> NDArray:
    """(sequence, length) tokens that end in the last column; :data:`PADDING` before them.

    Longer sequences keep their beginning; ``None`` is the length of the longest.
    """
    length = max(map(len, sequences)) if length is None else length
    padded = np.full((len(sequences), length), PADDING, sequences[0].dtype)
    for row, sequence in zip(padded, sequences):
        kept = sequence[:length]
        row[length - len(kept) :] = kept
    return padded


def without_common_padding(tokens: Tensor) -> Tensor:
    """(batch, time) without the first columns, in which every sequence is padding."""
    first = int((tokens != PADDING).any(dim=0).int().argmax())
    return tokens[:, first:]


def _identity(inputs: NDArray) -> NDArray[np.int64]:
    """A number for each example, the same for equal ones."""
    rows = np.empty(len(inputs), object)
    rows[:] = [row.tobytes() for row in inputs]
    return pd.factorize(rows)[0]


def _chosen(examples: Examples, which: NDArray[np.bool_]) -> Examples:
    return Examples(examples.inputs[which], examples.labels[which])
