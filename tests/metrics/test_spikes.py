"""Bits per spike by hand and against the oracle; responses around saccades."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics import (
    bits_per_spike,
    mean_rates,
    oracle_bits_per_spike,
    saccade_triggered_average,
)


def simulated(n_bins=40_000, n_cells=6, seed=0):
    """True rates (time, cell) of very different cells, and Poisson counts."""
    rng = np.random.default_rng(seed)
    gains = np.geomspace(0.03, 0.5, n_cells)
    rates = gains * rng.gamma(np.linspace(0.3, 3, n_cells), size=(n_bins, n_cells))
    return rates, rng.poisson(rates).astype(float)


def test_three_bins_by_hand():
    counts, rates = np.array([[0.0], [2.0], [1.0]]), np.array([[0.5], [4.0], [1.0]])
    # against a mean rate of 1: (-.5 + 1) + (2 ln 4 - 4 + 1) + (0 - 1 + 1) nats for 3 spikes
    by_hand = (0.5 + 2 * np.log(4) - 3) / (3 * np.log(2))
    assert bits_per_spike(counts, rates, [1.0]) == pytest.approx([by_hand])
    # against 2: + .5 - 0 more for each bin's rate, - ln 2 less for each spike
    by_hand = (0.5 + 2 * np.log(4) - 3 + 3 - 3 * np.log(2)) / (3 * np.log(2))
    assert bits_per_spike(counts, rates, 2.0) == pytest.approx([by_hand])


def test_the_mean_rate_scores_zero_and_worse_is_negative():
    _, counts = simulated()
    mean = mean_rates(counts)
    np.testing.assert_allclose(bits_per_spike(counts, np.tile(mean, (len(counts), 1)), mean), 0)
    anticorrelated = np.where(counts > 0, 0.1, 2) * mean
    assert (bits_per_spike(counts, anticorrelated, mean) < -1).all()
    assert bits_per_spike([[1.0]], [[0.0]], [1.0]) == -np.inf  # a spike that could not be


def test_the_true_rate_scores_the_oracle():
    rates, counts = simulated()
    found = bits_per_spike(counts, rates, rates.mean(axis=0))
    oracle = (rates * np.log2(rates / rates.mean(axis=0))).mean(axis=0) / rates.mean(axis=0)
    np.testing.assert_allclose(oracle_bits_per_spike(rates), oracle)
    parts = np.array_split(np.arange(len(rates)), 40)
    each = [bits_per_spike(counts[part], rates[part], rates.mean(axis=0)) for part in parts]
    error = np.std(each, axis=0) / np.sqrt(len(parts))
    assert (np.abs(found - oracle) < 4 * error).all()
    assert (error < 0.1).all()
    for wrong in (0.9 * rates, 1.1 * rates, rates**0.9, np.roll(rates, 1, axis=0)):
        assert (bits_per_spike(counts, wrong, rates.mean(axis=0)) < found).mean() > 0.6


def test_masks_of_all_shapes_weigh_the_same():
    rates, counts = simulated(5000)
    mask = np.random.default_rng(1).random(5000) < 0.7
    kept = bits_per_spike(counts[mask], rates[mask], rates.mean(axis=0))
    hidden = np.where(mask[:, None], counts, 1e6)
    for shaped in (mask, mask[:, None], np.tile(mask[:, None], (1, 6)), mask.astype(np.float32)):
        np.testing.assert_allclose(
            bits_per_spike(hidden, rates, rates.mean(axis=0), shaped), kept, rtol=1e-12
        )
    missing = np.where(mask[:, None], counts, np.nan)
    np.testing.assert_allclose(bits_per_spike(missing, rates, rates.mean(axis=0)), kept)
    np.testing.assert_allclose(
        oracle_bits_per_spike(rates, mask), oracle_bits_per_spike(rates[mask])
    )


def test_what_is_not_defined_is_nan():
    rates, counts = simulated(1000)
    mean = rates.mean(axis=0)
    counts[:, 1] = 0
    mean[2] = 0
    mask = np.ones_like(counts)
    mask[:, 0] = 0
    rates[:, 0] = np.nan  # never predicted, never counted
    rates[5, 3] = np.nan  # counted
    np.testing.assert_array_equal(
        np.isnan(bits_per_spike(counts, rates, mean, mask)), [True] * 4 + [False] * 2
    )
    assert np.isnan(mean_rates(counts, mask)).tolist() == [True] + [False] * 5
    assert np.isnan(bits_per_spike(counts[:0], rates[:0], mean)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": np.ones((5, 3))}, r"\(5, 2\).*\(5, 3\)"),
        ({"counts": np.ones(5), "rates": np.ones(5)}, r"\(time, cell\)"),
        ({"mask": np.ones((5, 3))}, r"\(5, 1\) or \(5, 2\); found \(5, 3\)"),
        ({"mask": np.ones(2)}, r"found \(2, 1\)"),
        ({"rates": np.array([[1.0, -0.25]] * 5)}, "-0.25 in cell 1"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"counts": np.ones((5, 2)), "rates": np.ones((5, 2)), "mean_rate": np.ones(2)}
    with pytest.raises(ValueError, match=message):
        bits_per_spike(**{**arguments, **change})


def test_saccade_triggered_average_finds_the_kernel():
    kernel = np.array([1.0, 0.5, 2.0, 1.0])
    onsets = np.array([10, 50, 97])
    responses = np.ones((100, 2))
    for onset in onsets:
        after = np.arange(onset, min(onset + 4, 100))
        responses[after, 0] = kernel[: len(after)]
    average = saccade_triggered_average(responses, onsets, np.arange(-2, 5))
    np.testing.assert_array_equal(average[:, 0], [1, 1, 1, 0.5, 2, 1, 1])
    np.testing.assert_array_equal(average[:, 1], 1)


def test_saccades_at_borders_count_where_there_is_data():
    responses = np.arange(10.0)[:, None]
    lags = [-2, 0, 2]
    np.testing.assert_array_equal(
        saccade_triggered_average(responses, [1, 5], lags)[:, 0], [3, 3, 5]
    )
    trials = np.repeat([0, 1], 5)
    np.testing.assert_array_equal(
        saccade_triggered_average(responses, [1, 5], lags, trials=trials)[:, 0], [np.nan, 3, 5]
    )
    mask = np.arange(10) != 7
    np.testing.assert_array_equal(
        saccade_triggered_average(responses, [1, 5], lags, mask)[:, 0], [3, 3, 3]
    )
    assert np.isnan(saccade_triggered_average(responses, [], lags)).all()
