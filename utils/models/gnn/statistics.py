"""What a recording says about W and phi once psi is known: sums over frames, in float64.

Least squares needs the products of all columns with one another, not the frames. What neurons
send is common to all rows of W; each row adds the columns of its own phi, and its target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from utils.models.gnn.stream import Batch


@dataclass(frozen=True)
class Statistics:
    """Products, summed over frames; those of several sets of frames can be added.

    Attributes
    ----------
    gram : (sender, sender), messages with messages.
    cross : (sender, row, column), messages with the own columns of each row.
    own : (row, column, column); the last column is the target.
    n_frames : number of frames in the sums.
    """

    gram: Tensor
    cross: Tensor
    own: Tensor
    n_frames: int

    def of_rows(self, rows: Tensor) -> Statistics:
        """The same of some rows."""
        return Statistics(self.gram, self.cross[:, rows], self.own[rows], self.n_frames)

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.gram + other.gram,
            self.cross + other.cross,
            self.own + other.own,
            self.n_frames + other.n_frames,
        )


def collect(
    batches: Iterable[Batch],
    messages: Callable[[Tensor], Tensor],
    columns: Callable[[Tensor], Tensor],
    rows: Tensor,
) -> Statistics:
    """Sum over batches.

    Parameters
    ----------
    messages : activity (frame, neuron) to what neurons send (frame, sender).
    columns : the same to the own columns of the rows (frame, row, column), without the target.
    rows : (row,) neurons whose targets are explained.

    Raises
    ------
    ValueError
        There are no frames.
    """
    total = None
    for batch in batches:
        sent = batch.project(messages(batch.activity))
        own = batch.project(columns(batch.activity))
        own = torch.cat([own, batch.target[:, rows, None]], dim=2)
        part = Statistics(sent.mT @ sent, _cross(sent, own), _products(own), len(own))
        total = part if total is None else total + part
    if total is None:
        raise ValueError("no frame without a missing value is left to learn from or to hold out")
    return total


def _cross(sent: Tensor, own: Tensor) -> Tensor:
    return (sent.mT @ own.flatten(1)).unflatten(1, own.shape[1:])


def _products(own: Tensor) -> Tensor:
    by_row = own.transpose(0, 1).contiguous()  # (row, frame, column)
    return by_row.mT @ by_row
