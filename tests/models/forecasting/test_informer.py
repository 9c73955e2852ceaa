"""The Informer: no leak, no randomness, nothing dead, honest about missing and silent neurons."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import QUICK, quick, world_activity, world_times
from utils.models.forecasting import build_forecaster, load_model
from utils.training import TrainingError
from utils.windows import window_data

SMALL = {"d_model": 16, "n_heads": 2, "ffn_dim": 16, "encoder_layers": 1}


def small(**settings):
    return quick("informer", **{**SMALL, **settings})


def with_covariates(shift: float = 0.0):
    activity, times = world_activity(1200), world_times(1200)
    running = np.sin(times)[:, None].astype(np.float32) + shift
    running[100:110] = np.nan
    return window_data(activity, times, 24, 6, covariates=running, covariate_names=["running"])


def network_of(model, data):
    model._remember(data)
    network = model._build()
    network.prepare(data)
    return network


@pytest.mark.parametrize("head", ["point", "student_t"])
@pytest.mark.parametrize("attention", ["full", "prob"])
@pytest.mark.parametrize("distil", [False, True])
def test_every_parameter_gets_a_gradient(world, head, attention, distil):
    settings = {"head": head, "attention": attention, "distil": distil, "encoder_layers": 2}
    network = network_of(small(**settings), world)
    batch = world.train.batch(torch.arange(8))
    output = network(batch.past, batch.past_mask, None)
    loss = network.loss(output, batch.future, batch.future_mask)
    if head == "student_t":  # the penalty acts outside the range only
        loss = loss + network.loss(output, batch.future * 100, batch.future_mask)
    loss.backward()
    dead = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert dead == []


def test_decoder_sees_zeros_for_the_horizon(world):
    """One pass without future values: what the decoder gets does not depend on the future."""
    network = network_of(small(), world).eval()
    seen = []
    network.decoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    batch = world.train.batch(torch.arange(4))
    network(batch.past, batch.past_mask, None)
    assert seen[0].shape == (4, 12 + 6, world.n_neurons)
    assert not seen[0][:, -6:].any()


@pytest.mark.parametrize("distil", [False, True])
def test_fused_attention_equals_the_plain_one(world, distil):
    network = network_of(small(dropout=0.0, distil=distil, decoder_layers=2), world)
    batch = world.train.batch(torch.arange(8))
    outputs, gradients = [], []
    for kind in ("sdpa", "eager"):
        for part in (network.encoder, network.decoder):
            part.config._attn_implementation = kind
        network.zero_grad()
        outputs.append(network(batch.past, batch.past_mask, None).outputs)
        network.loss(network(batch.past, batch.past_mask, None), batch.future, None).backward()
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_full_attention_is_fused_and_probsparse_keeps_its_mask(world):
    kinds = {}
    for attention in ("full", "prob"):
        network = network_of(small(attention=attention), world)
        kinds[attention] = network.decoder.config._attn_implementation
    assert kinds == {"full": "sdpa", "prob": "eager"}


def test_decoder_frames_do_not_see_later_ones(world):
    """Whatever stood in the horizon from frame t on changes nothing before t."""
    network = network_of(small(decoder_layers=2), world).eval()
    frames = torch.randn(3, 12 + 6, world.n_neurons)
    later = frames.clone()
    later[:, 14:] += 5.0
    hidden = torch.randn(3, 24, 16)
    before, after = (
        network.decoder(
            inputs_embeds=x, encoder_hidden_states=hidden, use_cache=False
        ).last_hidden_state
        for x in (frames, later)
    )
    torch.testing.assert_close(before[:, :14], after[:, :14], rtol=0, atol=1e-6)
    assert ((before - after)[:, 14:].abs().amax(dim=2) > 1e-3).all()


@pytest.mark.parametrize(
    ("skip", "name", "settings"),
    [("linear", "linear", {"lags": [16, 24]}), ("population", "population_ridge", {})],
)
def test_training_starts_close_to_the_skip_forecast(world, skip, name, settings):
    network = network_of(small(skip=skip), world).eval()
    past = world.test.batch(torch.arange(20)).past
    linear = build_forecaster(name, **settings).fit(world).predict(past)
    deviation = network.neurons.deviation
    assert ((network(past, None, None).location - linear).abs() < 0.3 * deviation).all()


@pytest.mark.parametrize("skip", ["none", "last", "mean", "linear", "population"])
def test_learns_more_than_the_train_mean(world, skip):
    trainer = {**QUICK, "max_epochs": 4, "stride": 1, "learning_rate": 3e-3}
    model = small(skip=skip, trainer=trainer).fit(world)
    mean = build_forecaster("train_mean").fit(world)
    batch = world.test.batch(torch.arange(len(world.test)))
    errors = [(m.predict(batch.past) - batch.future).square().mean() for m in (model, mean)]
    assert errors[0] < 0.95 * errors[1]


def test_same_seed_same_model_and_another_seed_another(world):
    past = world.test.batch([0]).past
    a, b = small().fit(world).predict(past), small().fit(world).predict(past)
    torch.testing.assert_close(a, b, rtol=0, atol=0)
    other = small(trainer={**QUICK, "seed": 1}).fit(world).predict(past)
    assert not torch.equal(a, other)


def test_silent_neuron_is_forecast_as_silent(world):
    model = small(head="student_t", skip="mean").fit(world)
    past = world.test.batch(torch.arange(10)).past
    spread = model.network.neurons.deviation[3]
    assert ((model.predict(past)[:, :, 3] - 0.5).abs() < 2 * spread).all()


def test_covariates_are_used_and_asked_for():
    data = with_covariates()
    model = small(covariates=True).fit(data)
    batch = data.test.batch([0, 1])
    base = model.predict(batch.past, batch.past_covariates)
    moved = model.predict(batch.past, batch.past_covariates + 1.0)
    assert not torch.equal(base, moved)
    with pytest.raises(ValueError, match="give them to predict"):
        model.predict(batch.past)
    with pytest.raises(ValueError, match=r"fitted with \d covariates?, found 9"):
        model.predict(batch.past, torch.ones(2, batch.past.shape[1], 9))


def test_missing_covariates_count_as_their_mean():
    data = with_covariates(shift=5.0)
    model = small(covariates=True).fit(data)
    past, covariates = data.test.batch([0]).past, data.test.batch([0]).past_covariates
    mean = model.network.behaviour.mean
    with_hole, with_mean = covariates.clone(), covariates.clone()
    with_hole[:, 3], with_mean[:, 3] = torch.nan, mean
    torch.testing.assert_close(model.predict(past, with_hole), model.predict(past, with_mean))


def test_covariates_are_left_out_where_the_data_hold_none(world):
    past = world.test.batch([0]).past
    a, b = (small(covariates=wanted).fit(world).predict(past) for wanted in (True, False))
    torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_probsparse_comes_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        small(attention="prob")
    assert "samples keys at random" in caplog.text


def test_interrupted_and_resumed_equals_uninterrupted(world, tmp_path):
    trainer = {**QUICK, "max_epochs": 3, "schedule": "constant"}
    whole = small(trainer=trainer).fit(world)
    small(trainer={**trainer, "max_epochs": 1}).fit(world, folder=tmp_path)
    resumed = small(trainer=trainer).fit(world, folder=tmp_path, resume=True)
    assert resumed.training.epochs == whole.training.epochs == 3
    past = world.test.batch(torch.arange(5)).past
    torch.testing.assert_close(resumed.predict(past), whole.predict(past), rtol=1e-5, atol=1e-5)


def test_resume_without_an_interrupted_training(world, tmp_path):
    with pytest.raises(TrainingError, match="nothing to resume"):
        small().fit(world, folder=tmp_path, resume=True)
    with pytest.raises(TrainingError, match="needs the folder"):
        small().fit(world, resume=True)


def test_many_neurons(tmp_path):
    activity = np.random.default_rng(0).standard_normal((600, 3000)).astype(np.float32)
    data = window_data(activity, np.arange(600) / 5, 16, 8)
    model = small(skip="mean", trainer={**QUICK, "max_steps": 2}).fit(data)
    model.save(tmp_path / "model")
    assert load_model(tmp_path / "model").predict(data.test.batch([0]).past).shape == (1, 8, 3000)
