"""Forecast errors against scikit-learn, scipy and hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from utils.metrics import ForecastErrors, mae, mse, pearson, r2, skill


@pytest.fixture
def forecast() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    true = rng.normal(3.0, 2.0, (200, 4, 5)).astype(np.float32)
    return (0.5 * true + rng.standard_normal(true.shape)).astype(np.float32), true


def per_column(function, pred, true):
    return np.array(
        [
            [function(true[:, h, n], pred[:, h, n]) for n in range(true.shape[2])]
            for h in range(true.shape[1])
        ]
    )


def test_errors_agree_with_scikit_learn_and_scipy(forecast):
    pred, true = forecast
    np.testing.assert_allclose(mse(pred, true), per_column(mean_squared_error, pred, true), 1e-5)
    np.testing.assert_allclose(mae(pred, true), per_column(mean_absolute_error, pred, true), 1e-5)
    correlation = per_column(lambda t, p: pearsonr(t, p).statistic, pred, true)
    np.testing.assert_allclose(pearson(pred, true), correlation, 1e-5)


def test_r2_is_about_the_training_mean_not_that_of_the_scored_data(forecast):
    pred, true = forecast
    own_mean = true.astype(float).mean(axis=0)
    by_step = [r2(pred[:, [h]], true[:, [h]], own_mean[h])[0] for h in range(4)]
    np.testing.assert_allclose(by_step, per_column(r2_score, pred, true), 1e-4)
    # A wrong training mean makes the reference worse, hence R2 larger.
    assert (r2(pred, true, np.zeros(5)) > np.stack(by_step)).all()
    assert np.allclose(r2(np.full_like(true, 2.5), true, np.full(5, 2.5)), 0)


def test_hand_made_numbers():
    true = np.array([1.0, 2.0, 4.0]).reshape(3, 1, 1)
    pred = np.array([1.0, 4.0, 3.0]).reshape(3, 1, 1)
    assert mse(pred, true).item() == pytest.approx(5 / 3)
    assert mae(pred, true).item() == pytest.approx(1.0)
    assert r2(pred, true, [2.0]).item() == pytest.approx(1 - 5 / 5)
    assert skill(0.25, 1.0) == 0.75


def test_masked_values_do_not_count(forecast):
    pred, true = forecast
    mask = np.random.default_rng(1).random(true.shape) < 0.7
    spoiled_true, spoiled_pred = np.where(mask, true, 1e6), np.where(mask, pred, np.nan)
    for function, expected in (
        (mse, mean_squared_error),
        (pearson, lambda t, p: pearsonr(t, p).statistic),
    ):
        by_hand = [
            [expected(true[:, h, n][mask[:, h, n]], pred[:, h, n][mask[:, h, n]]) for n in range(5)]
            for h in range(4)
        ]
        np.testing.assert_allclose(function(spoiled_pred, spoiled_true, mask), by_hand, 1e-4)


def test_nan_in_the_truth_is_masked_and_nan_in_the_forecast_shows(forecast):
    pred, true = (a.copy() for a in forecast)
    true[0, 0, 0] = np.nan
    assert mse(pred, true)[0, 0] == pytest.approx(
        mean_squared_error(true[1:, 0, 0], pred[1:, 0, 0]), rel=1e-5
    )
    pred[5, 1, 2] = np.nan
    errors = mse(pred, true)
    assert np.isnan(errors[1, 2])
    assert np.isnan(errors).sum() == 1


def test_batches_in_any_order_give_the_same_errors(forecast):
    pred, true = forecast
    times = np.arange(200) / 5.0
    mask = np.random.default_rng(2).random(true.shape) < 0.9
    whole = ForecastErrors(np.full(5, 3.0), 5.0).update(pred, true, mask, times)
    streamed = ForecastErrors(np.full(5, 3.0), 5.0)
    for rows in np.array_split(np.random.default_rng(3).permutation(200), 7):
        streamed.update(
            torch.from_numpy(pred[rows]), torch.from_numpy(true[rows]), mask[rows], times[rows]
        )
    for name in ("mse", "mae", "r2", "pearson", "chunk_squared", "count"):
        np.testing.assert_allclose(getattr(streamed, name), getattr(whole, name), 1e-10)
    assert streamed.seconds == whole.seconds
    assert streamed.n_windows == 200


def test_chunks_hold_all_squared_errors_and_holes_leave_chunks_out(forecast):
    pred, true = forecast
    times = np.arange(200) / 5.0
    times[100:] += 35  # 0..19.8 s, 55..74.8 s
    errors = ForecastErrors(np.zeros(5), 5.0).update(pred, true, start_times=times)
    assert errors.chunk_ids.tolist() == [0, 1, 5, 6, 7]
    np.testing.assert_allclose(errors.chunk_squared.sum(0), errors.mse * 200)
    # The hole counts in whole chunks: 20 s to 50 s.
    assert errors.seconds == pytest.approx(50 - 0 - (80 - 74.8) + 4 / 5)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1234.567])
def test_a_constant_neuron_has_no_r2_and_no_correlation(constant):
    rng = np.random.default_rng(0)
    true = np.full((50, 2, 1), constant, np.float32)
    pred = rng.standard_normal(true.shape).astype(np.float32)
    train_mean = true.astype(float).mean(axis=(0, 1)) * (1 + 1e-9)
    assert np.isnan(r2(pred, true, train_mean)).all()
    assert np.isnan(pearson(pred, true)).all()
    assert np.isnan(pearson(true, pred)).all()
    assert np.isfinite(mse(pred, true)).all()


def test_a_small_signal_on_a_large_mean_keeps_its_digits():
    rng = np.random.default_rng(0)
    true = 1000 + rng.standard_normal((300, 1, 1))
    pred = true + 0.5 * rng.standard_normal(true.shape)
    errors = ForecastErrors([1000.0], 5.0).update(pred, true)
    assert errors.pearson.item() == pytest.approx(pearsonr(pred.ravel(), true.ravel()).statistic)


def test_one_window_and_nothing_measured():
    one = np.ones((1, 3, 2))
    assert np.allclose(mse(one + 1, one), 1)
    assert np.isnan(pearson(one + 1, one)).all()
    for values in (mse(one, one, np.zeros(one.shape, bool)), mae(one, one * np.nan)):
        assert np.isnan(values).all()
        assert values.shape == (3, 2)


def test_skill_over_a_perfect_baseline_is_not_infinite():
    assert np.isnan(skill([1.0, 0.0], [0.0, 0.0])).all()
    assert skill([1.0, 3.0], [2.0, 2.0]).tolist() == [0.5, -0.5]


def test_wrong_shapes_are_named():
    errors = ForecastErrors(np.zeros(3), 5.0)
    with pytest.raises(ValueError, match="call update first"):
        errors.mse  # noqa: B018
    with pytest.raises(ValueError, match=r"forecast \(2, 3\) and truth \(2, 3\)"):
        errors.update(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="4 neurons, train_mean has 3"):
        errors.update(np.zeros((2, 3, 4)), np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"start_times has shape \(1,\), expected \(2,\)"):
        errors.update(np.zeros((2, 3, 3)), np.zeros((2, 3, 3)), start_times=[0.0])
    errors.update(np.zeros((2, 3, 3)), np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match=r"batch of \(4, 3\), earlier ones were \(3, 3\)"):
        errors.update(np.zeros((2, 4, 3)), np.zeros((2, 4, 3)))
