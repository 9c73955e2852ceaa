"""Batches of sequences from several V1 recordings at a time, for a Lightning trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from utils.config import ConfigError, near_matches
from utils.datasets.epochs import EpochPlaces, Place
from utils.datasets.v1.config import V1DatasetConfig, load_dataset_configs
from utils.datasets.v1.dataset import V1Dataset, prepare_dataset
from utils.datasets.v1.recording import V1Recording
from utils.datasets.v1.sequences import SequenceIndex, V1Sequences
from utils.datasets.v1.splits import HELD_OUT
from utils.datasets.v1.transforms import GREY, WHITE
from utils.splits import TEST, TRAIN, VALIDATION

SPLITS = {TRAIN: "train", VALIDATION: "validation", TEST: "test", HELD_OUT: "held-out"}
V1Batch = dict[str, V1Sequences]


class V1DataModule(lightning.LightningDataModule):
    """Sequences of all data sets; a batch has some of each that still has any.

    What a batch holds depends on the seed, the epoch and its place in it alone, for any number of
    workers. In training each sequence of a data set comes once in an epoch, in an order of its
    own; the other loaders go through theirs from the first to the last.

    Parameters
    ----------
    configs : data sets, or what :func:`load_dataset_configs` takes.
    recordings : instead of the configs' paths, by the name of the data set: files, dictionaries
        of arrays or recordings.
    sequence_bins : most bins that are predicted in one pass, S. With 1, a sequence is a bin with
        its lags.
    batch_size : sequences of each data set in a batch.
    seed : of the order of training.
    num_workers : processes that gather batches.
    statistics : of transforms by data set, as in ``V1Dataset.statistics``; fitted where None.

    Attributes
    ----------
    datasets : :class:`V1Dataset` by name.

    Raises
    ------
    FileNotFoundError, ValueError
        A recording that is missing or damaged, or in which no response counts in training.
    ConfigError
        Configurations that do not fit their recordings.
    """

    def __init__(
        self,
        configs: Sequence[V1DatasetConfig] | str | Path,
        recordings: Mapping[str, str | Path | Mapping[str, Any] | V1Recording] | None = None,
        *,
        sequence_bins: int = 120,
        batch_size: int = 4,
        seed: int = 0,
        num_workers: int = 0,
        statistics: Mapping[str, Mapping[str, list]] | None = None,
    ) -> None:
        super().__init__()
        if min(sequence_bins, batch_size) < 1:
            raise ValueError(
                f"sequence_bins and batch_size must be >= 1, found {sequence_bins} and {batch_size}"
            )
        if isinstance(configs, str | Path):
            configs = load_dataset_configs(configs)
        recordings, statistics = recordings or {}, statistics or {}
        _check_names([config.name for config in configs], recordings, statistics)
        self.sequence_bins, self.batch_size = sequence_bins, batch_size
        self.seed, self.num_workers = seed, num_workers
        self.datasets: dict[str, V1Dataset] = {
            config.name: prepare_dataset(
                config, recordings.get(config.name), statistics.get(config.name)
            )
            for config in configs
        }
        for name, data in self.datasets.items():
            if not data.counted(TRAIN).any():
                raise ValueError(
                    f"data set '{name}': no response counts in training; each bin needs "
                    f"{data.config.n_lags} frames of one trial, with a valid response"
                    f"{' and known behaviour' if data.config.behavior else ''}"
                )

    @property
    def configs(self) -> list[V1DatasetConfig]:
        """Of the data sets, in their order."""
        return [data.config for data in self.datasets.values()]

    @property
    def statistics(self) -> dict[str, dict[str, list]]:
        """Of transforms by data set: what a saved model needs to see new recordings alike."""
        return {name: data.statistics for name, data in self.datasets.items()}

    @property
    def mean_rates(self) -> dict[str, Tensor]:
        """(N,) mean response per bin of each cell in training; NaN where none counts."""
        return {
            name: torch.from_numpy(_mean_responses(data)).float()
            for name, data in self.datasets.items()
        }

    def spike_triggered_average(self, name: str) -> NDArray[np.float32]:
        """(N, n_lags, [channel,] H, W) mean frame before a response, less the mean frame.

        From training bins. Lag 0, the frame of the response's own bin, comes first; grey is 0
        and white minus black 1. Cells without a response are NaN.
        """
        return _spike_triggered_average(self.datasets[name])

    def train_dataloader(self) -> DataLoader:
        """Sequences in another order in each epoch."""
        return self.loader(TRAIN)

    def val_dataloader(self) -> DataLoader:
        """Sequences of the validation trials."""
        return self.loader(VALIDATION)

    def test_dataloader(self) -> DataLoader:
        """Sequences of the test trials."""
        return self.loader(TEST)

    def predict_dataloader(self) -> DataLoader:
        """Sequences of the test trials."""
        return self.test_dataloader()

    def held_out_dataloader(self) -> DataLoader:
        """Sequences of the types of stimuli that are held out."""
        return self.loader(HELD_OUT)

    def loader(self, label: int) -> DataLoader:
        """Batches of a split.

        Raises
        ------
        ValueError
            No response counts in any trial of the split.
        """
        batches = V1Batches(self.datasets, label, self.sequence_bins, self.batch_size, self.seed)
        return DataLoader(
            batches,
            batch_size=None,  # an item is a batch
            sampler=EpochPlaces(batches.n_batches),
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )


class V1Batches(Dataset):
    """Batches of a split: where they lie, and how they are gathered."""

    def __init__(
        self, datasets: Mapping[str, V1Dataset], label: int, n_bins: int, batch_size: int, seed: int
    ) -> None:
        indices = {name: data.counted_sequences(label, n_bins) for name, data in datasets.items()}
        self.indices = {name: index for name, index in indices.items() if len(index.firsts)}
        if not self.indices:
            raise ValueError(
                f"no response counts in any {SPLITS[label]} trial of {', '.join(datasets)}: use "
                "more trials, other fractions, or data without them"
            )
        self.datasets, self.shuffled = datasets, label == TRAIN
        self.batch_size, self.seed = batch_size, seed

    @property
    def n_batches(self) -> int:
        """As many as the data set with most sequences needs."""
        return max(self._n_chunks(index) for index in self.indices.values())

    def __getitem__(self, place: Place) -> V1Batch:
        epoch, batch = place
        return {
            name: self.datasets[name].gather(index.take(self._chunk(name, index, epoch, batch)))
            for name, index in self.indices.items()
            if batch < self._n_chunks(index)
        }

    def _n_chunks(self, index: SequenceIndex) -> int:
        return -(-len(index.firsts) // self.batch_size)

    def _chunk(self, name: str, index: SequenceIndex, epoch: int, batch: int) -> NDArray[np.int64]:
        """Places of a batch's sequences; batches of a data set differ by one sequence at most."""
        order = np.arange(len(index.firsts))
        if self.shuffled:
            rng = np.random.default_rng([self.seed, epoch, crc32(name.encode())])
            order = rng.permutation(order)
        return np.array_split(order, self._n_chunks(index))[batch]


