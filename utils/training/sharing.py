"""Batches shared among the processes of a training, each of which drives one device."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from itertools import islice
from typing import Any

import lightning
from torch.utils.data import DataLoader


class SharedLoaders(lightning.LightningDataModule):
    """Hands every process its share of the batches; a lone process takes all.

    Parameters
    ----------
    train, validation : iterables of batches with a length.
    """

    def __init__(self, train: Sized, validation: Sized) -> None:
        super().__init__()
        self.train, self.validation = train, validation

    def train_dataloader(self) -> Any:
        """The same number of batches for each process, which wait for each other at every step."""
        n_shared = len(self.train) - len(self.train) % self.trainer.world_size
        return self._share(self.train, n_shared)

    def val_dataloader(self) -> Any:
        """All batches are validated, so that some processes may get one more."""
        return self._share(self.validation, len(self.validation))

    def _share(self, loader: Any, n_batches: int) -> Any:
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        if world_size == 1:
            return loader
        if not isinstance(loader, DataLoader):
            return _Share(loader, range(rank, n_batches, world_size))
        if loader.batch_sampler is None:  # the sampler's items are batches
            cut = {"batch_size": None, "sampler": loader.sampler}
        else:
            cut = {"batch_sampler": loader.batch_sampler}
        *_, name = cut
        cut[name] = _Share(cut[name], range(rank, n_batches, world_size))
        return DataLoader(
            loader.dataset,
            **cut,
            collate_fn=loader.collate_fn,
            num_workers=loader.num_workers,
            pin_memory=loader.pin_memory,
            persistent_workers=loader.persistent_workers,
        )


class _Share:
    """The chosen batches of a pass; what is left out of a loader's sampler is never gathered."""

    batch_sampler = None  # looked at by Lightning, beside ``sampler``

    def __init__(self, batches: Any, places: range) -> None:
        self.batches, self.places = batches, places

    @property
    def sampler(self) -> _Share:
        """Lightning calls ``loader.sampler.set_epoch`` before each epoch, also after a resume."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the next pass of whatever knows passes: the sampler, or the loader's own."""
        for owner in (self.batches, getattr(self.batches, "sampler", None)):
            if hasattr(owner, "set_epoch"):
                owner.set_epoch(epoch)
                return

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Any]:
        places = self.places
        yield from islice(self.batches, places.start, places.stop, places.step)
