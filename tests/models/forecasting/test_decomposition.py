"""DLinear, NLinear and RLinear: their parts by hand, and what training makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import quick
from utils.models.forecasting import build_forecaster
from utils.models.forecasting.decomposition import moving_average
from utils.models.forecasting.network import Sizes
from utils.training.task import past_covariates
from utils.windows import window_data

NAMES = ["dlinear", "nlinear", "rlinear"]
TRAINED = {"max_epochs": 40, "batch_size": 128, "learning_rate": 0.01, "patience": 10}


def network(name, **settings):
    model = build_forecaster(name, **settings)
    return model.Module(model.config, Sizes(8, 3, 4, 0)).eval()


@pytest.mark.parametrize("kernel", [1, 3, 4, 25])
def test_moving_average_repeats_the_ends(kernel):
    values = np.random.default_rng(0).standard_normal(9)
    before, after = (kernel - 1) // 2, kernel // 2
    padded = np.r_[np.repeat(values[0], before), values, np.repeat(values[-1], after)]
    expected = np.convolve(padded, np.full(kernel, 1 / kernel), mode="valid")
    found = moving_average(9, kernel) @ torch.tensor(values, dtype=torch.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_neuron_that_was_not_observed_is_at_the_level_of_the_recording(name):
    net = network(name)
    net.neurons.mean.fill_(5.0)
    mask = torch.ones(2, 8, 4, dtype=torch.bool)
    mask[1, :, 2] = False
    found = net(torch.full((2, 8, 4), 9.0) * mask, mask, None).location
    torch.testing.assert_close(found[1, :, 2], torch.full((3,), 5.0))
    torch.testing.assert_close(found[0], torch.full((3, 4), 9.0))


@pytest.mark.parametrize("individual", [False, True])
def test_dlinear_adds_maps_of_trend_and_remainder(individual):
    net = network("dlinear", kernel=3, individual=individual)
    with torch.no_grad():
        for weights in (net.weight, net.trend_weight, net.bias):
            weights.normal_(generator=torch.Generator().manual_seed(len(weights)))
    past = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(0))
    edges = torch.cat([past[:, :1], past, past[:, -1:]], dim=1)
    trend = edges.unfold(1, 3, 1).mean(dim=3)
    for neuron in range(4):
        own = neuron if individual else 0
        expected = (past - trend)[:, :, neuron] @ net.weight[own]
        expected = expected + trend[:, :, neuron] @ net.trend_weight[own] + net.bias[own]
        found = net.point(net(past, None, None))[:, :, neuron]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_starts_at_the_mean_of_the_window(name):
    past = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(0)) + 3
    net = network(name)
    expected = past.mean(dim=1, keepdim=True).expand(-1, 3, -1)
    torch.testing.assert_close(net.point(net(past, None, None)), expected)


def test_nlinear_adds_a_map_of_the_distance_from_the_last_observed_value():
    net = network("nlinear")
    past = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(past, dtype=torch.bool)
    mask[0, -1, 1] = False
    forecast = net.point(net(past * mask, mask, None))[0, :, 1]
    distance = past[0, :7, 1] - past[0, 6, 1]
    expected = past[0, 6, 1] + distance.sum() / 8
    torch.testing.assert_close(forecast, expected.expand(3))


@pytest.mark.parametrize("name", NAMES)
def test_events_that_weigh_more_exceed_the_level_of_their_own_neuron(name):
    activity = np.random.default_rng(0).standard_normal((900, 3)) + [0.0, 100.0, -100.0]
    data = window_data(activity, np.arange(900) / 5, 8, 3)
    model = quick(name, event_weight=10.0).fit(data)
    batch = data.train.batch(torch.arange(len(data.train)))
    net = model.network
    said = net(batch.past, None, None)
    block = activity[data.split == 0]
    threshold = torch.tensor(block.mean(axis=0) + 2 * block.std(axis=0))
    weights = 1 + 9 * (batch.future > threshold)
    errors = (net.point(said) - batch.future).square() / block.std(axis=0).mean() ** 2
    expected = float((errors * weights).sum() / weights.sum())
    assert net.loss(said, batch.future, None).item() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_one_map_transfers_and_individual_maps_do_not(name, world):
    assert quick(name).transfers
    assert not quick(name, individual=True).transfers
    other = window_data(np.random.default_rng(0).random((900, 4)), np.arange(900) / 5, 24, 6)
    model = quick(name).fit(world)
    model.check_data(other)
    assert model.predict(other.test.batch([0]).past).shape == (1, 6, 4)


@pytest.mark.parametrize(
    ("name", "individual"), [("dlinear", True), ("nlinear", False), ("rlinear", False)]
)
def test_behaviour_that_leads_the_neurons_helps(name, individual):
    rng = np.random.default_rng(0)
    behaviour = rng.standard_normal((1000, 1))
    activity = np.roll(behaviour, 2, axis=0) + 0.3 * rng.standard_normal((1000, 3))
    data = window_data(activity, np.arange(1000) / 5, 8, 2, covariates=behaviour)
    batch = data.test.batch(torch.arange(len(data.test)))
    trainer = {**TRAINED, "max_epochs": 8, "batch_size": 32, "stride": 1}
    model = quick(name, individual=individual, covariates=True, trainer=trainer).fit(data)
    forecast = model.predict(batch.past, past_covariates(batch))
    assert (forecast - batch.future).square().mean() < 0.5 * batch.future.var()
