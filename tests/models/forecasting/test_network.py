"""What trained forecasters have in common: heads, start, covariates, gradients, sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import make_world, quick, world_activity, world_times
from utils.windows import window_data

SMALL = {
    "tsmixer": {"d_channel": 8},
    "patchtst": {"d_model": 8, "n_heads": 2, "ffn_dim": 16, "patch": 8, "stride": 4},
    "itransformer": {"d_model": 8, "n_heads": 2, "ffn_dim": 16},
}

pytestmark = pytest.mark.parametrize("name", SMALL)


def small(name, **settings):
    return quick(name, **{**SMALL[name], **settings})


def network_of(model, data):
    torch.manual_seed(0)
    model._remember(data)
    network = model._build()
    network.prepare(data)
    return network


@pytest.fixture(scope="module")
def running_world():
    """A world with a covariate that has a hole."""
    activity, times = world_activity(1200), world_times(1200)
    running = np.sin(times)[:, None].astype(np.float32) + 5.0
    running[100:110] = np.nan
    return window_data(activity, times, 24, 6, covariates=running, covariate_names=["running"])


@pytest.mark.parametrize("head", ["point", "gaussian", "student_t", "quantile"])
def test_every_parameter_gets_a_gradient(name, running_world, head):
    network = network_of(small(name, head=head, covariates=True), running_world)
    batch = running_world.train.batch(torch.arange(0, 200, 10))
    output = network(batch.past, batch.past_mask, batch.past_covariates)
    assert output.outputs.shape == (20, 6, 10, network.head.n_outputs)
    loss = network.loss(output, 100 * batch.future, batch.future_mask)
    loss.backward()
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


@pytest.mark.parametrize("skip", ["last", "mean", "linear", "population"])
def test_training_starts_close_to_the_skip_forecast(name, world, skip):
    network = network_of(small(name, skip=skip), world).eval()
    past = world.test.batch(torch.arange(20)).past
    correction = network(past, None, None).location - network.skip(past, None, None)
    assert (correction.abs() < 0.3 * network.neurons.deviation).all()
    assert correction.any()


def test_what_no_linear_map_forecasts_is_learnt(name):
    """The logistic map is white noise to a linear forecaster, and fully determined."""
    activity = np.empty((1500, 4), np.float32)
    activity[0] = [0.11, -0.37, 0.53, 0.71]
    for t in range(1, len(activity)):
        activity[t] = 1 - 2 * activity[t - 1] ** 2
    data = window_data(activity, world_times(1500), 4, 1, source="simulated", unit="")
    trainer = {"max_epochs": 4, "stride": 1, "batch_size": 32, "learning_rate": 2e-2}
    model = small(name, dropout=0.0, trainer=trainer).fit(data)
    batch = data.test.batch(torch.arange(len(data.test)))
    error = (model.predict(batch.past) - batch.future).square().mean() / batch.future.var()
    assert error < 0.5


def test_covariates_are_used_and_a_missing_one_counts_as_the_mean(name, running_world):
    model = small(name, covariates=True).fit(running_world)
    batch = running_world.test.batch([0, 1])
    covariates, mean = batch.past_covariates, model.network.behaviour.mean
    base = model.predict(batch.past, covariates)
    assert (model.predict(batch.past, covariates + 1.0) != base).any(dim=1).all()
    with_hole, with_mean = covariates.clone(), covariates.clone()
    with_hole[:, 3], with_mean[:, 3] = torch.nan, mean
    torch.testing.assert_close(
        model.predict(batch.past, with_hole), model.predict(batch.past, with_mean)
    )
    with pytest.raises(ValueError, match="give them to predict"):
        model.predict(batch.past)


@pytest.mark.parametrize("head", ["point", "student_t"])
def test_a_single_neuron_is_enough(name, head):
    world = make_world(world_activity(1200)[:, :1])
    model = small(name, head=head).fit(world)
    past = world.test.batch([0, 5, 9]).past
    assert model.predict(past).isfinite().all()
    assert model.predict(past[:0]).shape == (0, 6, 1)
    if head != "point":
        quantiles = model.predict_quantiles(past, [0.1, 0.5, 0.9])
        assert quantiles.shape == (3, 6, 1, 3)
        assert (quantiles.diff(dim=3) > 0).all()


def test_the_mean_of_a_window_carries_through_where_windows_are_normalised(name, world):
    model = small(name, normalise="window", skip="mean").fit(world)
    past = world.test.batch([0, 5]).past
    moved = model.predict(past + 40) - 40
    torch.testing.assert_close(moved, model.predict(past), rtol=1e-3, atol=1e-3)
