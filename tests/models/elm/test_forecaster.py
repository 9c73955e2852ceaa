"""ELM as a forecaster: its core against plain formulas, and what it adds to the population ridge.

The gates of all forecasters are in ``tests/models/forecasting/test_gates.py``.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from tests.models.forecasting.conftest import QUICK, make_world, quick, world_activity, world_times
from utils.models.elm.forecaster import ELMTrainer
from utils.models.forecasting import load_model
from utils.windows import window_data

SMALL = {"latents": 3, "branches": 4, "memory": 5}
FAST = {**QUICK, "max_epochs": 6, "stride": 2}


def small(**settings):
    return quick("elm", **{**SMALL, **settings})


@pytest.fixture(scope="module")
def world():
    return make_world()


def started(data, **settings):
    """A network with statistics of the training block and random weights, not trained."""
    model = small(**settings)
    model._remember(data)
    model._start(data)
    return model.network.eval()


def test_core_is_one_elm_neuron_between_two_signed_maps(world):
    """Frame by frame, as the equations of version 2 say it."""
    network = started(world, head="gaussian")
    neuron = network.neuron
    torch.nn.init.normal_(neuron.w_y.weight)
    past = world.test.batch([5]).past
    inputs = (past - network.neurons.mean) / network.neurons.deviation
    branch, memory = torch.zeros(4), torch.zeros(5)
    for frame in inputs[0]:
        branch = neuron.kappa_b * branch + neuron.w_s * network.projection(frame @ network.writes)
        kept = neuron.kappa_m * memory
        z = neuron.mlp.network(torch.cat([branch, kept]))
        memory = kept + (1 - neuron.kappa_lambda) * 1.7159 * torch.tanh(2 / 3 * z)
    futures = neuron.w_y(memory).view(6, 2, 3) @ network.turn.T @ network.reads.T
    found = network.core(inputs, None)[0]
    torch.testing.assert_close(found, futures.transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_memory_spans_a_frame_to_the_context(world):
    neuron = started(world).neuron
    assert neuron.tau_m.min() == pytest.approx(1.0, abs=1e-3)
    assert neuron.tau_m.max() == pytest.approx(world.context, rel=1e-3)
    assert not any("tau" in name for name, _ in neuron.named_parameters())


@pytest.mark.parametrize("skip", ["none", "mean", "linear", "population"])
def test_training_starts_at_the_skip(world, skip):
    network = started(world, skip=skip)
    batch = world.test.batch([0, 4])
    output = network(batch.past, batch.past_mask, None)
    assert not output.outputs.any()
    assert torch.equal(network.point(output), output.base)


def test_every_parameter_gets_a_gradient():
    rng = np.random.default_rng(0)
    data = window_data(
        rng.standard_normal((900, 6)).astype(np.float32), world_times(900), 24, 6,
        covariates=rng.standard_normal((900, 2)), covariate_names=["a", "b"],
    )  # fmt: skip
    network = started(data, head="student_t", covariates=True)
    torch.nn.init.normal_(network.neuron.w_y.weight)
    batch = data.train.batch(torch.arange(8))
    output = network(batch.past, batch.past_mask, batch.past_covariates)
    network.loss(output, batch.future, batch.future_mask).backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_finds_what_no_linear_map_can():
    """The cells follow the square of what a few of them do."""
    rng = np.random.default_rng(0)
    cause = lfilter([1], [1, -0.8], rng.standard_normal(4000))
    cause /= cause.std()
    effect = np.roll(cause**2, 3) - 1
    effect[:3] = 0
    loadings = rng.standard_normal((2, 10))
    values = cause[:, None] * loadings[0] + effect[:, None] * loadings[1]
    values += 0.3 * rng.standard_normal(values.shape)
    data = window_data(values.astype(np.float32), np.arange(4000) / 5, 16, 3, source="simulated")
    batch = data.test.batch(torch.arange(len(data.test)))
    errors = [
        (model.predict(batch.past) - batch.future).square().mean()
        for model in (
            small(trainer={**FAST, "batch_size": 32}).fit(data),
            quick("population_ridge").fit(data),
        )
    ]
    assert errors[0] < 0.85 * errors[1]


def test_behaviour_that_drives_the_population_helps():
    rng = np.random.default_rng(3)
    running = lfilter([1], [1, -0.95], rng.standard_normal(2400))
    running /= running.std()
    values = np.outer(np.roll(running, 6), rng.standard_normal(8)) + rng.standard_normal((2400, 8))
    data = window_data(
        values.astype(np.float32), np.arange(2400) / 5, 24, 6,
        covariates=running[:, None], covariate_names=["running"], source="simulated",
    )  # fmt: skip
    batch = data.test.batch(torch.arange(len(data.test)))
    with_it, without = (small(covariates=c, trainer=FAST).fit(data) for c in (True, False))
    error = (with_it.predict(batch.past, batch.past_covariates) - batch.future).square().mean()
    assert error < 0.9 * (without.predict(batch.past) - batch.future).square().mean()


def test_a_head_survives_saving(world, tmp_path):
    model = small(head="quantile").fit(world)
    past = world.test.batch([0, 7]).past
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    levels = [0.1, 0.9]
    quantiles = model.predict_quantiles(past, levels)
    assert torch.equal(loaded.predict_quantiles(past, levels), quantiles)


@pytest.mark.parametrize(("n_neurons", "context"), [(1, 24), (2, 24), (4, 1)])
def test_fewer_neurons_than_latents_and_a_context_of_one_frame(n_neurons, context):
    data = window_data(world_activity()[:, :n_neurons], world_times(), context, 6)
    forecast = quick("elm").fit(data).predict(data.test.batch([0]).past)
    assert forecast.shape == (1, 6, n_neurons)
    assert torch.isfinite(forecast).all()


def test_own_training_settings_hold_where_none_are_given():
    trainer = quick("elm").config.trainer
    assert trainer.max_epochs == QUICK["max_epochs"]
    assert trainer.weight_decay == ELMTrainer().weight_decay
