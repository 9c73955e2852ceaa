"""Batches for a trainer: the same for any number of workers, validation on other simulations."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from utils.datasets import NeuronIODataModule, read_neuronio
from utils.datasets.neuronio.module import RandomWindows


def module(path, **settings):
    settings = {"window": 200, "burn_in": 500, "batches_per_epoch": 4, "batch_size": 3} | settings
    return NeuronIODataModule(path, **settings)


def same(batches, others) -> bool:
    return len(batches) == len(others) and all(
        all(torch.equal(a, b) for a, b in zip(*pair)) for pair in zip(batches, others)
    )


def test_batches_depend_on_seed_and_epoch_alone(converted):
    alone = module(converted).train_dataloader()
    first, second = list(alone), list(alone)
    assert len(first) == len(alone) == 4
    assert not same(first, second)
    assert same(first, list(module(converted).train_dataloader()))
    assert not same(first, list(module(converted, seed=1).train_dataloader()))
    resumed = module(converted).train_dataloader()
    resumed.sampler.set_epoch(1)
    assert same(second, list(resumed))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_batches_are_the_same_for_any_number_of_workers(converted, num_workers):
    alone = module(converted).train_dataloader()
    workers = module(converted, num_workers=num_workers).train_dataloader()
    for _ in range(2):
        assert same(list(alone), list(workers))


class Asked:
    """A store that notes which windows it is asked for."""

    duration = 2000

    def __init__(self):
        self.simulations, self.starts = [], []

    def windows(self, simulations, starts, window):
        self.simulations.append(simulations)
        self.starts.append(starts)


def test_windows_are_drawn_evenly_after_the_burn_in():
    asked = Asked()
    windows = RandomWindows(asked, np.arange(5), 200, 500, batch_size=2, seed=0)
    for place in range(3000):
        windows[0, place]
    starts = np.concatenate(asked.starts)
    assert (starts.min(), starts.max()) == (500, 1799)
    assert np.histogram(starts, 4)[0] == pytest.approx([1500] * 4, abs=150)
    assert np.bincount(np.concatenate(asked.simulations)) == pytest.approx([1200] * 5, abs=150)


def test_a_batch_has_different_simulations_where_there_are_enough():
    asked = Asked()
    for batch_size in (5, 8):
        RandomWindows(asked, np.arange(5), 200, 500, batch_size, seed=0)[0, 0]
    few, many = asked.simulations
    assert sorted(few) == [0, 1, 2, 3, 4]
    assert len(many) == 8


def test_validation_sees_all_windows_of_simulations_that_are_not_trained_on(native, converted):
    data = module(converted, validation_fraction=0.3)
    assert data.train_windows.simulations.tolist() == [0, 1, 2, 3]
    assert data.validation_windows.simulations.tolist() == [4, 5]
    loader = data.val_dataloader()
    batches = list(loader)
    assert [len(batch.spikes) for batch in batches] == [3, 3, 3, 3, 2]  # 2 of 7 windows of 200 ms
    assert same(batches, list(loader))
    truth = read_neuronio(native).inputs[4:, 500:1900].reshape(14, 200, 1278)
    np.testing.assert_array_equal(torch.cat([batch.dense() for batch in batches]), truth)


def test_validation_files_may_be_given(converted):
    data = module(converted / "sim__a.p.neuronio", validation=converted / "more")
    assert len(data.train_windows.simulations) == 4
    assert len(data.validation_windows.simulations) == 2
    assert len(data.validation_windows.store) == 2


def test_dense_batches_hold_the_same(converted):
    events = next(iter(module(converted).train_dataloader()))
    inputs, (spikes, soma) = next(iter(module(converted, dense=True).train_dataloader()))
    assert inputs.shape == (3, 200, 1278)
    assert torch.equal(inputs, events.dense())
    assert torch.equal(spikes, events.spikes)
    assert torch.equal(soma, events.soma)


def test_types_are_those_that_networks_take(converted):
    batch = next(iter(module(converted).train_dataloader()))
    types = [value.dtype for value in batch]
    assert types == [torch.int32, torch.int64, torch.int8, torch.float32, torch.float32]
    assert batch.ptr[0, 0] == 0
    assert batch.ptr[-1, -1] == len(batch.idx)
    assert torch.equal(batch.val, torch.where(batch.idx < 639, 1, -1).to(torch.int8))


def test_windows_can_be_sent_to_processes_that_are_started_anew(converted):
    windows = pickle.loads(pickle.dumps(module(converted).train_windows))
    assert same([windows[0, 0]], [module(converted).train_windows[0, 0]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 1500}, "of 2000 ms .* no room for windows of 1500 ms from 500 ms on"),
        ({"burn_in": 1800}, "no room for windows of 200 ms from 1800 ms on"),
        ({"batch_size": 0}, "batch_size, .* must be >= 1"),
        ({"burn_in": -1}, "burn_in >= 0"),
        ({"validation_fraction": 1.0}, r"validation_fraction 1\.0 of 6 simulations leaves nothing"),
        ({"validation_fraction": 0.95}, "leaves nothing to train"),
    ],
)
def test_settings_that_leave_nothing_are_refused(converted, settings, message):
    with pytest.raises(ValueError, match=message):
        module(converted, **settings)


def test_spike_rate_is_that_of_the_training_simulations(converted):
    data = module(converted)
    spikes = np.concatenate([file.spikes for file in data.train_windows.store.files])
    kept = data.train_windows.simulations
    assert len(kept) < len(spikes)
    assert data.spike_rate == pytest.approx(spikes[kept].mean())
