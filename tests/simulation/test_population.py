"""The calcium population has the moments asked for, and its cells tell about one another."""

from __future__ import annotations

import numpy as np
import pytest

from utils.evaluation import score_forecasts
from utils.models.forecasting import build_forecaster
from utils.simulation import simulate_calcium_population
from utils.simulation.population_oracle import oracle_r2
from utils.windows import window_data


@pytest.fixture(scope="module")
def world():
    return simulate_calcium_population(n_neurons=60)


@pytest.fixture(scope="module")
def preset():
    """The world with its defaults, and windows of it."""
    world = simulate_calcium_population()
    return world, window_data(world.activity, world.timestamps, 48, 24, scale="zscore")


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


def test_latents_have_unit_variance_their_correlation_times_and_turn(world):
    steps = world.frame_rate * world.latent_period
    assert len(world.latents) > 10 * world.latent_taus.max() * world.frame_rate
    for lag in (1, round(steps / 4), round(steps / 2)):
        expected = np.linalg.matrix_power(world.transition, lag)
        found = world.latents[:-lag].T @ world.latents[lag:] / (len(world.latents) - lag)
        np.testing.assert_allclose(found, expected, atol=0.2)
    decay = np.exp(-1 / (world.latent_taus * world.frame_rate))
    pair = world.transition[:2, :2]  # a rotation that shrinks
    np.testing.assert_allclose(pair @ pair.T, decay[0] ** 2 * np.eye(2), atol=1e-6)
    assert np.arctan2(pair[0, 1], pair[0, 0]) == pytest.approx(2 * np.pi / steps)


def test_latents_without_partner_or_period_do_not_turn():
    three = simulate_calcium_population(4, 100, n_latents=3)
    assert three.transition[2].tolist()[:2] == three.transition[:, 2].tolist()[:2] == [0, 0]
    assert three.transition[0, 1] != 0
    still = simulate_calcium_population(4, 100, latent_period=np.inf, latent_taus=(0.5, 4.0))
    decay = np.exp(-1 / (still.latent_taus * still.frame_rate))
    np.testing.assert_allclose(still.transition, np.diag(decay), atol=1e-12)
    np.testing.assert_allclose(still.latent_taus[[0, 1, -1]], [0.5, 0.5, 4.0])


def test_calcium_takes_in_the_latents_and_private_input(world):
    drive = world.calcium[1:].astype(float) - world.decay * world.calcium[:-1]
    private = drive - world.latents[1:] @ world.loadings
    assert private.std() == pytest.approx(world.private_drive, rel=0.01)
    assert abs(autocorrelation(private, 1)) < 0.01
    correlation = np.corrcoef(private.T) - np.eye(private.shape[1])
    assert np.abs(correlation).max() < 0.05
    assert np.abs(private.T @ world.latents[1:] / len(private)).max() < 5 * private.std() / 110


def test_private_part_is_the_asked_one():
    none, all_of_it = (simulate_calcium_population(20, 4000, private=part) for part in (0, 1))
    assert none.private_drive == 0
    shared = none.calcium[1:].astype(float) - none.decay * none.calcium[:-1]
    np.testing.assert_allclose(shared, none.latents[1:] @ none.loadings, atol=1e-5)
    assert np.abs(all_of_it.loadings).max() == 0
    for world in (none, all_of_it):
        assert world.calcium.var(axis=0).mean() == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize(
    ("name", "published"),  # R2 over all horizons, at frame 1 and at frame 6
    [
        ("persistence", (-0.755, -0.281, -0.549)),
        ("mean", (-0.048, None, None)),
        ("ar16", (0.056, 0.250, 0.104)),
        ("population_ridge", (0.092, 0.263, 0.144)),
        ("oracle", (0.168, 0.373, 0.251)),
    ],
)
def test_preset_is_as_hard_as_published(preset, name, published):
    data = preset[1]
    if name == "oracle":
        r2 = oracle_r2(preset[0], data.horizon)
    else:
        batch = data.test.batch(range(0, len(data.test), 3))
        model = build_forecaster(name).fit(data)
        squared = (model.predict(batch.past) - batch.future).square().mean(dim=(0, 2)).numpy()
        total = batch.future.square().mean(dim=(0, 2)).numpy()  # the train mean is 0
        r2 = 1 - squared / total
    found = r2.mean(), r2[0], r2[5]
    for value, expected in zip(found, published):
        if expected is not None:
            assert value == pytest.approx(expected, abs=0.05 if name == "persistence" else 0.025)


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
    [
        ({"signal": 1.2}, "signal = 1.2"),
        ({"private": -0.1}, "private = -0.1"),
        ({"n_neurons": 0}, "n_neurons=0"),
        ({"n_frames": 1}, "two frames"),
        ({"latent_period": 0}, "positive"),
    ],
)
def test_impossible_worlds_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        simulate_calcium_population(**wrong)