def _mean_responses(data: V1Dataset) -> NDArray[np.float64]:
    counted = data.counted(TRAIN)
    total = np.where(counted, data.responses, 0).sum(axis=0, dtype=np.float64)
    n_bins = counted.sum(axis=0)
    return np.where(n_bins, total / np.maximum(n_bins, 1), np.nan)


def _spike_triggered_average(data: V1Dataset) -> NDArray[np.float32]:
    if data.config.stimulus is None:
        raise ValueError(f"data set '{data.config.name}' has no stimulus to average")
    counted, n_lags = data.counted(TRAIN), data.config.n_lags
    n_cells = counted.shape[1]
    # responses that sum to 0 take the mean frame away
    excess = np.where(counted, data.responses - _mean_responses(data), 0).astype(np.float32)
    total = 0.0
    for start, stop in tqdm(
        data.trials(TRAIN), desc=f"average of {data.config.name}", unit="trial"
    ):
        frames = data.frames(start, stop)
        if frames.dtype == np.uint8:
            frames = (frames.astype(np.float32) - GREY) / WHITE
        later = np.pad(excess[start:stop], ((0, n_lags - 1), (0, 0)))
        lagged = np.lib.stride_tricks.sliding_window_view(later, n_lags, axis=0)  # (bin, cell, lag)
        pixels = frames.reshape(len(frames), -1)
        total = total + lagged.reshape(len(frames), -1).T @ pixels
    n_responses = np.where(counted, data.responses, 0).sum(axis=0, dtype=np.float64)
    average = total.reshape(n_cells, n_lags, *frames.shape[1:])
    divisor = np.where(n_responses > 0, n_responses, np.nan)
    return (average / divisor.reshape(-1, *[1] * (average.ndim - 1))).astype(np.float32)


def _check_names(
    names: Sequence[str], recordings: Mapping[str, Any], statistics: Mapping[str, Any]
) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice or not names:
        what = f"two have the name '{twice[0]}'" if twice else "there is none"
        raise ConfigError(f"data sets need names of their own: {what}")
    for name in (*recordings, *statistics):
        if name not in names:
            raise ConfigError(f"no data set has the name '{name}'{near_matches(name, names)}")
