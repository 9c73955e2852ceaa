"""Time-frequency images of activity for a Lightning trainer."""

from __future__ import annotations

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from utils.datasets.epochs import EpochBatches
from utils.datasets.time_frequency import Target, TimeFrequencyData
from utils.datasets.vimh.module import SpectralBatch
from utils.splits import TEST, TRAIN, VALIDATION


class TimeFrequencyModule(lightning.LightningDataModule):
    """Batches of windows, :class:`utils.datasets.vimh.SpectralBatch`, for spectral models.

    Of a target that a window does not have the class is -1 and the value NaN: no loss counts it.
    The blocks of time say which windows train, validate and test.

    Raises
    ------
    ValueError
        Nothing can be decoded; the message says why.
    """

    n_auxiliary = 0

    def __init__(self, data: TimeFrequencyData, *, batch_size: int = 32, seed: int = 0) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, found {batch_size}")
        if not data.targets:
            reasons = "; ".join(f"{row.item}: {row.reason}" for row in data.left_out.itertuples())
            raise ValueError(f"nothing to decode ({reasons or 'no target was given'})")
        self.data, self.batch_size, self.seed = data, batch_size, seed

    @property
    def parameters(self) -> tuple[Target, ...]:
        """Targets, which have a head each."""
        return self.data.targets

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height (frequency) and width (time)."""
        return self.data.images.shape[1:]

    def train_order(self, epoch: int) -> NDArray[np.int64]:
        """(window,) training windows in the order of an epoch."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.data.samples(TRAIN))

    def train_dataloader(self) -> DataLoader:
        """Training windows in another order in each epoch."""
        return DataLoader(
            _Windows(self.data),
            batch_size=None,  # the sampler's items are batches
            sampler=EpochBatches(self.train_order, self.batch_size),
        )

    def val_dataloader(self) -> DataLoader:
        """Validation windows in order of time."""
        return self._in_order(VALIDATION)

    def test_dataloader(self) -> DataLoader:
        """Test windows in order of time."""
        return self._in_order(TEST)

    def predict_dataloader(self) -> DataLoader:
        """Test windows."""
        return self.test_dataloader()

    def _in_order(self, block: int) -> DataLoader:
        samples = self.data.samples(block)
        batches = EpochBatches(lambda epoch: samples, self.batch_size)
        return DataLoader(_Windows(self.data), batch_size=None, sampler=batches)


class _Windows(Dataset):
    def __init__(self, data: TimeFrequencyData) -> None:
        self.data = data

    def __getitem__(self, samples: Tensor) -> SpectralBatch:
        chosen = samples.numpy()
        return SpectralBatch(
            torch.from_numpy(self.data.images[chosen]),
            torch.empty(len(chosen), 0),
            torch.from_numpy(self.data.labels[chosen]),
            torch.from_numpy(self.data.values[chosen].astype(np.float32)),
        )
