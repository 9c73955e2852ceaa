"""Second moments without windows equal the explicit sums over windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import world_activity, world_times
from utils.models.forecasting import lag_grams as module
from utils.models.forecasting.lag_grams import (
    cross_sums,
    lag_grams,
    neuron_groups,
    position_sums,
    split_rows,
)
from utils.windows import window_data


@pytest.fixture(params=["gaps", "contexts reach back"])
def windows_of_the_world(request, world):
    if request.param == "gaps":
        return world
    activity = world_activity()
    activity[1670:1675, 2] = np.nan  # in contexts of validation windows, before their block
    return window_data(activity, world_times(), 24, 6, reach_back=True)


def windows_of(world, block):
    """All windows of a block and which of their entries were observed: (window, time, neuron)."""
    batch = block.batch(torch.arange(len(block)))
    windows = torch.cat([batch.past, batch.future], dim=1).double()
    observed = torch.ones_like(windows, dtype=torch.bool)
    if batch.past_mask is not None:
        observed = torch.cat([batch.past_mask, batch.future_mask], dim=1)
    return windows, observed


@pytest.mark.parametrize(
    ("split", "part", "lags"),
    [
        ("train", slice(7, 30), slice(11, 24)),
        ("validation", slice(0, 30), slice(23, 24)),
        ("test", slice(29, 30), slice(0, 24)),
    ],
)
def test_equal_to_the_sums_over_complete_windows(
    windows_of_the_world, split, part, lags, monkeypatch
):
    world, n_parts, n_lags = windows_of_the_world, part.stop - part.start, lags.stop - lags.start
    monkeypatch.setattr(module, "DESIGN_SIZE", 7000)  # pieces of windows add up
    block = getattr(world, split)
    windows, observed = windows_of(world, block)
    shared = torch.randn(len(world.timestamps), 2, generator=torch.manual_seed(0)).double()
    at = block.starts[:, None] + torch.arange(world.window)
    inputs = shared[at][:, lags]  # (window, lag, series)
    rows = split_rows(block)
    for group in neuron_groups(world, (block,)):
        runs = group.runs[split]
        values = world.activity[rows][part.start :, group.neurons].double().T
        series = shared[rows][lags.start :]
        sums, products = lag_grams(values, runs, n_parts)
        cross = cross_sums(values, series, runs, n_parts, n_lags)
        positions = position_sums(series, runs, n_lags)
        for place, neuron in enumerate(group.neurons.tolist()):
            complete = observed[:, :, neuron].all(dim=1)
            expected = windows[complete, part, neuron]
            assert (runs[:, 1] - runs[:, 0]).sum() == len(expected)
            torch.testing.assert_close(sums[place], expected.sum(dim=0))
            torch.testing.assert_close(products[place], expected.T @ expected)
            found = torch.einsum("wi,wjk->ijk", expected, inputs[complete])
            torch.testing.assert_close(cross[place], found)
            torch.testing.assert_close(positions, inputs[complete].sum(dim=0))


def test_neurons_that_miss_the_same_frames_form_a_group(world):
    groups = neuron_groups(world, (world.train, world.validation))
    assert sorted(group.neurons.tolist() for group in groups) == [[0, 1, 2, 3, 4, 7, 8, 9], [5, 6]]
    windows = {
        len(g.neurons): (g.runs["train"][:, 1] - g.runs["train"][:, 0]).sum() for g in groups
    }
    assert 0 < windows[2] < windows[8] == len(world.train)


def test_groups_come_in_chunks(world, monkeypatch):
    monkeypatch.setattr(module, "NEURONS_AT_ONCE", 3)
    sizes = [[len(chunk) for chunk in g.chunks()] for g in neuron_groups(world, (world.train,))]
    assert sorted(sizes) == [[2], [3, 3, 2]]
    neurons = torch.cat([g.neurons for g in neuron_groups(world, (world.train,))])
    assert neurons.sort().values.tolist() == list(range(10))


def test_a_neuron_that_is_never_observed_has_no_windows():
    activity = np.random.default_rng(0).standard_normal((600, 3)).astype(np.float32)
    activity[:, 1] = np.nan
    data = window_data(activity, np.arange(600) / 5, 8, 4)
    groups = neuron_groups(data, (data.train,))
    (silent,) = (group for group in groups if 1 in group.neurons)
    assert silent.neurons.tolist() == [1]
    assert len(silent.runs["train"]) == 0
    sums, products = lag_grams(torch.full((1, 400), torch.nan).double(), silent.runs["train"], 12)
    assert not sums.any()
    assert not products.any()
