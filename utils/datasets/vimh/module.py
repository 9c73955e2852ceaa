"""Spectral images and their parameters for a Lightning trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from utils.datasets.epochs import EpochBatches
from utils.datasets.vimh.auxiliary import WHITE, Auxiliary, fit_auxiliary
from utils.datasets.vimh.parameters import Parameter
from utils.datasets.vimh.read import read_vimh
from utils.datasets.vimh.records import VIMH, VIMHSplit


class SpectralBatch(NamedTuple):
    """What a network sees of some samples, and what it is to say; one head per parameter."""

    images: Tensor  # (B, C, H, W) float32, 0 to 1; or sounds (B, sample), see audio.py
    auxiliary: Tensor  # (B, A) float32; A = 0 without auxiliary inputs
    labels: Tensor  # (B, heads) int64, class of each parameter
    values: Tensor  # (B, heads) float32, in the parameters' own units


class VIMHDataModule(lightning.LightningDataModule):
    """Batches of a VIMH data set: :class:`SpectralBatch`.

    Samples to train, to validate and to test on are made into inputs in the same way; nothing is
    flipped or turned, since the axes of a spectrum have a meaning. Validation samples are drawn
    from the training part, so that no choice depends on the test. What a batch holds depends on
    the seed and the epoch alone, for any number of workers.

    Parameters
    ----------
    data : data set, or the folder of one.
    batch_size : the last batch of a pass may be smaller.
    validation_fraction : of the training part.
    auxiliary : inputs beside the image, standardised over the samples that train: "scale" (level
        and contrast in dB, and what the image does not tell of each) and "envelopes" (mean over
        frequency and mean over time).
    seed : of the choice of validation samples, and with the epoch of the order of training.
    num_workers : processes that gather batches.

    Attributes
    ----------
    train_samples, validation_samples : places in the training part.

    Raises
    ------
    ValueError
        No parameter varies, nothing is left to train or to validate on, or an auxiliary input is
        unknown.
    """

    def __init__(
        self,
        data: VIMH | str | Path,
        *,
        batch_size: int = 32,
        validation_fraction: float = 0.2,
        auxiliary: Sequence[str] = (),
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1 or not 0 < validation_fraction < 1:
            raise ValueError(
                f"batch_size {batch_size} must be >= 1, and validation_fraction "
                f"{validation_fraction} between 0 and 1"
            )
        self.data = data if isinstance(data, VIMH) else read_vimh(data)
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers
        if not self.data.parameters:
            raise ValueError("no parameter varies in this data set: there is nothing to learn")
        n_samples = len(self.data.train)
        n_validation = round(validation_fraction * n_samples)
        if not 0 < n_validation < n_samples:
            raise ValueError(
                f"validation_fraction {validation_fraction} of {n_samples} training samples "
                "leaves nothing to train or to validate on"
            )
        order = np.random.default_rng(seed).permutation(n_samples)
        self.validation_samples = np.sort(order[:n_validation])
        self.train_samples = np.sort(order[n_validation:])
        self.auxiliary = fit_auxiliary(self.data.train, self.train_samples, auxiliary)

    @property
    def parameters(self) -> list[Parameter]:
        """Those that have a head each."""
        return self.data.parameters

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height (frequency) and width (time)."""
        return self.data.image_shape

    @property
    def n_auxiliary(self) -> int:
        """Auxiliary inputs, A."""
        return self.auxiliary.n_features

    def train_order(self, epoch: int) -> NDArray[np.int64]:
        """(sample,) places in the training part, in the order of an epoch."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.train_samples)

    def train_dataloader(self) -> DataLoader:
        """Training samples in another order in each epoch."""
        return self._loader(self.data.train, self.train_order)

    def val_dataloader(self) -> DataLoader:
        """Validation samples, always in the same order."""
        return self._loader(self.data.train, lambda epoch: self.validation_samples)

    def test_dataloader(self) -> DataLoader:
        """The test part, always in the same order."""
        return self._loader(self.data.test, lambda epoch: np.arange(len(self.data.test)))

    def predict_dataloader(self) -> DataLoader:
        """The test part."""
        return self.test_dataloader()

    def batch(self, part: VIMHSplit, samples: NDArray[np.int64]) -> SpectralBatch:
        """Samples of a part as all loaders give them."""
        return self.samples(part)[torch.from_numpy(samples)]

    def samples(self, part: VIMHSplit) -> Samples:
        """What batches of a part are taken from."""
        return Samples(part, self.auxiliary)

    def _loader(self, part: VIMHSplit, order: Callable[[int], NDArray]) -> DataLoader:
        return DataLoader(
            self.samples(part),
            batch_size=None,  # the sampler's items are batches
            sampler=EpochBatches(order, self.batch_size),
            num_workers=self.num_workers,
        )


class Samples(Dataset):
    """The one way from records to inputs and targets."""

    def __init__(self, part: VIMHSplit, auxiliary: Auxiliary) -> None:
        self.part, self.auxiliary = part, auxiliary
        self.labels = np.stack([part.labels[p.name] for p in part.parameters], axis=1)
        self.values = np.stack([part.values[p.name] for p in part.parameters], axis=1)

    def __getitem__(self, samples: Tensor) -> SpectralBatch:
        chosen = samples.numpy()
        return SpectralBatch(
            self.inputs(chosen),
            torch.from_numpy(self.auxiliary(self.part, chosen)),
            torch.from_numpy(self.labels[chosen]),
            torch.from_numpy(self.values[chosen].astype(np.float32)),
        )

    def inputs(self, samples: NDArray[np.int64]) -> Tensor:
        """(B, C, H, W) float32, 0 to 1."""
        return torch.from_numpy(self.part.images[samples]).float() / WHITE
