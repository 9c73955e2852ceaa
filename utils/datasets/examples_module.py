"""Labelled examples for a Lightning trainer."""

from __future__ import annotations

from collections.abc import Callable

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from utils.datasets.epochs import EpochBatches
from utils.datasets.examples import Examples, ExampleSets


class ExamplesDataModule(lightning.LightningDataModule):
    """Batches ``(inputs (batch, ...), labels (batch,) int64)``.

    What a batch holds depends on seed and epoch alone, for any number of workers.

    Parameters
    ----------
    sets : examples to train, validate and test on.
    to_inputs : what a network hears of a batch: images (batch, channel, height, width) float32
        from 0 to 1, or tokens (batch, time); itself where None. To make sequences of images, give
        :func:`utils.models.elm.sequences.sequentialise`.
    batch_size : the last batch of a pass may be smaller.
    seed : with the epoch, of the order of training.
    num_workers : processes that gather batches.
    """

    def __init__(
        self,
        sets: ExampleSets,
        to_inputs: Callable[[Tensor], Tensor] | None = None,
        *,
        batch_size: int = 32,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, found {batch_size}")
        self.sets, self.to_inputs, self.batch_size = sets, to_inputs, batch_size
        self.seed, self.num_workers = seed, num_workers

    def train_examples(self, epoch: int) -> NDArray[np.int64]:
        """(example,) places in the training examples, in the order of an epoch."""
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.sets.train.labels))

    def train_dataloader(self) -> DataLoader:
        """Training examples in another order in each epoch."""
        return self._loader(self.sets.train, self.train_examples)

    def val_dataloader(self) -> DataLoader:
        """Validation examples, always in the same order."""
        return self._in_order(self.sets.validation)

    def test_dataloader(self) -> DataLoader:
        """Test examples, always in the same order."""
        return self._in_order(self.sets.test)

    def predict_dataloader(self) -> DataLoader:
        """Test examples."""
        return self.test_dataloader()

    def _in_order(self, examples: Examples) -> DataLoader:
        return self._loader(examples, lambda epoch: np.arange(len(examples.labels)))

    def _loader(self, examples: Examples, order: Callable[[int], NDArray]) -> DataLoader:
        return DataLoader(
            _Batches(examples, self.sets.white, self.to_inputs),
            batch_size=None,  # the sampler's items are batches
            sampler=EpochBatches(order, self.batch_size),
            num_workers=self.num_workers,
        )


class _Batches(Dataset):
    """What a worker does with the examples of a batch."""

    def __init__(
        self, examples: Examples, white: int | None, to_inputs: Callable[[Tensor], Tensor] | None
    ) -> None:
        self.examples, self.white, self.to_inputs = examples, white, to_inputs

    def __getitem__(self, places: Tensor) -> tuple[Tensor, Tensor]:
        inputs = torch.from_numpy(self.examples.inputs[places.numpy()])
        inputs = inputs if self.white is None else inputs / self.white
        inputs = inputs if self.to_inputs is None else self.to_inputs(inputs)
        return inputs, torch.from_numpy(self.examples.labels[places.numpy()])
