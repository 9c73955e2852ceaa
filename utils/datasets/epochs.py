"""Which examples make the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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
