"""The population's oracles: conditional expectations against Monte Carlo and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation import simulate_calcium_population
from utils.simulation.population_oracle import expected_calcium, filtered_state, oracle_r2

HORIZON = 12


@pytest.fixture(scope="module")
def world():
    return simulate_calcium_population(40, 8000, n_latents=5)


def errors_of(world, latents, calcium):
    """Squared error and square of the activity for each frame ahead, pooled over neurons."""
    frames = np.arange(100, len(world.activity) - HORIZON)
    future = np.stack([world.activity[frames + ahead] for ahead in range(1, HORIZON + 1)], axis=1)
    expected = expected_calcium(world, latents[frames], calcium[frames], HORIZON)
    return np.square(expected - future).mean(axis=(0, 2)), np.square(future).mean(axis=(0, 2))


def test_expectation_is_the_mean_of_many_futures(world):
    rng = np.random.default_rng(0)
    n_runs, frame = 20_000, 4000
    latents = np.repeat(world.latents[frame : frame + 1].astype(float), n_runs, axis=0)
    calcium = np.repeat(world.calcium[frame : frame + 1, :4].astype(float), n_runs, axis=0)
    new = np.sqrt(1 - np.exp(-2 / (world.latent_taus * world.frame_rate)))
    expected = expected_calcium(
        world, world.latents[[frame]], world.calcium[[frame]], HORIZON
    )  # (1, horizon, neuron)
    for ahead in range(HORIZON):
        latents = latents @ world.transition + new * rng.standard_normal(latents.shape)
        private = world.private_drive * rng.standard_normal(calcium.shape)
        calcium = world.decay * calcium + latents @ world.loadings[:, :4] + private
        error = 5 * calcium.std(axis=0) / np.sqrt(n_runs)
        assert (np.abs(calcium.mean(axis=0) - expected[0, ahead, :4]) < error).all()


def test_r2_equals_the_closed_form(world):
    squared, total = errors_of(world, world.latents, world.calcium)
    np.testing.assert_allclose(1 - squared / total, oracle_r2(world, HORIZON), atol=0.02)


def test_r2_of_private_calcium_alone():
    world = simulate_calcium_population(5, 4000, private=1.0, signal=0.5)
    expected = 0.5 * world.decay ** (2 * np.arange(1, 5))
    np.testing.assert_allclose(oracle_r2(world, 4), expected, rtol=0.05)
    nothing = simulate_calcium_population(5, 100, signal=0)
    np.testing.assert_allclose(oracle_r2(nothing, 3), 0, atol=1e-12)


def test_filter_equals_the_gaussian_conditional_mean():
    world = simulate_calcium_population(3, 60, n_latents=2)
    n_frames, (n_latents, n_neurons) = 60, world.loadings.shape
    # the whole past as one Gaussian vector: state = sum of inputs, each frame seen with noise
    size = n_latents + n_neurons
    step = np.zeros((size, size))
    step[:n_latents, :n_latents] = world.transition.T
    step[n_latents:, :n_latents] = world.loadings.T @ world.transition.T
    step[n_latents:, n_latents:] = world.decay * np.eye(n_neurons)
    reach = np.vstack([np.eye(n_latents), world.loadings.T])
    new = 1 - np.exp(-2 / (world.latent_taus * world.frame_rate))
    spread = reach @ np.diag(new) @ reach.T
    spread[n_latents:, n_latents:] += world.private_drive**2 * np.eye(n_neurons)
    stationary = spread
    for _ in range(2000):
        stationary = step @ stationary @ step.T + spread
    powers = [np.linalg.matrix_power(step, lag) for lag in range(n_frames)]
    see = np.s_[n_latents:]
    blocks = [
        [
            (powers[a - b] @ stationary if a >= b else stationary @ powers[b - a].T)[see, see]
            for b in range(n_frames)
        ]
        for a in range(n_frames)
    ]
    observed = np.block(blocks) + world.noise**2 * np.eye(n_frames * n_neurons)
    cross = np.hstack([(powers[n_frames - 1 - b] @ stationary)[:, see] for b in range(n_frames)])
    expected = cross @ np.linalg.solve(observed, world.activity.ravel())
    latents, calcium = filtered_state(world)
    # the filter starts in its steady state, which the first frames soon forget
    np.testing.assert_allclose(latents[-1], expected[:n_latents], atol=0.02)
    np.testing.assert_allclose(calcium[-1], expected[n_latents:], atol=0.02)


def test_observed_past_lies_between_nothing_and_the_true_state(world):
    observed, total = errors_of(world, *filtered_state(world))
    true, _ = errors_of(world, world.latents, world.calcium)
    assert (true < observed).all()
    assert (observed < total).all()


@pytest.mark.parametrize("change", [{"signal": 1.0}, {"n_neurons": 2}, {"private": 0.0}])
def test_filter_at_the_edges(change):
    world = simulate_calcium_population(**{"n_neurons": 6, "n_frames": 400} | change)
    latents, calcium = filtered_state(world)
    assert np.isfinite(latents).all()
    assert np.square(calcium - world.calcium).mean() < world.calcium.var()
    if world.noise == 0:
        np.testing.assert_allclose(calcium, world.calcium, atol=1e-3)
