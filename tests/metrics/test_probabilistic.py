"""Scores of distributions against their definition, integrated numerically."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from utils.metrics import (
    LEVELS,
    QuantileScores,
    conformal_quantiles,
    crps_from_quantiles,
    crps_gaussian,
    crps_student_t,
)


def crps_by_integration(distribution, true: float) -> float:
    """The integral of (F(x) - [true <= x])^2, in two halves because of the step."""
    below = integrate.quad(lambda x: distribution.cdf(x) ** 2, -np.inf, true, epsabs=1e-10)[0]
    above = integrate.quad(lambda x: distribution.sf(x) ** 2, true, np.inf, epsabs=1e-10)[0]
    return below + above


@pytest.mark.parametrize("true", [-3.0, 0.2, 5.0])
@pytest.mark.parametrize(("location", "scale"), [(0.0, 1.0), (1.5, 0.3)])
def test_closed_forms_agree_with_the_definition(true, location, scale):
    expected = crps_by_integration(stats.norm(location, scale), true)
    assert crps_gaussian(true, location, scale) == pytest.approx(expected, rel=1e-6)
    for df in (1.5, 3.0, 30.0):
        expected = crps_by_integration(stats.t(df, location, scale), true)
        assert crps_student_t(true, location, scale, df) == pytest.approx(expected, rel=1e-5)


def test_student_t_becomes_the_gaussian_and_needs_a_mean():
    true = np.linspace(-2, 2, 7)
    gaussian = crps_gaussian(true, 0.1, 0.7)
    np.testing.assert_allclose(crps_student_t(true, 0.1, 0.7, 1e7), gaussian, rtol=1e-5)
    assert np.isnan(crps_student_t(0.0, 0.0, 1.0, 1.0))


def test_many_quantiles_give_the_crps_of_the_distribution():
    levels = np.linspace(0.0005, 0.9995, 1000)
    true = np.array([-2.0, 0.0, 0.7, 4.0])
    quantiles = np.broadcast_to(stats.norm.ppf(levels), (4, 1000))
    crps = crps_from_quantiles(true, quantiles, levels)
    np.testing.assert_allclose(crps, crps_gaussian(true, 0, 1), rtol=2e-3)


def test_uneven_levels_are_weighted_by_their_distance():
    rng = np.random.default_rng(0)
    true = rng.standard_normal(20_000)
    exact = crps_gaussian(true, 0, 1).mean()
    for levels in (LEVELS, [0.01, 0.02, 0.03, *np.arange(0.1, 0.95, 0.1), 0.99]):
        quantiles = np.broadcast_to(stats.norm.ppf(levels), (len(true), len(levels)))
        ratio = crps_from_quantiles(true, quantiles, levels).mean() / exact
        assert 0.98 < ratio < 1.0


def test_quantiles_that_all_agree_score_half_to_all_of_the_absolute_error():
    true = np.array([1.0, -2.0])
    levels = np.linspace(0.005, 0.995, 100)
    certain = np.zeros((2, 100))
    np.testing.assert_allclose(crps_from_quantiles(true, certain, levels), [1, 2], rtol=0.01)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    true = rng.standard_normal((700, 3, 4))
    centre = 0.3 * rng.standard_normal(true.shape)
    quantiles = centre[..., None] + stats.norm.ppf(LEVELS) * np.array([1.0, 0.5, 2.0, 1.0])[:, None]
    return quantiles, true


def test_streamed_scores_equal_those_computed_at_once(batch):
    quantiles, true = batch
    scores = QuantileScores()
    for part in (slice(0, 300), slice(300, 700)):
        scores.update(quantiles[part], true[part])
    np.testing.assert_allclose(
        scores.crps, crps_from_quantiles(true, quantiles, LEVELS).mean(axis=0), rtol=1e-10
    )
    inside = (true > quantiles[..., 1]) & (true <= quantiles[..., 9])
    np.testing.assert_allclose(scores.coverage(0.8), inside.mean(axis=0))
    width = (quantiles[..., 9] - quantiles[..., 1]).mean(axis=0)
    np.testing.assert_allclose(scores.width(0.8), width)
    below = (true[..., None] <= quantiles).mean(axis=0)
    np.testing.assert_allclose(scores.below, below)
    np.testing.assert_allclose(scores.reliability(), below.mean(axis=1))


def test_single_precision_loses_nothing_that_counts(batch):
    quantiles, true = (values.astype(np.float32) for values in batch)
    single = QuantileScores().update(quantiles, true)
    double = QuantileScores().update(quantiles.astype(float), true.astype(float))
    np.testing.assert_allclose(single.crps, double.crps, rtol=1e-5)
    np.testing.assert_array_equal(single.coverage(0.8), double.coverage(0.8))


def test_one_window_of_quantiles_stands_for_all(batch):
    quantiles, true = batch
    whole = QuantileScores().update(np.repeat(quantiles[:1], 700, axis=0), true)
    once = QuantileScores().update(quantiles[:1], true)
    np.testing.assert_allclose(once.crps, whole.crps)
    np.testing.assert_allclose(once.width(0.95), whole.width(0.95))
    np.testing.assert_allclose(once.coverage(0.95), whole.coverage(0.95))


def test_what_was_not_measured_does_not_count(batch):
    quantiles, true = batch
    mask = np.random.default_rng(1).random(true.shape) < 0.6
    mask[:, 2, 1] = False
    scores = QuantileScores().update(quantiles, true, mask)
    loss = np.where(mask, crps_from_quantiles(true, quantiles, LEVELS), np.nan)
    expected = np.nanmean(loss[:, :2], axis=0)
    np.testing.assert_allclose(scores.crps[:2], expected)
    np.testing.assert_array_equal(scores.count, mask.sum(axis=0))
    assert np.isnan([scores.crps[2, 1], scores.coverage(0.8)[2, 1], scores.width(0.8)[2, 1]]).all()
    as_nan = QuantileScores().update(quantiles, np.where(mask, true, np.nan))
    np.testing.assert_array_equal(as_nan.crps, scores.crps)


def test_unknown_quantiles_are_no_perfect_score(batch):
    quantiles, true = batch
    quantiles[:, :, 1] = np.nan
    scores = QuantileScores().update(quantiles, true)
    for values in (scores.crps, scores.coverage(0.8), scores.width(0.8)):
        assert np.isnan(values).any(axis=0).tolist() == [False, True, False, False]
    assert np.isfinite(scores.reliability()).all()  # of the other neurons


def test_reliability_of_the_truth_is_the_diagonal_and_of_a_narrow_forecast_is_not():
    true = np.random.default_rng(0).standard_normal((20_000, 1, 1))
    right = stats.norm.ppf(LEVELS)[None, None, None]
    scores = QuantileScores().update(right, true)
    np.testing.assert_allclose(scores.reliability()[0], LEVELS, atol=0.015)
    np.testing.assert_allclose(scores.pit(), 1, atol=0.1)
    narrow = QuantileScores().update(0.5 * right, true)
    assert narrow.coverage(0.8) < 0.55
    assert narrow.pit()[0, 0] > 3  # too much of the truth lies outside


def test_conformal_quantiles_cover_new_values_whatever_the_distribution():
    rng = np.random.default_rng(0)
    residuals = rng.exponential(size=(39, 2, 600))
    quantiles = conformal_quantiles(residuals, LEVELS)
    assert quantiles.shape == (2, 600, 11)
    fresh = rng.exponential(size=(300, 2, 600))
    scores = QuantileScores().update(quantiles[None], fresh)
    # With 39 values the 2.5 % quantile is the smallest: ranks (n + 1) * level are exact.
    np.testing.assert_allclose(scores.reliability(), [LEVELS] * 2, atol=0.015)


def test_conformal_quantiles_leave_missing_values_out():
    residuals = np.array([[[3.0, np.nan]], [[1.0, np.nan]], [[np.nan, np.nan]], [[2.0, np.nan]]])
    found = conformal_quantiles(residuals, [0.25, 0.5, 0.75, 0.95])
    assert found[0, 0].tolist() == [1, 2, 3, 3]
    assert np.isnan(found[0, 1]).all()
    assert np.isnan(conformal_quantiles(np.empty((0, 1, 2)), [0.5])).all()


@pytest.mark.parametrize("levels", [[0.5, 0.5], [0.0, 0.5], [0.5, 1.0], [], [0.9, 0.1]])
def test_levels_that_make_no_sense_are_named(levels):
    with pytest.raises(ValueError, match="levels of quantiles must increase"):
        QuantileScores(levels)


def test_wrong_use_is_named(batch):
    quantiles, true = batch
    with pytest.raises(ValueError, match=r"expected \(window, horizon, neuron, level\)"):
        QuantileScores().update(quantiles[..., :5], true)
    with pytest.raises(ValueError, match="call update first"):
        QuantileScores().crps  # noqa: B018
    with pytest.raises(ValueError, match=r"interval of 50% needs the levels 0.25 and 0.75"):
        QuantileScores().update(quantiles, true).coverage(0.5)


def test_an_interval_holds_its_ends():
    true = np.zeros((5, 1, 1))
    scores = QuantileScores().update(np.zeros((1, 1, 1, 11)), true)
    assert scores.coverage(0.8) == scores.coverage(0.95) == 1
    assert scores.crps == scores.width(0.8) == 0
