"""Exponential smoothing against a search over explicit windows, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.config import ConfigError
from utils.models.forecasting import build_forecaster
from utils.windows import window_data

GRID = {"smoothing": [0.1, 0.4, 0.8], "decay": [0.0, 0.5, 0.9, 1.0]}


def by_hand(past, mean, smoothing, decay, horizon):
    """Forecast of one neuron, (window, time) -> (window, horizon)."""
    total, weights = np.zeros(len(past)), 0.0
    for age, frame in enumerate(past.T[::-1]):
        total += (1 - smoothing) ** age * frame
        weights += (1 - smoothing) ** age
    level = total / weights - mean
    return mean + level[:, None] * decay ** np.arange(1, horizon + 1)


@pytest.mark.parametrize("neuron", [0, 5, 8])
def test_equals_a_search_over_all_windows(world, neuron):
    """Neuron 5 misses frames: its complete windows alone count."""
    model = build_forecaster("exponential", **GRID).fit(world)
    batch = world.train.batch(torch.arange(len(world.train)))
    observed = torch.cat([batch.past_mask, batch.future_mask], dim=1)[:, :, neuron].all(dim=1)
    past = batch.past[observed, :, neuron].double().numpy()
    future = batch.future[observed, :, neuron].double().numpy()
    mean = float(model.mean[neuron])
    errors = {
        (smoothing, decay): np.square(by_hand(past, mean, smoothing, decay, 6) - future).sum()
        for smoothing in GRID["smoothing"]
        for decay in GRID["decay"]
    }
    found = float(model.smoothing[neuron]), float(model.decay[neuron])
    assert found == pytest.approx(min(errors, key=errors.get))
    windows = torch.zeros(len(past), 24, 10)
    windows[:, :, neuron] = torch.from_numpy(past)
    expected = by_hand(past, mean, *found, 6)
    np.testing.assert_allclose(model.predict(windows)[:, :, neuron], expected, rtol=1e-4, atol=1e-4)


def test_level_is_the_weighted_mean_of_what_was_observed(world):
    model = build_forecaster("exponential", smoothing=[0.4], decay=[0.9]).fit(world)
    past = world.test.batch([3]).past
    mask = torch.ones_like(past, dtype=torch.bool)
    mask[0, [2, 20, 23], 1] = mask[0, :, 2] = False
    weights = 0.6 ** np.arange(23, -1, -1) * mask[0, :, 1].numpy()
    level = np.average(past[0, :, 1].numpy() - float(model.mean[1]), weights=weights)
    found = model.predict(past, mask=mask)[0]
    expected = float(model.mean[1]) + level * 0.9 ** np.arange(1, 7)
    np.testing.assert_allclose(found[:, 1], expected, rtol=1e-4)
    torch.testing.assert_close(found[:, 2], model.mean[2].expand(6))


def test_slow_neurons_keep_their_level_and_noise_goes_to_the_mean():
    rng = np.random.default_rng(0)
    activity = rng.standard_normal((3000, 2))
    for frame in range(1, 3000):
        activity[frame, 0] = 0.97 * activity[frame - 1, 0] + 0.25 * activity[frame, 0]
    data = window_data(activity, np.arange(3000) / 5, 20, 5)
    model = build_forecaster("exponential").fit(data)
    assert model.decay[0] >= 0.9
    assert model.smoothing[0] >= 0.7
    assert model.decay[1] <= 0.5


@pytest.mark.parametrize("shape", [(1, 1), (12, 1), (1, 4)])
def test_silent_and_never_observed_neurons_get_their_mean(shape):
    activity = np.random.default_rng(0).standard_normal((600, 3)).astype(np.float32)
    activity[:, 1], activity[:, 2] = 0.25, np.nan
    data = window_data(activity, np.arange(600) / 5, *shape)
    forecast = build_forecaster("exponential").fit(data).predict(torch.full((2, shape[0], 3), 0.25))
    torch.testing.assert_close(forecast[:, :, 1], torch.full((2, shape[1]), 0.25))
    torch.testing.assert_close(forecast[:, :, 2], torch.zeros(2, shape[1]))


@pytest.mark.parametrize("wrong", [{"smoothing": [1.0]}, {"decay": [1.1]}, {"smoothing": []}])
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        build_forecaster("exponential", **wrong)
