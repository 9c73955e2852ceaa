"""ccnorm, reliability and 1 - alpha against simulations whose answer is known."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from utils.metrics import ccnorm, one_minus_alpha, reliability

N_TIME = 400


def stabilised(n_repeats=40, n_cells=6, mean=0.3, seed=0):
    """Counts (repeat, time, cell) of one course of rates (time, cell)."""
    rng = np.random.default_rng(seed)
    rates = mean * rng.gamma(1.0, size=(N_TIME, n_cells))
    return rng.poisson(rates, (n_repeats, N_TIME, n_cells)).astype(float), rates


def with_eye_movements(n_repeats=40, n_cells=6, shared=0.25, seed=0):
    """Counts and their rates; the share ``shared`` of the variance of rates repeats."""
    rng = np.random.default_rng(seed)
    size = (n_repeats, N_TIME, n_cells)
    rates = 0.4 * (rng.gamma(shared, size=size[1:]) + rng.gamma(1 - shared, size=size))
    return rng.poisson(rates).astype(float), rates


def test_ccnorm_of_the_truth_is_one():
    responses, rates = stabilised()
    scores = ccnorm(responses, rates)
    assert scores.mean() == pytest.approx(1, abs=0.01)
    assert (np.abs(scores - 1) < 0.05).all()
    np.testing.assert_array_equal(scores, ccnorm(responses, np.tile(rates, (40, 1, 1))))


def test_ccnorm_is_the_correlation_with_the_truth_however_noisy():
    for mean in (0.1, 0.3, 2):
        responses, rates = stabilised(mean=mean, seed=1)
        noise = np.random.default_rng(2).normal(0, mean, rates.shape)
        expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(rates.T, (rates + noise).T)]
        assert ccnorm(responses, rates + noise).mean() == pytest.approx(np.mean(expected), abs=0.03)
    np.testing.assert_allclose(ccnorm(responses, 3 - 2 * rates), -ccnorm(responses, rates))


def test_knowing_the_gaze_scores_above_one_and_is_not_clipped():
    responses, rates = with_eye_movements()
    assert (ccnorm(responses, rates) > 1.02).all()
    assert (ccnorm(responses, rates) > ccnorm(responses, rates.mean(axis=0)) - 1e-9).all()


def test_ccnorm_by_hand():
    """Two repeats are always split in the same halves: c = corr of the two."""
    responses = np.array([[1.0, 2, 3, 5], [2, 2, 4, 4]])[:, :, None]
    predictions = np.array([1.0, 2, 3, 4])
    c = np.corrcoef(responses[:, :, 0])[0, 1]
    ceiling = np.sqrt(2 * c / (1 + c))
    expected = np.corrcoef(predictions, responses.mean(axis=0)[:, 0])[0, 1] / ceiling
    found = ccnorm(responses, predictions[:, None], min_repeats=2)
    assert found == pytest.approx([expected])
    assert reliability(responses, min_repeats=2) == pytest.approx([ceiling**2])


def test_reliability_is_the_share_of_signal_in_the_mean():
    for n_repeats in (21, 60):  # an odd number, too
        responses, rates = stabilised(n_repeats, seed=3)
        signal = rates.var(axis=0)
        expected = signal / (signal + rates.mean(axis=0) / n_repeats)
        np.testing.assert_allclose(reliability(responses), expected, atol=0.04)


def test_missing_bins_are_left_out():
    responses, rates = stabilised(60)
    gone = np.random.default_rng(4).random((60, N_TIME)) < np.linspace(0, 0.9, N_TIME)
    responses[gone] = np.nan
    enough = (~gone).sum(axis=0) >= 20
    assert 100 < enough.sum() < N_TIME
    scores = ccnorm(responses, rates)
    assert scores.mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(scores, ccnorm(responses[:, enough], rates[enough]))
    rates[~enough] = np.nan  # nobody needs these
    np.testing.assert_array_equal(scores, ccnorm(responses, rates))
    assert reliability(responses).shape == one_minus_alpha(responses).shape == (6,)


def test_predictions_count_only_where_their_repeat_has_a_response():
    responses, rates = with_eye_movements(60)
    gone = np.random.default_rng(5).random((60, N_TIME, 1)) < 0.3
    spoilt = np.where(gone, 1e3, rates)
    np.testing.assert_array_equal(
        ccnorm(np.where(gone, np.nan, responses), spoilt),
        ccnorm(np.where(gone, np.nan, responses), rates),
    )


def test_what_is_not_defined_is_nan(caplog):
    responses, rates = stabilised()
    responses[:, :, 0] = 1.0  # constant
    responses[:, :, 1] = 0.0
    responses[:25, :, 2] = np.nan  # 15 repeats left
    rates[:, 3] = 0.1  # constant prediction
    rates[7, 4] = np.nan
    with caplog.at_level(logging.INFO):
        scores = ccnorm(responses, rates)
    assert np.isnan(scores).tolist() == [True] * 5 + [False]
    assert "1 of 6 cells have fewer than 20 valid repeats" in caplog.text
    assert np.isnan(one_minus_alpha(responses)).tolist()[1:4] == [True, True, False]


def test_few_repeats_are_said_and_can_be_allowed(caplog):
    responses, rates = stabilised(12)
    with caplog.at_level(logging.WARNING):
        assert np.isnan(ccnorm(responses, rates)).all()
    assert "min_repeats lowers the number" in caplog.text
    assert ccnorm(responses, rates, min_repeats=12).mean() == pytest.approx(1, abs=0.05)


def test_shapes_that_do_not_belong_together_are_named():
    responses, rates = stabilised()
    with pytest.raises(ValueError, match=r"\(400, 6\) \(time, cell\).*found \(400, 5\)"):
        ccnorm(responses, rates[:, :5])
    with pytest.raises(ValueError, match=r"\(repeat, time, cell\); found \(400, 6\)"):
        ccnorm(rates, rates)


@pytest.mark.parametrize("shared", [0.25, 0.8])
def test_one_minus_alpha_is_the_share_that_does_not_repeat(shared):
    responses, rates = with_eye_movements(shared=shared)
    of_rates = one_minus_alpha(rates, poisson=False)
    assert of_rates.mean() == pytest.approx(1 - shared, abs=0.04)
    of_counts = one_minus_alpha(responses)
    np.testing.assert_allclose(of_counts, of_rates, atol=0.1)
    assert of_counts.mean() == pytest.approx(of_rates.mean(), abs=0.03)


def test_one_minus_alpha_of_repeats_without_eye_movements_is_zero():
    responses, rates = stabilised()
    assert one_minus_alpha(responses).mean() == pytest.approx(0, abs=0.03)
    np.testing.assert_allclose(
        one_minus_alpha(np.tile(rates, (40, 1, 1)), poisson=False), 0, atol=1e-12
    )


def test_one_minus_alpha_by_hand():
    """Two bins of two repeats: F = mean of v - m, P = var(m) - mean(v / 2)."""
    responses = np.array([[0.0, 4], [2, 8]])[:, :, None]  # m = 1, 6; v = 2, 8
    apart, repeated = (1 + 2) / 2, 12.5 - (1 + 4) / 2
    assert one_minus_alpha(responses, min_repeats=2) == pytest.approx([apart / (apart + repeated)])
