"""Windows of NeuronIO simulations for a Lightning trainer."""

from __future__ import annotations

from dataclasses import dataclass

import lightning
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from utils.datasets.epochs import EpochPlaces, Place
from utils.datasets.neuronio.native import Paths
from utils.datasets.neuronio.simulations import NeuronIOBatch
from utils.datasets.neuronio.store import NeuronIOStore, open_neuronio


class NeuronIODataModule(lightning.LightningDataModule):
    """Random training windows, and all windows of other simulations for validation.

    What a batch holds depends on the seed, the epoch and its place in it alone: not on the number
    of workers, nor on what was drawn before.

    Parameters
    ----------
    train : converted files, see :func:`utils.datasets.neuronio.open_neuronio`.
    validation : the same; None holds out the last simulations of ``train``.
    window : ms.
    burn_in : ms at the start of simulations that no window reaches into.
    batch_size : windows of a batch, from as many simulations where there are that many.
    batches_per_epoch : of training.
    validation_fraction : of the simulations, where ``validation`` is None.
    dense : batches are ``(inputs (batch, time, 1278) float32, (spikes, soma))`` instead of
        :class:`NeuronIOBatch`.
    num_workers : processes that gather batches; one batch takes a fraction of a ms.

    Raises
    ------
    ValueError
        Simulations that have no room for a window, or too few to hold some out.
    """

    def __init__(
        self,
        train: Paths,
        validation: Paths | None = None,
        *,
        window: int = 500,
        burn_in: int = 500,
        batch_size: int = 8,
        batches_per_epoch: int = 10_000,
        validation_fraction: float = 0.1,
        seed: int = 0,
        dense: bool = False,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if min(batch_size, batches_per_epoch, window) < 1 or burn_in < 0:
            raise ValueError(
                "batch_size, batches_per_epoch and window must be >= 1 and burn_in >= 0; found "
                f"{batch_size}, {batches_per_epoch}, {window} and {burn_in}"
            )
        self.batches_per_epoch, self.dense, self.num_workers = batches_per_epoch, dense, num_workers
        store = open_neuronio(train)
        simulations = np.arange(len(store))
        if validation is None:
            simulations, held_out = _held_out(simulations, validation_fraction)
            others = store
        else:
            others = open_neuronio(validation)
            held_out = np.arange(len(others))
        self.train_windows = RandomWindows(store, simulations, window, burn_in, batch_size, seed)
        self.validation_windows = AllWindows(others, held_out, window, burn_in, batch_size)

    @property
    def spike_rate(self) -> float:
        """Spikes per ms of the training simulations."""
        store, simulations = self.train_windows.store, self.train_windows.simulations
        return store.spikes_per_simulation()[simulations].mean() / store.duration

    def train_dataloader(self) -> DataLoader:
        """Windows drawn anew in each epoch."""
        return self._loader(self.train_windows, self.batches_per_epoch)

    def val_dataloader(self) -> DataLoader:
        """Windows of the validation simulations, one after another, always the same."""
        return self._loader(self.validation_windows, self.validation_windows.n_batches)

    def _loader(self, windows: Dataset, n_batches: int) -> DataLoader:
        trainer = self.trainer  # None outside of a Trainer
        ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return DataLoader(
            windows,
            batch_size=None,  # an item is a batch
            sampler=EpochPlaces(n_batches, *ranks),
            collate_fn=_dense if self.dense else _unchanged,
            num_workers=self.num_workers,
        )


@dataclass(frozen=True, eq=False)
class RandomWindows(Dataset):
    """Batches of windows drawn at random: which simulations, and where after the burn-in."""

    store: NeuronIOStore
    simulations: NDArray[np.int64]
    window: int  # ms
    burn_in: int  # ms
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        _check_room(self.store, self.window, self.burn_in)

    def __getitem__(self, place: Place) -> NeuronIOBatch:
        rng = np.random.default_rng([self.seed, *place])
        again = self.batch_size > len(self.simulations)
        drawn = rng.choice(len(self.simulations), self.batch_size, replace=again, shuffle=False)
        last = self.store.duration - self.window
        starts = rng.integers(self.burn_in, last, self.batch_size)
        return self.store.windows(self.simulations[drawn], starts, self.window)


@dataclass(frozen=True, eq=False)
class AllWindows(Dataset):
    """Batches of all windows of simulations, which follow one another from the burn-in on."""

    store: NeuronIOStore
    simulations: NDArray[np.int64]
    window: int  # ms
    burn_in: int  # ms
    batch_size: int

    def __post_init__(self) -> None:
        _check_room(self.store, self.window, self.burn_in)

    @property
    def per_simulation(self) -> int:
        """Windows of a simulation."""
        return (self.store.duration - self.burn_in) // self.window

    @property
    def n_batches(self) -> int:
        """The last one may be smaller."""
        return -(-len(self.simulations) * self.per_simulation // self.batch_size)

    def __getitem__(self, place: Place) -> NeuronIOBatch:
        first = place[1] * self.batch_size
        end = min(first + self.batch_size, len(self.simulations) * self.per_simulation)
        simulation, window = np.divmod(np.arange(first, end), self.per_simulation)
        starts = self.burn_in + window * self.window
        return self.store.windows(self.simulations[simulation], starts, self.window)


def _held_out(simulations: NDArray, fraction: float) -> list[NDArray]:
    """Simulations to train and to validate on: those at the end."""
    n_held = max(1, round(fraction * len(simulations)))
    if not 0 < fraction < 1 or n_held >= len(simulations):
        raise ValueError(
            f"validation_fraction {fraction} of {len(simulations)} simulations leaves nothing to "
            "train or to validate on; use more simulations, or give files for validation"
        )
    return np.split(simulations, [len(simulations) - n_held])


def _check_room(store: NeuronIOStore, window: int, burn_in: int) -> None:
    if store.duration <= burn_in + window:
        raise ValueError(
            f"simulations of {store.duration} ms ({store.files[0].source}) have no room for "
            f"windows of {window} ms from {burn_in} ms on; choose a shorter window or burn_in"
        )


def _unchanged(batch: NeuronIOBatch) -> NeuronIOBatch:
    return batch


def _dense(batch: NeuronIOBatch) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    return batch.dense(), (batch.spikes, batch.soma)
