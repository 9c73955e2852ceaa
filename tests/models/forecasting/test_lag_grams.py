"""Second moments without windows equal the explicit sums over windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import world_activity, world_times
from utils.models.forecasting import lag_grams as module
from utils.models.forecasting.lag_grams import lag_grams, neuron_chunks
from utils.windows import window_data


@pytest.fixture(params=["gaps", "contexts reach back"])
def windows_of_the_world(request, world):
    if request.param == "gaps":
        return world
    activity = world_activity()
    activity[1670:1675, 2] = np.nan  # in contexts of validation windows, before their block
    return window_data(activity, world_times(), 24, 6, reach_back=True)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_equal_to_the_sums_over_complete_windows(windows_of_the_world, split):
    world = windows_of_the_world
    centre = torch.full((world.n_neurons,), 1.5, dtype=torch.float64)
    block = getattr(world, split)
    grams = lag_grams(world, block, slice(0, world.n_neurons), centre)
    batch = block.batch(torch.arange(len(block)))
    windows = torch.cat([batch.past, batch.future], dim=1).double() - 1.5
    observed = torch.ones_like(windows, dtype=torch.bool)
    if batch.past_mask is not None:
        observed = torch.cat([batch.past_mask, batch.future_mask], dim=1)
    for neuron in range(world.n_neurons):
        complete = windows[observed[:, :, neuron].all(dim=1), :, neuron]
        assert grams.count[neuron] == len(complete)
        torch.testing.assert_close(grams.sums[neuron], complete.sum(dim=0))
        torch.testing.assert_close(grams.products[neuron], complete.T @ complete)


def test_the_world_has_incomplete_windows_in_training(world):
    grams = lag_grams(world, world.train, slice(0, 10), torch.zeros(10, dtype=torch.float64))
    assert 0 < grams.count[5] < grams.count[0] == len(world.train)


def test_neurons_in_chunks_are_all_neurons(monkeypatch):
    monkeypatch.setattr(module, "NEURONS_AT_ONCE", 4)
    assert list(neuron_chunks(9)) == [slice(0, 4), slice(4, 8), slice(8, 9)]


def test_a_neuron_that_is_never_observed_has_no_windows():
    activity = np.random.default_rng(0).standard_normal((600, 3)).astype(np.float32)
    activity[:, 1] = np.nan
    data = window_data(activity, np.arange(600) / 5, 8, 4)
    grams = lag_grams(data, data.train, slice(0, 3), torch.zeros(3, dtype=torch.float64))
    assert grams.count[1] == 0
    assert not grams.products[1].any()
