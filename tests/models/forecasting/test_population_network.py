"""The population network: its parts against plain formulas, and what it makes of hard inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from tests.models.forecasting.conftest import QUICK, quick, world_activity, world_times
from utils.models.forecasting import load_model
from utils.models.forecasting.population_network import PopulationTrainer, exponential_averages
from utils.models.forecasting.simple import train_moments
from utils.models.forecasting.slow_components import LAG, slow_components
from utils.windows import window_data

SMALL = {"latents": 3, "memories": 4, "hidden": 8}


def small(**settings):
    return quick("population_network", **{**SMALL, **settings})


def latent_world(seed=0, n_neurons=40, frames=4000):
    """Three latents with different memories, strong enough to be found again; some noise."""
    rng = np.random.default_rng(seed)
    decays = (0.6, 0.97, 0.85)
    drive = rng.standard_normal((frames, 3))
    latents = np.column_stack([lfilter([1], [1, -a], drive[:, k]) for k, a in enumerate(decays)])
    latents /= latents.std(axis=0)
    values = latents @ rng.standard_normal((3, n_neurons))
    values = 5 + values + 0.5 * rng.standard_normal((frames, n_neurons))
    data = window_data(values.astype(np.float32), np.arange(frames) / 5, 24, 6, source="simulated")
    return latents, data


def components_of(data, n):
    mean, deviation = train_moments(data)
    return (*slow_components(data, mean, deviation, n), mean, deviation)


def test_slow_components_find_the_latents_in_the_order_of_their_memory():
    latents, data = latent_world()
    writes, reads, mean, deviation = components_of(data, 3)
    found = (((data.activity.double() - mean) / deviation) @ writes).numpy()
    for place, latent in enumerate((1, 2, 0)):  # the slowest first
        correlation = np.corrcoef(found[:2800, place], latents[:2800, latent])[0, 1]
        assert abs(correlation) > 0.95
    assert (reads.sum(dim=0) > 0).all()


def test_slow_components_have_unit_variance_and_no_lagged_correlation():
    _, data = latent_world()
    writes, reads, mean, deviation = components_of(data, 5)
    start, stop = data.train.segments[0]
    z = ((data.activity[start:stop].double() - mean) / deviation) @ writes
    eye = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(z.T @ z / len(z), eye, atol=1e-4, rtol=0)
    lagged = z[:-LAG].T @ z[LAG:] / (len(z) - LAG)
    lagged = (lagged + lagged.T) / 2
    assert (lagged - lagged.diagonal().diag()).abs().max() < 1e-4
    assert lagged.diagonal().tolist() == sorted(lagged.diagonal().tolist(), reverse=True)
    torch.testing.assert_close(writes.T @ reads, eye, atol=1e-6, rtol=0)  # there and back


def test_components_that_are_not_there_are_zero(world):
    silent = world_activity()
    silent[:, :8] = 1.0
    data = window_data(silent, world_times(), 24, 6)
    writes, reads, *_ = components_of(data, 4)
    assert writes.shape == (10, 4)
    assert not writes[:8].any()
    assert not writes[:, 2:].any()  # two neurons have two components
    assert not reads[:, 2:].any()
    assert torch.isfinite(writes).all()


def test_exponential_averages_are_averages_with_growing_memory():
    weights = exponential_averages(48, 5)
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(5))
    assert weights[:, 0].tolist() == [0.0] * 47 + [1.0]
    memory = 24.0 ** (1 / 4)
    expected = np.exp(-np.arange(48)[::-1] / memory)
    np.testing.assert_allclose(weights[:, 1], expected / expected.sum(), rtol=1e-5)
    assert exponential_averages(1, 3).tolist() == [[1.0, 1.0, 1.0]]


def test_core_is_one_small_forecaster_per_neuron_scaled_and_shifted_by_the_population(world):
    """Brute force over neurons and latents."""
    model = small().fit(world)
    network, past = model.network, world.test.batch([5]).past
    inputs = (past - network.neurons.mean) / network.neurons.deviation
    found = network.core(inputs, None)[0, :, :, 0]
    writes, reads = network.embeddings.chunk(2, dim=1)
    core, x = network.shared, inputs[0]
    series = [sum(x[:, n] * writes[n, k] for n in range(10)) for k in range(3)]
    features = torch.stack([s @ core.memory[:, m] for s in series for m in range(4)])
    modulation = core.encoder(features + network.session).view(3, 2, 8)
    for n in range(10):
        scale, shift = sum(reads[n, k] * modulation[k] for k in range(3))
        hidden = core.own(x[:, n]) * (1 + scale) + shift
        torch.testing.assert_close(found[:, n], core.out(hidden), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("skip", ["none", "mean", "linear", "population"])
def test_training_starts_at_the_skip(world, skip):
    model = small(skip=skip)
    model._remember(world)
    model._start(world)
    batch = world.test.batch([0, 4])
    output = model.network.eval()(batch.past, batch.past_mask, None)
    expected = output.base + torch.zeros_like(output.outputs[..., 0])
    assert torch.equal(model.network.point(output), expected)
    if skip == "none":
        mean = quick("train_mean").fit(world).predict(batch.past)
        torch.testing.assert_close(expected, mean)


def test_every_parameter_gets_a_gradient(world):
    model = small(covariates=False, head="student_t")
    model._remember(world)
    model._start(world)
    torch.nn.init.normal_(model.network.shared.out.weight)
    batch = world.train.batch(torch.arange(8))
    output = model.network(batch.past, batch.past_mask, None)
    model.network.loss(output, batch.future, batch.future_mask).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.network.parameters())


def test_a_shifted_population_takes_the_gain_away():
    """Neurons that heard of each other's future only do so at the same time."""
    _, data = latent_world(1)
    fast = {**QUICK, "max_epochs": 6, "stride": 2}
    rng = np.random.default_rng(0)
    shifts = rng.integers(300, 3000, data.n_neurons)
    apart = np.column_stack(
        [np.roll(column, shift) for column, shift in zip(data.activity.numpy().T, shifts)]
    )
    shifted = window_data(apart, np.asarray(data.timestamps), 24, 6, source="simulated")

    def gain(windows):
        batch = windows.test.batch(torch.arange(0, len(windows.test), 3))
        models = small(trainer=fast).fit(windows), quick("ar16").fit(windows)
        errors = [(m.predict(batch.past) - batch.future).square().mean().item() for m in models]
        return 1 - errors[0] / errors[1]

    assert gain(data) > 0.05
    assert gain(shifted) < 0.01


