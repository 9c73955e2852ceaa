"""Two processes train as one: they share the batches, and leave one model and one set of logs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from utils.training import TrainerConfig, TrainingError, TrainingTask, fit_task
from utils.training.config import choose_strategy
from utils.training.sharing import SharedLoaders
from utils.training.task import MONITOR

SETTINGS = {"device": "cpu", "progress": False, "schedule": "constant", "max_epochs": 2}


class TwoLines(TrainingTask):
    """Two weights, of which a batch may train only the first."""

    def losses(self, batch):
        used = self.network if batch[0, 0] > 0 else self.network[:1]
        loss = sum((line(batch) - 3 * batch).square().mean() for line in used)
        return {"loss": loss}, len(batch)


class Numbers(Dataset):
    """Ten numbers."""

    def __len__(self):
        return 10

    def __getitem__(self, place):
        return torch.tensor(place)


class Places(list):
    """Places in another order in every epoch."""

    def set_epoch(self, epoch):
        self[:] = [place + epoch for place in range(5)]


class Batches(list):
    """Batches; a plain list is a list of loaders for Lightning."""


def two_lines(config: TrainerConfig) -> TwoLines:
    torch.manual_seed(0)
    return TwoLines(nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)]), config)


def share(loader, rank: int, world_size: int, training: bool = True):
    """What a process gets of a loader, as Lightning asks for it."""
    loaders = SharedLoaders(loader, loader)
    loaders.trainer = type("Trainer", (), {"global_rank": rank, "world_size": world_size})
    return loaders.train_dataloader() if training else loaders.val_dataloader()


def test_two_processes_give_the_model_of_one_with_larger_batches(tmp_path):
    batches = Batches(torch.randn(4, 8, 1, generator=torch.Generator().manual_seed(0)))
    for batch, kind in zip(batches, (-1, -1, 1, 1)):
        batch[0] = kind
    whole = Batches([torch.cat(batches[:2]), torch.cat(batches[2:])])
    one, two = TrainerConfig(**SETTINGS), TrainerConfig(**SETTINGS, devices=2)
    alone, shared = two_lines(one), two_lines(two)
    fit_task(alone, whole, whole, one)
    result = fit_task(shared, batches, batches, two, folder=tmp_path)
    assert (result.epochs, result.steps, len(result.curves)) == (2, 4, 2)
    assert result.best_loss == pytest.approx(result.curves[MONITOR].min(), rel=1e-6)
    for got, expected in zip(shared.parameters(), alone.parameters()):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("batch_size", [None, 1])
def test_processes_share_a_loader_without_repeats(batch_size):
    places = Places(range(5))
    loader = DataLoader(Numbers(), batch_size=batch_size, sampler=places)
    for rank, expected in enumerate(([0, 2], [1, 3])):
        own = share(loader, rank, 2)
        assert [int(number) for number in own] == expected
        assert len(own) == 2
    assert [len(share(loader, rank, 2, training=False)) for rank in (0, 1)] == [3, 2]
    assert share(loader, 0, 1) is loader


def test_a_share_follows_the_epoch_of_its_loader():
    loader = DataLoader(Numbers(), batch_size=None, sampler=Places(range(5)))
    own = share(loader, 1, 2)
    own.sampler.set_epoch(3)
    assert [int(number) for number in own] == [4, 6]


def test_other_iterables_of_batches_are_shared():
    own = share(Batches("abcd"), 1, 2)
    own.sampler.set_epoch(1)  # a list has one order
    assert list(own) == ["b", "d"]


def test_too_many_devices_are_refused():
    config = TrainerConfig(**SETTINGS, devices=3)
    with pytest.raises(TrainingError, match="batch for each, found 2 and 3"):
        fit_task(two_lines(config), [1, 2], [1, 2, 3], config)
    with pytest.raises(ValueError, match=r"devices = 3, but this machine has 1 of 'mps'"):
        choose_strategy(3, "mps")
    assert choose_strategy(1, "mps") == "auto"
