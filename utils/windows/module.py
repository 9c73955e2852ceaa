"""Windows for Lightning: shuffled training batches that depend only on seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import lightning
import numpy as np
import torch

from utils.windows.data import WindowBatch, WindowData, WindowSplit


class WindowLoader:
    """Batches of one split, every ``stride``-th window once per pass; the last may be small.

    The order of a shuffled pass depends on ``seed`` and the epoch alone, so training that
    resumes at an epoch sees the batches it would have seen. With several processes each takes
    every ``world_size``-th window, the same number each.
    """

    batch_sampler = None  # looked at by Lightning, beside ``sampler``

    def __init__(
        self,
        split: WindowSplit,
        batch_size: int = 64,
        *,
        shuffle: bool = False,
        seed: int = 0,
        stride: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1 or stride < 1:
            raise ValueError(f"batch_size {batch_size} and stride {stride} must be >= 1")
        self.split, self.batch_size, self.shuffle = split, batch_size, shuffle
        self.seed, self.stride, self.rank, self.world_size = seed, stride, rank, world_size
        self.epoch = 0

    @property
    def sampler(self) -> WindowLoader:
        """Lightning calls ``loader.sampler.set_epoch`` before each epoch, also after a resume."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._n_windows // self.batch_size)

    def __iter__(self) -> Iterator[WindowBatch]:
        order = torch.arange(0, len(self.split), self.stride)
        if self.shuffle:
            state = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)
            generator = torch.Generator().manual_seed(int(state[0]))
            order = order[torch.randperm(len(order), generator=generator)]
        self.epoch += 1  # a plain loop over epochs needs no call of set_epoch
        own = order[self.rank :: self.world_size][: self._n_windows]
        for indices in own.split(self.batch_size):
            yield self.split.batch(indices)

    @property
    def _n_windows(self) -> int:
        return -(-len(self.split) // self.stride) // self.world_size


class SessionsLoader:
    """Batches of several loaders, each with the place of its loader: ``(place, batch)``.

    A pass visits all batches of all loaders. Those of shuffled loaders are mixed, in an order
    that depends on ``seed`` and the epoch alone; others come one loader after the other.
    """

    batch_sampler = None

    def __init__(self, loaders: Sequence[WindowLoader], seed: int = 0) -> None:
        self.loaders, self.seed, self.epoch = list(loaders), seed, 0

    @property
    def sampler(self) -> SessionsLoader:
        """Lightning calls ``loader.sampler.set_epoch`` before each epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch
        for loader in self.loaders:
            loader.set_epoch(epoch)

    def __len__(self) -> int:
        return sum(len(loader) for loader in self.loaders)

    def __iter__(self) -> Iterator[tuple[int, WindowBatch]]:
        places = np.repeat(np.arange(len(self.loaders)), [len(part) for part in self.loaders])
        if any(loader.shuffle for loader in self.loaders):
            np.random.default_rng([self.seed, self.epoch]).shuffle(places)
        self.epoch += 1
        passes = [iter(loader) for loader in self.loaders]
        for place in places.tolist():
            yield place, next(passes[place])


class WindowDataModule(lightning.LightningDataModule):
    """The train, validation and test windows of a recording for a Lightning trainer.

    Parameters
    ----------
    data : windows from :func:`utils.windows.window_data` or :func:`utils.windows.load_windows`.
    batch_size : windows per batch, of each process.
    seed : makes the order of training batches reproducible, together with the epoch.
    stride : use every ``stride``-th training window: neighbours differ by one frame only.
    validation_stride : the same for validation; test windows are all used.
    """

    def __init__(
        self,
        data: WindowData,
        batch_size: int = 64,
        *,
        seed: int = 0,
        stride: int = 1,
        validation_stride: int = 1,
    ) -> None:
        super().__init__()
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.stride, self.validation_stride = stride, validation_stride

    def train_dataloader(self) -> WindowLoader:
        """Shuffled training windows."""
        return self._loader(self.data.train, shuffle=True, stride=self.stride)

    def val_dataloader(self) -> WindowLoader:
        """Validation windows in order of time."""
        return self._loader(self.data.validation, stride=self.validation_stride)

    def test_dataloader(self) -> WindowLoader:
        """Test windows in order of time."""
        return self._loader(self.data.test)

    def predict_dataloader(self) -> WindowLoader:
        """Test windows in order of time."""
        return self._loader(self.data.test)

    def _loader(self, split: WindowSplit, shuffle: bool = False, stride: int = 1) -> WindowLoader:
        trainer = self.trainer  # None outside of a Trainer
        return WindowLoader(
            split,
            self.batch_size,
            shuffle=shuffle,
            seed=self.seed,
            stride=stride,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )
