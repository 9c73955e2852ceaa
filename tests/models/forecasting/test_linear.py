"""Closed-form linear forecasts against explicit least squares, and against Adam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from tests.models.forecasting.conftest import behaviour_world, make_world
from utils.config import ConfigError
from utils.models.forecasting import DataMismatchError, build_forecaster
from utils.models.forecasting import lag_grams as grams_module
from utils.training.task import past_covariates
from utils.windows import window_data

SETTINGS = [{}, {"subtract": "last"}, {"subtract": "mean"}]


def complete_windows(data, split, neuron):
    block = getattr(data, split)
    batch = block.batch(torch.arange(len(block)))
    past, future = batch.past[:, :, neuron].double(), batch.future[:, :, neuron].double()
    if batch.past_mask is not None:
        observed = torch.cat([batch.past_mask, batch.future_mask], dim=1)[:, :, neuron].all(dim=1)
        past, future = past[observed], future[observed]
    return past, future


@pytest.mark.parametrize("neuron", [0, 5])
@pytest.mark.parametrize("settings", SETTINGS)
def test_equals_explicit_ridge(world, settings, neuron):
    """Neuron 5 misses frames: only its complete windows count."""
    model = build_forecaster("linear", ridge=[0.01], lags=[12], **settings).fit(world)
    past, future = complete_windows(world, "train", neuron)
    level = {
        "none": torch.zeros(len(past), 1),
        "last": past[:, -1:],
        "mean": past.mean(dim=1, keepdim=True),
    }[model.config.subtract]
    x, y = (past - level)[:, -12:], future - level
    xc, yc = x - x.mean(dim=0), y - y.mean(dim=0)
    covariance = xc.T @ xc / len(x)
    penalty = 0.01 * covariance.diagonal().mean() * torch.eye(12, dtype=torch.float64)
    weight = torch.linalg.solve(covariance + penalty, xc.T @ yc / len(x))
    expected = (x - x.mean(dim=0)) @ weight + y.mean(dim=0) + level
    windows = torch.zeros(len(past), world.context, world.n_neurons)
    windows[:, :, neuron] = past.float()
    found = model.predict(windows)[:, :, neuron]
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_shared_map_equals_least_squares_over_all_neurons():
    rng = np.random.default_rng(3)
    activity = rng.standard_normal((900, 4)).cumsum(axis=0).astype(np.float32) * 0.1
    data = window_data(activity, np.arange(900) / 5, 10, 3)
    model = build_forecaster("linear", shared=True, subtract="last", ridge=[1e-9]).fit(data)
    pasts, futures = zip(*(complete_windows(data, "train", n) for n in range(4)))
    past, future = torch.cat(pasts), torch.cat(futures)
    x = torch.cat([past - past[:, -1:], torch.ones(len(past), 1)], dim=1)
    solution = torch.linalg.lstsq(x, future - past[:, -1:], driver="gelsd").solution
    expected = (x @ solution + past[:, -1:])[: len(pasts[0])]
    found = model.predict(pasts[0][:, :, None].float())[:, :, 0]
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("settings", SETTINGS)
def test_adam_reaches_the_closed_form_within_two_percent(settings):
    data = make_world(np.nan_to_num(make_world().activity.numpy()))
    model = build_forecaster("linear", ridge=[1e-6], **settings).fit(data)
    trained = train_with_adam(data, model.config.subtract)
    batch = data.test.batch(torch.arange(len(data.test)))
    closed = (model.predict(batch.past) - batch.future).square().mean()
    adam = (trained(batch.past) - batch.future).square().mean()
    assert abs(adam / closed - 1) < 0.02


def train_with_adam(data, subtract):
    n = data.n_neurons
    weight = torch.zeros(n, data.horizon, data.context, requires_grad=True)
    bias = torch.zeros(n, data.horizon, requires_grad=True)

    def forecast(past):
        level = {"last": past[:, -1:], "mean": past.mean(dim=1, keepdim=True)}.get(
            subtract, data_mean
        )
        return torch.einsum("bln,nhl->bhn", past - level, weight) + bias.T + level

    batch = data.train.batch(torch.arange(len(data.train)))
    data_mean = batch.past.mean(dim=(0, 1))
    optimizer = torch.optim.Adam([weight, bias], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    for _ in range(400):
        optimizer.zero_grad()
        (forecast(batch.past) - batch.future).square().mean().backward()
        optimizer.step()
        schedule.step()
    return lambda past: forecast(past).detach()


def test_chooses_ridge_and_lags_on_validation(world):
    errors = {}
    for lag in (2, 24):
        for ridge in (1e-4, 100.0):
            model = build_forecaster("linear", lags=[lag], ridge=[ridge]).fit(world)
            batch = world.validation.batch(torch.arange(len(world.validation)))
            errors[lag, ridge] = (model.predict(batch.past) - batch.future).square().mean().item()
    chosen = build_forecaster("linear", lags=[2, 24], ridge=[1e-4, 100.0]).fit(world).chosen
    assert (chosen.lags, chosen.ridge) == min(errors, key=errors.get)


def test_chunks_of_neurons_change_nothing(world, monkeypatch):
    whole = build_forecaster("ar16").fit(world)
    monkeypatch.setattr(grams_module, "NEURONS_AT_ONCE", 3)
    parts = build_forecaster("ar16").fit(world)
    torch.testing.assert_close(whole.weight, parts.weight)
    torch.testing.assert_close(whole.bias, parts.bias)


def test_long_contexts_are_solved_in_several_threads_as_in_one():
    activity = np.random.default_rng(0).standard_normal((2400, 4)).astype(np.float32)
    data = window_data(activity, np.arange(2400) / 5, 240, 4, (0.5, 0.25, 0.25))
    maps = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        maps.append(build_forecaster("linear", ridge=[0.1]).fit(data).weight)
    torch.set_num_threads(1)
    torch.testing.assert_close(*maps)


def test_silent_and_never_observed_neurons_get_their_mean():
    activity = np.random.default_rng(0).standard_normal((900, 3)).astype(np.float32)
    activity[:, 1], activity[:, 2] = 0.25, np.nan
    data = window_data(activity, np.arange(900) / 5, 8, 4)
    model = build_forecaster("ar16").fit(data)
    forecast = model.predict(torch.randn(5, 8, 3))
    torch.testing.assert_close(forecast[:, :, 1], torch.full((5, 4), 0.25))
    torch.testing.assert_close(forecast[:, :, 2], torch.zeros(5, 4))


@pytest.mark.parametrize("name", ["linear", "population_ridge"])
def test_a_neuron_that_is_never_observed_in_a_window_is_at_its_train_mean(name):
    rng = np.random.default_rng(0)
    noise = lfilter([1], [1, -0.8], rng.standard_normal((900, 3)), axis=0)
    data = window_data(noise + [0.0, 100.0, -30.0], np.arange(900) / 5, 8, 4)
    past = data.test.batch([0, 9]).past
    mask = torch.ones_like(past, dtype=torch.bool)
    mask[:, :, 1] = False
    for settings in SETTINGS if name == "linear" else [{"components": [0]}]:
        model = build_forecaster(name, **settings).fit(data)
        found = model.predict(past, mask=mask)
        torch.testing.assert_close(found[:, :, 1], torch.full((2, 4), 100.0), rtol=0, atol=1.0)
        assert torch.equal(found[:, :, [0, 2]], model.predict(past)[:, :, [0, 2]])


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_shared_map_takes_the_mean_of_all_neurons_where_one_was_not_observed(settings):
    activity = np.random.default_rng(0).standard_normal((900, 3)) + [19.0, 20.0, 21.0]
    data = window_data(activity, np.arange(900) / 5, 8, 4)
    past = torch.full((2, 8, 5), torch.nan)  # other neurons
    past[:, :, 3] = 20.0
    found = build_forecaster("linear", shared=True, **settings).fit(data).predict(past)
    torch.testing.assert_close(found, torch.full((2, 4, 5), 20.0), rtol=0, atol=0.3)


def test_shared_map_transfers_and_own_weights_do_not(world):
    other = window_data(np.random.default_rng(0).random((900, 4)), np.arange(900) / 5, 24, 6)
    shared = build_forecaster("linear", shared=True, subtract="mean").fit(world)
    shared.check_data(other)
    assert shared.predict(other.test.batch([0]).past).shape == (1, 6, 4)
    with pytest.raises(DataMismatchError, match=r"own 10 neurons.*the 4 neurons"):
        build_forecaster("linear").fit(world).check_data(other)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("settings", SETTINGS)
def test_covariates_equal_explicit_ridge(settings, shared):
    """Lags of behaviour beside own lags, each with its penalty; missing behaviour is its mean."""
    data = behaviour_world()
    one = {"lags": [5], "ridge": [0.02], "covariate_ridge": [0.3], "covariates": True}
    model = build_forecaster("linear", **one, **settings, shared=shared).fit(data)
    assert model.chosen.covariate_ridge == 0.3
    rows = torch.cat([data.covariates[a:b] for a, b in data.train.segments.tolist()]).double()
    mean = rows.nanmean(dim=0)
    deviation = (rows - mean).square().nanmean(dim=0).sqrt()
    behaviour = ((data.covariates - mean) / deviation.clamp(min=1e-3)).nan_to_num(0.0)
    found = []
    for neuron in range(5) if shared else [1]:
        windows = data.activity[data.train.starts[:, None] + torch.arange(16), neuron].double()
        complete = windows.isfinite().all(dim=1)
        past, future = windows[complete, :12], windows[complete, 12:]
        level = {
            "none": torch.zeros(len(past), 1),
            "last": past[:, -1:],
            "mean": past.mean(dim=1, keepdim=True),
        }[model.config.subtract]
        at = data.train.starts[complete, None] + torch.arange(7, 12)
        found.append(((past - level)[:, -5:], behaviour[at].flatten(1), future - level))
    own, shared_part, y = (torch.cat(parts) for parts in zip(*found))
    x = torch.cat([own, shared_part], dim=1)
    xc, yc = x - x.mean(dim=0), y - y.mean(dim=0)
    variance = xc.square().mean(dim=0)
    penalty = torch.cat(
        [0.02 * variance[:5].mean().expand(5), 0.3 * variance[5:].mean().expand(15)]
    )
    weight = torch.linalg.solve(xc.T @ xc / len(x) + penalty.diag(), xc.T @ yc / len(x)).float()
    place = 0 if shared else 1
    torch.testing.assert_close(model.weight[place].T, weight[:5], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        model.covariate_weight[place].flatten(1).T, weight[5:], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", ["ar16", "linear"])
def test_behaviour_that_leads_the_neurons_helps(name):
    data = behaviour_world()
    batch = data.test.batch(torch.arange(len(data.test)))
    errors = {}
    for covariates in (False, True):
        model = build_forecaster(name, covariates=covariates).fit(data)
        forecast = model.predict(batch.past, past_covariates(batch), batch.past_mask)
        errors[covariates] = (forecast - batch.future).square().mean().item()
    assert errors[True] < 0.95 * errors[False]


def test_without_covariates_in_the_data_nothing_changes(world):
    plain, asked = (build_forecaster("ar16", covariates=c).fit(world) for c in (False, True))
    past = world.test.batch([0, 7]).past
    assert torch.equal(plain.predict(past), asked.predict(past))


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match="'subtract' = 'first'"):
        build_forecaster("linear", subtract="first")
    with pytest.raises(ConfigError, match=r"unknown key 'rigde'.*ridge"):
        build_forecaster("linear", rigde=[1.0])