def test_covariates_that_drive_the_population_help():
    rng = np.random.default_rng(3)
    running = lfilter([1], [1, -0.95], rng.standard_normal(2400))
    running /= running.std()
    delayed = np.roll(running, 6)
    values = np.outer(delayed, rng.standard_normal(8)) + rng.standard_normal((2400, 8))
    data = window_data(
        values.astype(np.float32), np.arange(2400) / 5, 24, 6,
        covariates=running[:, None], covariate_names=["running"], source="simulated",
    )  # fmt: skip
    fast = {**QUICK, "max_epochs": 5, "stride": 2}
    batch = data.test.batch(torch.arange(len(data.test)))
    with_them = small(covariates=True, trainer=fast).fit(data)
    without = small(trainer=fast).fit(data)
    error = (with_them.predict(batch.past, batch.past_covariates) - batch.future).square().mean()
    assert error < 0.9 * (without.predict(batch.past) - batch.future).square().mean()
    missing = torch.full_like(batch.past_covariates, torch.nan)
    assert torch.isfinite(with_them.predict(batch.past, missing)).all()
    with pytest.raises(ValueError, match="covariates"):
        with_them.predict(batch.past)


@pytest.mark.parametrize("head", ["gaussian", "student_t", "quantile"])
def test_heads_give_ordered_finite_quantiles_that_survive_saving(world, head, tmp_path):
    model = small(head=head).fit(world)
    past = world.test.batch([0, 7]).past
    low, high = model.predict_quantiles(past, [0.1, 0.9]).unbind(-1)
    assert torch.isfinite(low).all()
    assert (low <= high).all()
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert torch.equal(loaded.predict_quantiles(past, [0.1, 0.9])[..., 0], low)


@pytest.mark.parametrize("n_neurons", [1, 2])
def test_fewer_neurons_than_latents(n_neurons):
    data = window_data(world_activity()[:, :n_neurons], world_times(), 24, 6)
    model = quick("population_network").fit(data)
    forecast = model.predict(data.test.batch([0]).past)
    assert forecast.shape == (1, 6, n_neurons)
    assert torch.isfinite(forecast).all()


def test_neuron_that_is_never_observed_in_training_gets_a_finite_forecast():
    activity = world_activity()
    activity[:1700, 2] = np.nan
    data = window_data(activity, world_times(), 24, 6)
    batch = data.test.batch([0])
    assert torch.isfinite(small().fit(data).predict(batch.past)).all()


def test_seed_decides_the_weights(world):
    past = world.test.batch([0]).past
    first, again, other = (
        small(trainer={"seed": seed}).fit(world).predict(past) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_own_training_settings_hold_where_none_are_given():
    trainer = quick("population_network").config.trainer
    assert trainer.max_epochs == QUICK["max_epochs"]
    assert trainer.learning_rate == PopulationTrainer().learning_rate
