"""Batches of windows for the trainer: gathered at once, no worker processes, reproducible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from utils.windows import WindowBatch, WindowSplit


class WindowLoader:
    """All windows of a split, once per epoch.

    With ``epoch`` (a function that tells the current epoch) the order is shuffled by a seed of
    that epoch, so that a resumed training sees the batches that an uninterrupted one would.
    """

    def __init__(
        self,
        split: WindowSplit,
        batch_size: int,
        *,
        stride: int = 1,
        seed: int = 0,
        epoch: Callable[[], int] | None = None,
    ) -> None:
        self.split = split
        self.batch_size = batch_size
        self.stride = stride
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of batches; the last one may be small."""
        windows = -(-len(self.split) // self.stride)
        return -(-windows // self.batch_size)

    def __iter__(self) -> Iterator[WindowBatch]:
        if self.epoch is None:
            return self.split.batches(self.batch_size, stride=self.stride)
        generator = torch.Generator().manual_seed(self.seed + 1000 * self.epoch())
        return self.split.batches(
            self.batch_size, shuffle=True, generator=generator, stride=self.stride
        )
