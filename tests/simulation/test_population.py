"""The calcium population has the moments asked for, and its cells tell about one another."""

from __future__ import annotations

import numpy as np
import pytest

from utils.evaluation import score_forecasts
from utils.models.forecasting import build_forecaster
from utils.simulation import simulate_calcium_population
from utils.windows import window_data


@pytest.fixture(scope="module")
def world():
    return simulate_calcium_population(n_neurons=60)


def autocorrelation(series, lag):
    """Mean over the columns of a (time, series) array."""
    centred = series - series.mean(axis=0)
    return (centred[lag:] * centred[:-lag]).sum() / (centred**2).sum()


@pytest.mark.parametrize("signal", [0.1, 0.4])
def test_signal_is_the_asked_part_of_the_variance(signal):
    world = simulate_calcium_population(40, 8000, signal=signal)
    assert world.calcium.var(axis=0).mean() == pytest.approx(signal, rel=0.01)
    assert world.activity.var(axis=0).mean() == pytest.approx(1.0, rel=0.02)


def test_noise_is_white_and_independent_of_the_calcium(world):
    noise = world.activity - world.calcium
    assert noise.std() == pytest.approx(world.noise, rel=0.01)
    assert abs(autocorrelation(noise, 1)) < 0.01
    assert abs(np.mean(noise * world.calcium)) < 0.01


def test_latents_have_unit_variance_and_their_correlation_times(world):
    lag = 3
    for latent, tau in zip(world.latents.T, world.latent_taus):
        assert latent.std() == pytest.approx(1.0, abs=0.1)
        expected = np.exp(-lag / (tau * world.frame_rate))
        assert autocorrelation(latent[:, None], lag) == pytest.approx(expected, abs=0.1)
    correlation = np.corrcoef(world.latents.T) - np.eye(8)
    assert np.abs(correlation).max() < 0.15
    assert world.latent_taus[[0, -1]] == pytest.approx([0.2, 6.0])


def test_calcium_is_the_decayed_latents_times_the_loadings(world):
    decay = np.exp(-1 / (world.indicator_decay * world.frame_rate))
    drive = (world.calcium[1:] - decay * world.calcium[:-1]).astype(float)
    expected = world.latents[1:] @ world.loadings
    drive, expected = drive - drive.mean(axis=0), expected - expected.mean(axis=0)
    np.testing.assert_allclose(drive, expected, atol=1e-4)


def test_shapes_and_clock():
    world = simulate_calcium_population(3, 100, frame_rate=4.0, n_latents=1)
    assert world.activity.shape == world.calcium.shape == (100, 3)
    assert world.latents.shape == (100, 1)
    assert np.diff(world.timestamps) == pytest.approx(0.25)
    assert world.activity.dtype == np.float32


def test_seed_decides_everything():
    first, again, other = (simulate_calcium_population(5, 200, seed=seed) for seed in (1, 1, 2))
    for name in ("activity", "calcium", "latents", "loadings"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


def test_population_ridge_beats_the_autoregression(world):
    split = (0.6, 0.1, 0.3)  # ten minutes to test on
    data = window_data(world.activity, world.timestamps, 48, 24, split, source="simulated")
    model = build_forecaster("population_ridge").fit(data)
    gain = score_forecasts(model, data, baselines=["ar16"]).overall["ar16"]
    assert gain.n_blocks >= 10
    assert 0 < gain.low[0] < gain.skill[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"signal": 1.2}, "signal = 1.2"), ({"n_neurons": 0}, "positive")],
)
def test_impossible_worlds_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        simulate_calcium_population(**wrong)
