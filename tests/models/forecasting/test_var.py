"""Ridge vector autoregression against explicit normal equations, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.config import ConfigError
from utils.models.forecasting import DataMismatchError, build_forecaster, load_model
from utils.models.forecasting import lag_grams as grams_module
from utils.models.forecasting import var as var_module
from utils.models.forecasting.simple import train_moments
from utils.windows import window_data


def vector_world(n_frames=1500, n_neurons=4):
    """Neurons that drive one another, with scales and levels of their own. Simulated."""
    rng = np.random.default_rng(0)
    coupling = 0.5 * np.eye(n_neurons) + 0.4 * np.roll(np.eye(n_neurons), 1, axis=1)
    activity = rng.standard_normal((n_frames, n_neurons))
    for frame in range(1, n_frames):
        activity[frame] += coupling @ activity[frame - 1]
    return (activity * [1.0, 10.0, 0.1, 1.0][:n_neurons] + 2).astype(np.float32)


def explicit(data, block, neuron, lags, ridge):
    """Weights (input, horizon), bias, inputs and targets of the complete windows of a neuron."""
    centre, deviation = train_moments(data)
    scale = torch.where(deviation > 1e-6, 1 / deviation, 0.0)
    windows = data.activity[block.starts[:, None] + torch.arange(data.window)].double()
    complete = windows[:, :, neuron].isfinite().all(dim=1)
    inputs = ((windows[:, : data.context] - centre) * scale).nan_to_num(0.0)[:, -lags:]
    x, y = inputs[complete].flatten(1), windows[complete, data.context :, neuron]
    xc, yc = x - x.mean(dim=0), y - y.mean(dim=0)
    covariance = xc.T @ xc / len(x)
    penalty = ridge * covariance.diagonal().mean() * torch.eye(x.shape[1]).double()
    weight = torch.linalg.solve(covariance + penalty, xc.T @ yc / len(x))
    return weight, y.mean(dim=0) - x.mean(dim=0) @ weight, x, y


@pytest.mark.parametrize("neuron", [0, 3, 5])
def test_equals_normal_equations_of_an_explicit_design_matrix(world, neuron, monkeypatch):
    """Neuron 3 is silent, 5 misses frames; chunks of neurons and pieces of windows add up."""
    monkeypatch.setattr(grams_module, "NEURONS_AT_ONCE", 3)
    monkeypatch.setattr(grams_module, "DESIGN_SIZE", 5000)
    model = build_forecaster("var", lags=[3], ridge=[0.2]).fit(world)
    weight, bias, _, _ = explicit(world, world.train, neuron, 3, 0.2)
    found = model.weight[neuron].flatten(1).T
    torch.testing.assert_close(found, weight.float(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(model.bias[neuron], bias.float(), rtol=1e-4, atol=1e-5)
    _, _, x, _ = explicit(world, world.test, neuron, 3, 0.2)
    batch = world.test.batch(torch.arange(len(world.test)))
    found = model.predict(batch.past, mask=batch.past_mask)[:, :, neuron]
    torch.testing.assert_close(found, (x @ weight + bias).float(), rtol=1e-3, atol=1e-4)


def test_chooses_order_and_ridge_on_validation():
    data = window_data(vector_world(), np.arange(1500) / 5, 10, 3)
    batch = data.validation.batch(torch.arange(len(data.validation)))
    errors = {}
    for lag in (1, 4):
        for ridge in (1e-2, 100.0):
            model = build_forecaster("var", lags=[lag], ridge=[ridge]).fit(data)
            errors[lag, ridge] = (model.predict(batch.past) - batch.future).square().mean().item()
    chosen = build_forecaster("var", lags=[1, 4], ridge=[1e-2, 100.0]).fit(data).chosen
    assert chosen == min(errors, key=errors.get)


def test_sees_what_neurons_do_to_one_another():
    data = window_data(vector_world(), np.arange(1500) / 5, 10, 1)
    batch = data.test.batch(torch.arange(len(data.test)))
    vector, own = (build_forecaster(name).fit(data) for name in ("var", "ar16"))
    errors = [(m.predict(batch.past) - batch.future).square().mean(dim=0) for m in (vector, own)]
    assert (errors[0] < 0.9 * errors[1]).all()


@pytest.mark.parametrize("n_neurons", [1, 3])
@pytest.mark.parametrize(("context", "horizon"), [(1, 1), (4, 1), (12, 5)])
def test_few_neurons_and_frames(n_neurons, context, horizon, tmp_path):
    activity = vector_world(900, n_neurons)
    data = window_data(activity, np.arange(900) / 5, context, horizon)
    model = build_forecaster("var", lags=[8]).fit(data)
    assert model.chosen.lags == min(8, context)
    past = data.test.batch([0, 5]).past
    assert model.predict(past).shape == (2, horizon, n_neurons)
    model.save(tmp_path / "model")
    assert torch.equal(load_model(tmp_path / "model").predict(past), model.predict(past))


def test_silent_and_never_observed_neurons_get_their_mean():
    activity = vector_world(900)
    activity[:, 1], activity[:, 2] = 0.25, np.nan
    data = window_data(activity, np.arange(900) / 5, 8, 4)
    forecast = build_forecaster("var").fit(data).predict(torch.randn(5, 8, 4))
    torch.testing.assert_close(forecast[:, :, 1], torch.full((5, 4), 0.25))
    torch.testing.assert_close(forecast[:, :, 2], torch.zeros(5, 4))
    assert torch.isfinite(forecast).all()


def test_too_many_inputs_name_the_setting_and_the_way_out(world, monkeypatch):
    monkeypatch.setattr(var_module, "MOST_INPUTS", 19)
    with pytest.raises(DataMismatchError, match=r"lags = \[2\].*20 inputs.*population_ridge"):
        build_forecaster("var").fit(world)
    build_forecaster("var", lags=[1]).fit(world)


@pytest.mark.parametrize("wrong", [{"lags": [0]}, {"ridge": [0.0]}, {"lags": []}])
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        build_forecaster("var", **wrong)
