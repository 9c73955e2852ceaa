"""The Autoformer: autocorrelation as in the paper, window by window, one pass, nothing dead."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import QUICK, quick
from utils.config import ConfigError
from utils.models.forecasting.autoformer import AutoCorrelation
from utils.windows import window_data

SMALL = {"d_model": 16, "ffn_dim": 16, "encoder_layers": 1, "moving_average": 7}


def small(**settings):
    return quick("autoformer", **{**SMALL, **settings})


def network_of(model, data):
    model._remember(data)
    network = model._build()
    network.prepare(data)
    return network


def by_the_definition(layer, queries, source):
    """Autocorrelation of one window, sum by sum: (frame, feature) -> (frame, feature)."""
    n = len(queries)
    source = source[-n:]
    query, key, value = layer.query(queries), layer.key(source), layer.value(source)
    key, value = (torch.cat([x, x.new_zeros(n - len(x), x.shape[1])]) for x in (key, value))
    correlation = torch.stack([(query.roll(-delay, 0) * key).sum(0).mean() for delay in range(n)])
    best, delays = correlation.topk(int(layer.factor * math.log(n)))
    mixed = torch.zeros_like(value)
    for weight, delay in zip(best.softmax(0), delays.tolist()):
        mixed += weight * value.roll(-delay, 0)
    return layer.out(mixed)


@pytest.mark.parametrize("source_length", [None, 11, 20, 31])
@pytest.mark.parametrize("training", [False, True])
def test_autocorrelation_is_that_of_the_definition_in_each_window(source_length, training):
    torch.manual_seed(0)
    layer = AutoCorrelation(6, 2.0).train(training)
    queries = torch.randn(5, 20, 6)
    source = None if source_length is None else torch.randn(5, source_length, 6)
    found, _ = layer(queries, source)
    pairs = zip(queries, queries if source is None else source)
    expected = torch.stack([by_the_definition(layer, *pair) for pair in pairs])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_autocorrelation_continues_a_rhythm():
    """With identity maps a sine is mixed from copies shifted by whole periods: it stays itself."""
    layer = AutoCorrelation(1, 1.0)
    for linear in (layer.query, layer.key, layer.value, layer.out):
        torch.nn.init.ones_(linear.weight)
    for linear in (layer.value, layer.out):
        torch.nn.init.zeros_(linear.bias)
    sine = 3 * torch.sin(torch.arange(40) * 2 * math.pi / 10)[None, :, None]
    torch.testing.assert_close(layer(sine)[0], sine, rtol=0, atol=1e-4)


@pytest.mark.parametrize("length", [1, 2])
def test_autocorrelation_of_very_short_sequences(length):
    layer = AutoCorrelation(4, 3.0)
    assert layer(torch.randn(2, length, 4))[0].isfinite().all()


@pytest.mark.parametrize("head", ["point", "student_t"])
def test_every_parameter_gets_a_gradient(world, head):
    """More than rounding: a bias that a decomposition cancels would have 1e-8 of the largest."""
    network = network_of(small(head=head, encoder_layers=2, decoder_layers=2), world)
    batch = world.train.batch(torch.arange(8))
    output = network(batch.past, batch.past_mask, None)
    network.loss(output, batch.future * 100, batch.future_mask).backward()
    sizes = {
        name: 0.0 if parameter.grad is None else parameter.grad.abs().max().item()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }
    assert [name for name, size in sizes.items() if size < 1e-6 * max(sizes.values())] == []


def test_decoder_sees_seasonal_frames_and_zeros_for_the_horizon(world):
    network = network_of(small(), world).eval()
    seen = []
    network.decoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    steady = torch.full((1, 24, world.n_neurons), 4.0)
    batch = torch.cat([steady, world.train.batch([0, 1]).past])
    network(batch, None, None)
    assert seen[0].shape == (3, 12 + 6, world.n_neurons)
    assert not seen[0][:, -6:].any()
    torch.testing.assert_close(seen[0][0], torch.zeros(18, world.n_neurons), rtol=0, atol=1e-4)


def test_windows_of_a_batch_do_not_touch_each_other_in_training_either(world):
    network = network_of(small(dropout=0.0), world).train()
    past = world.train.batch(torch.arange(6)).past
    together = network(past, None, None).outputs
    alone = torch.cat([network(row[None], None, None).outputs for row in past])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("skip", ["mean", "linear", "population"])
def test_training_starts_close_to_the_skip_forecast(world, skip):
    network = network_of(small(skip=skip), world).eval()
    forecast = network(world.test.batch(torch.arange(20)).past, None, None)
    assert ((forecast.location - forecast.base).abs() < 0.3 * network.neurons.deviation).all()


def test_learns_a_rhythm_that_the_mean_cannot_forecast():
    times = np.arange(1500) / 5
    phases = np.linspace(0, 2 * np.pi, 4, endpoint=False)
    noise = 0.1 * np.random.default_rng(0).standard_normal((1500, 4))
    activity = np.sin(times[:, None] * 2 * np.pi / 2.4 + phases) + noise  # 12 frames a period
    data = window_data(activity.astype(np.float32), times, 24, 6)
    trainer = {**QUICK, "max_epochs": 6, "batch_size": 16, "learning_rate": 1e-2}
    model = small(trainer=trainer, dropout=0.0, normalise="window").fit(data)
    batch = data.test.batch(torch.arange(len(data.test)))
    assert (model.predict(batch.past) - batch.future).square().mean() < 0.2 * batch.future.var()


def test_covariates_are_used(world):
    running = np.sin(np.arange(1200) / 5)[:, None].astype(np.float32)
    data = window_data(
        running + np.random.default_rng(0).standard_normal((1200, 5)).astype(np.float32),
        np.arange(1200) / 5, 24, 6, covariates=running, covariate_names=["running"],
    )  # fmt: skip
    model = small(covariates=True).fit(data)
    batch = data.test.batch([0, 1])
    base = model.predict(batch.past, batch.past_covariates)
    faded = batch.past_covariates * torch.linspace(0, 1, 24)[:, None]
    assert not torch.equal(base, model.predict(batch.past, faded))


def test_an_average_without_a_centre_is_refused():
    with pytest.raises(ConfigError, match=r"moving_average.*must be odd"):
        small(moving_average=24)
