"""SHD and SHD-Adding for a Lightning trainer: one spoken digit to name, or two to add up.

What a batch holds depends on seed and epoch alone, for any number of workers. The validation
records and the pairs to compare by are those of the official code (Spieler et al., ICLR 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import lightning
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from utils.datasets.epochs import EpochBatches
from utils.datasets.shd.batches import DIGITS, BinnedDigits, SpikeBatch, bin_digits
from utils.datasets.shd.files import TEST_FILE, TRAIN_FILE, WORDS, read_shd
from utils.paths import data_dir

PAIR_BLOCK = 8  # batch size of the official SHD-Adding, which its pairs depend on
FIXED_PAIRS_SEED = 0  # of the official validation and test pairs


class SHDDataModule(lightning.LightningDataModule):
    """Which of 20 words was spoken?

    The test file is read only when its loader is asked for.

    Parameters
    ----------
    folder : of ``shd_train.h5`` and ``shd_test.h5``; ``DATA/shd`` where None, see
        :func:`utils.datasets.fetch_shd`.
    bin_ms : width of a time bin; the first second is used.
    batch_size : the last batch of a pass may be smaller.
    validation_fraction : of the training file, on average.
    seed : of the choice of validation records, and with the epoch of the order of training.
    dense : batches are ``(counts (batch, bin, 700) float32, labels)`` instead of
        :class:`SpikeBatch`.
    num_workers : processes that gather batches; what they gather does not depend on it.
    """

    class_names: tuple[str, ...] = WORDS

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        bin_ms: float = 10.0,
        batch_size: int = 32,
        validation_fraction: float = 0.2,
        seed: int = 0,
        dense: bool = False,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1 or not 0 < validation_fraction < 1:
            raise ValueError(
                f"batch_size {batch_size} must be >= 1, and validation_fraction "
                f"{validation_fraction} between 0 and 1"
            )
        self.folder = data_dir() / "shd" if folder is None else Path(folder)
        self.bin_ms, self.batch_size, self.seed = bin_ms, batch_size, seed
        self.dense, self.num_workers = dense, num_workers
        self.digits = bin_digits(read_shd(self.folder / TRAIN_FILE), bin_ms)
        held_out = validation_records(len(self.digits), validation_fraction, seed)
        self.train_records = np.flatnonzero(~held_out)
        self.validation_records = np.flatnonzero(held_out)
        if not len(self.train_records) or not len(self.validation_records):
            raise ValueError(
                f"{self.folder / TRAIN_FILE}: {len(self.digits)} records with "
                f"validation_fraction {validation_fraction} leave nothing to train or to validate"
            )

    @property
    def n_classes(self) -> int:
        """20 words, or 19 sums."""
        return len(self.class_names)

    @cached_property
    def test_digits(self) -> BinnedDigits:
        """The test file."""
        return bin_digits(read_shd(self.folder / TEST_FILE), self.bin_ms)

    def train_examples(self, epoch: int) -> NDArray[np.int64]:
        """(example, k) training records in the order of an epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.train_records))
        return self.train_records[order, None]

    def validation_examples(self) -> NDArray[np.int64]:
        """(example, k) records that are validated on."""
        return self.validation_records[:, None]

    def test_examples(self) -> NDArray[np.int64]:
        """(example, k) records of the test file."""
        return np.arange(len(self.test_digits))[:, None]

    def train_dataloader(self) -> DataLoader:
        """Training records in another order in each epoch."""
        return self._loader(self.digits, self.train_examples)

    def val_dataloader(self) -> DataLoader:
        """Validation records, always the same."""
        return self._loader(self.digits, lambda epoch: self.validation_examples())

    def test_dataloader(self) -> DataLoader:
        """Records of the test file, always the same."""
        return self._loader(self.test_digits, lambda epoch: self.test_examples())

    def predict_dataloader(self) -> DataLoader:
        """Records of the test file."""
        return self.test_dataloader()

    def _loader(self, digits: BinnedDigits, examples: Callable[[int], NDArray]) -> DataLoader:
        return DataLoader(
            _Batches(digits, self.dense),
            batch_size=None,  # the sampler's items are batches
            sampler=EpochBatches(examples, self.batch_size),
            num_workers=self.num_workers,
        )


class SHDAddingDataModule(SHDDataModule):
    """What is the sum, 0 to 18, of two digits that are spoken one after the other?

    Spieler et al. (arXiv 2306.16922). The digits may be of two languages and two speakers.
    Training pairs are drawn anew in each epoch; those of validation (from the held-out records)
    and test are always the same, for any seed and batch size.

    Parameters
    ----------
    train_pairs, validation_pairs, test_pairs : pairs in a pass; the official numbers by default.
    folder, ... : as of :class:`SHDDataModule`; an example has twice as many bins.
    """

    class_names = tuple(str(total) for total in range(2 * DIGITS - 1))

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        train_pairs: int = 16_000,
        validation_pairs: int = 4_000,
        test_pairs: int = 16_000,
        bin_ms: float = 10.0,
        batch_size: int = 32,
        validation_fraction: float = 0.2,
        seed: int = 0,
        dense: bool = False,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            folder,
            bin_ms=bin_ms,
            batch_size=batch_size,
            validation_fraction=validation_fraction,
            seed=seed,
            dense=dense,
            num_workers=num_workers,
        )
        self.train_pairs, self.validation_pairs = train_pairs, validation_pairs
        self.test_pairs = test_pairs

    def train_examples(self, epoch: int) -> NDArray[np.int64]:
        """(pair, 2) training records of an epoch."""
        pairs = random_pairs(len(self.train_records), self.train_pairs, [self.seed, epoch])
        return self.train_records[pairs]

    def validation_examples(self) -> NDArray[np.int64]:
        """(pair, 2) held-out records."""
        n_records = len(self.validation_records)
        pairs = random_pairs(n_records, self.validation_pairs, FIXED_PAIRS_SEED)
        return self.validation_records[pairs]

    def test_examples(self) -> NDArray[np.int64]:
        """(pair, 2) records of the test file."""
        return random_pairs(len(self.test_digits), self.test_pairs, FIXED_PAIRS_SEED)


def validation_records(n_records: int, fraction: float, seed: int) -> NDArray[np.bool_]:
    """(record,) True where held out: each with probability ``fraction``, as officially drawn."""
    return np.random.default_rng(seed).binomial(1, fraction, n_records).astype(bool)


def random_pairs(
    n_records: int, n_pairs: int, seed: int | list[int], block: int = PAIR_BLOCK
) -> NDArray[np.int64]:
    """(pair, 2) records, drawn with replacement.

    As officially, ``block`` first records are drawn before the second ones that go with them.
    """
    n_blocks = -(-n_pairs // block)
    drawn = np.random.default_rng(seed).integers(0, n_records, (n_blocks, 2, block))
    return drawn.swapaxes(1, 2).reshape(-1, 2)[:n_pairs]


class _Batches(Dataset):
    """What a worker does with the records of a batch."""

    def __init__(self, digits: BinnedDigits, dense: bool) -> None:
        self.digits, self.dense = digits, dense

    def __getitem__(self, records: Tensor) -> SpikeBatch | tuple[Tensor, Tensor]:
        batch = self.digits.batch(records)
        return (batch.dense(), batch.labels) if self.dense else batch
