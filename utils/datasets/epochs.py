"""Which examples make the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Place = tuple[int, int]  # epoch, and place of the batch in it


class EpochBatches:
    """Examples of an epoch, cut into batches; the last may be small."""

    def __init__(self, examples: Callable[[int], NDArray[np.int64]], batch_size: int) -> None:
        self.examples, self.batch_size, self.epoch = examples, batch_size, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the next pass; Lightning calls this before each epoch, also after a resume."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.examples(0)) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        examples = torch.from_numpy(self.examples(self.epoch))
        self.epoch += 1  # a plain loop over epochs needs no call of set_epoch
        yield from examples.split(self.batch_size)


class EpochPlaces:
    """Epoch and place of each batch; with several processes each takes every n-th place."""

    def __init__(self, n_batches: int, rank: int = 0, world_size: int = 1) -> None:
        n_shared = n_batches - n_batches % world_size  # the same number each
        self.places, self.epoch = range(rank, n_shared, world_size), 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the next pass; Lightning calls this before each epoch, also after a resume."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Place]:
        epoch = self.epoch
        self.epoch += 1  # a plain loop over epochs needs no call of set_epoch
        yield from ((epoch, place) for place in self.places)
