"""Scores of rollouts against values worked out by hand; exponents of systems that are known."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics import lyapunov_exponent, rollout_r2, state_fit, steps_above


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_rollout_r2_by_hand():
    true = np.array([[9, 9], [0, 2], [2, 4.0]])  # the start state does not count
    predicted = np.array([[0, 0], [0, 2], [2, 3.0]])
    # No error after one step; after two, 1 over squared deviations from the mean 2: 4 + 0 + 0 + 4.
    np.testing.assert_allclose(rollout_r2(predicted, true), [1, 1 - 1 / 8])


def test_trajectories_are_pooled(rng):
    true, predicted = rng.normal(5, 1, (2, 4, 30, 6))
    curve = rollout_r2(predicted, true)
    for k in (1, 7, 29):
        pooled, model = true[:, 1 : k + 1], predicted[:, 1 : k + 1]
        expected = 1 - np.sum((pooled - model) ** 2) / np.sum((pooled - pooled.mean()) ** 2)
        assert curve[k - 1] == pytest.approx(expected)


def test_a_rollout_that_leaves_the_numbers_scores_minus_infinity(rng):
    true = rng.normal(size=(6, 3))
    predicted = true.copy()
    predicted[3, 1] = np.nan
    np.testing.assert_array_equal(rollout_r2(predicted, true), [1, 1, -np.inf, -np.inf, -np.inf])
    predicted[3, 1] = 1e200
    assert rollout_r2(predicted, true)[-1] < -1e300


def test_a_constant_truth_has_no_rollout_r2():
    assert np.isnan(rollout_r2(np.zeros((4, 2)), np.full((4, 2), 0.1))).all()


def test_rollouts_must_match_and_truth_be_finite():
    with pytest.raises(ValueError, match=r"\(3, 2\) and truth \(4, 2\)"):
        rollout_r2(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="at least one step"):
        rollout_r2(np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="not finite"):
        rollout_r2(np.zeros((2, 2)), np.full((2, 2), np.nan))


@pytest.mark.parametrize(
    ("curve", "steps"), [([1, 0.95, 0.8, 0.95], 2), ([0.5], 0), ([1, 1], 2), ([1, np.nan], 1)]
)
def test_steps_above_counts_to_the_first_fall(curve, steps):
    assert steps_above(curve) == steps


def test_state_fit_forgives_scale_and_looks_at_the_last_step(rng):
    true = rng.normal(size=(50, 40))
    r2, pearson = state_fit(3 * true + 1, true)
    assert (r2, pearson) == pytest.approx((1, 1))
    predicted = true.copy()
    predicted[-1] = rng.normal(size=40)
    r2, pearson = state_fit(predicted, true)
    assert r2 < 0.3
    assert 0.9 < pearson < 1


def test_state_fit_leaves_outliers_out_of_the_line_only(rng):
    true = np.tile(rng.normal(size=200), (3, 1))
    predicted = true.copy()
    predicted[-1, 0] = 100
    residual = (100 - true[-1, 0]) ** 2  # the line is the diagonal
    total = np.square(predicted[-1] - predicted[-1].mean()).sum()
    assert state_fit(predicted, true)[0] == pytest.approx(1 - residual / total)


def test_state_fit_of_what_cannot_be_scored(rng):
    true = rng.normal(size=(5, 4))
    assert np.isnan(state_fit(np.zeros((5, 4)), true)).all()
    assert np.isnan(state_fit(np.full((5, 4), np.nan), true)).all()
    one = rng.normal(size=(5, 1))
    assert np.isnan(state_fit(one, one)[0])
    assert state_fit(one, one)[1] == pytest.approx(1)


def test_exponent_of_a_linear_system_is_that_of_its_slowest_decay():
    rates = np.array([-0.5, -3.0, -8.0])
    exponent = lyapunov_exponent(lambda u: u * np.exp(0.01 * rates), np.ones(3), 0.01)
    assert exponent == pytest.approx(-0.5, abs=0.01)


def test_exponent_of_the_lorenz_system():
    """0.906 for the classical parameters (Sprott, Chaos and Time-Series Analysis, 2003)."""

    def slope(u):
        x, y, z = u.T
        return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], axis=1)

    def step(u, dt=0.005):  # midpoint rule
        return u + dt * slope(u + dt / 2 * slope(u))

    exponent = lyapunov_exponent(step, np.array([1.0, 1.0, 20.0]), 0.005, n_steps=30_000)
    assert exponent == pytest.approx(0.906, abs=0.06)


def test_exponents_of_systems_that_end():
    assert lyapunov_exponent(lambda u: 0 * u, np.ones(3), 0.1) == -np.inf
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(lyapunov_exponent(lambda u: u * 1e30, np.ones(3), 0.1))
    with pytest.raises(ValueError, match="one state"):
        lyapunov_exponent(lambda u: u, np.ones((2, 3)), 0.1)
    with pytest.raises(ValueError, match="20 steps"):
        lyapunov_exponent(lambda u: u, np.ones(2), 0.1, n_steps=19)
