"""The kernel of saccades is found although saccades overlap and stimuli come and go."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics.modulation import modulation_kernel
from utils.metrics.spikes import saccade_triggered_average

LAGS = np.arange(-5, 20)
KERNEL = np.where(LAGS >= 0, -0.4 * np.exp(-(((LAGS - 4) / 2) ** 2)), 0) + np.where(
    LAGS >= 0, 0.5 * np.exp(-(((LAGS - 11) / 3) ** 2)), 0
)
WEIGHTS = np.array([1.0, -0.5, 0.0])


@pytest.fixture(scope="module")
def world():
    """Rates with and without saccades, (time, 3), and saccades that often follow each other."""
    rng = np.random.default_rng(0)
    n_bins = 6000
    onsets = np.cumsum(rng.integers(8, 25, 330))
    pulses = np.bincount(onsets, minlength=n_bins)[:n_bins]
    change = np.convolve(pulses, KERNEL[5:])[:n_bins]
    unmodulated = rng.gamma(2, 0.3, (n_bins, 3))
    return unmodulated * (1 + change[:, None] * WEIGHTS), unmodulated, onsets[onsets < n_bins]


def test_the_kernel_of_every_cell_is_exact_without_noise(world):
    found = modulation_kernel(*world, LAGS)
    np.testing.assert_allclose(found, KERNEL[:, None] * WEIGHTS, atol=1e-9)


def test_an_average_around_saccades_would_not_be(world):
    modulated, unmodulated, onsets = world
    relative = saccade_triggered_average(modulated, onsets, LAGS) / unmodulated.mean(axis=0) - 1
    assert np.abs(relative[:, 0] - KERNEL).max() > 0.1


def test_a_factor_between_the_two_does_not_matter(world):
    modulated, unmodulated, onsets = world
    np.testing.assert_allclose(
        modulation_kernel(modulated, 3 * unmodulated, onsets, LAGS)[:, 0], KERNEL, atol=1e-9
    )


def test_counts_give_the_kernel_of_the_rate(world):
    modulated, unmodulated, onsets = world
    counts = np.random.default_rng(1).poisson(modulated)
    found = modulation_kernel(counts, unmodulated, onsets, LAGS)
    assert np.corrcoef(found[:, 0], KERNEL)[0, 1] > 0.9


def test_masked_and_missing_bins_and_other_trials_do_not_count(world):
    modulated, unmodulated, onsets = (a.copy() for a in world)
    mask = np.ones(modulated.shape, bool)
    mask[1000:2000, 1] = False
    modulated[1000:2000, 1] = 1e3
    modulated[3000:3100, 0] = np.nan
    unmodulated[3200:3300, 0] = np.nan
    found = modulation_kernel(modulated, unmodulated, onsets, LAGS, mask)
    np.testing.assert_allclose(found, KERNEL[:, None] * WEIGHTS, atol=1e-9)


def test_a_saccade_acts_within_its_trial():
    rates, onsets, lags = np.ones((200, 1)), [50, 98], np.arange(6)
    rates[55] = 2  # five bins after the first; the second saccade ends a trial
    found = modulation_kernel(rates, np.ones((200, 1)), onsets, lags, trials=np.arange(200) // 100)
    np.testing.assert_allclose(found[:, 0], [0, 0, 0, 0, 0, 1], atol=1e-9)
    found = modulation_kernel(rates, np.ones((200, 1)), onsets, lags)
    np.testing.assert_allclose(found[:, 0], [0, 0, 0, 0, 0, 0.5], atol=1e-9)


def test_without_saccades_or_responses_there_is_no_kernel(world):
    modulated, unmodulated, onsets = world
    assert np.isnan(modulation_kernel(modulated, unmodulated, [], LAGS)).all()
    assert np.isnan(modulation_kernel(0 * modulated, 0 * unmodulated, onsets, LAGS)).all()
    assert np.isnan(modulation_kernel(modulated[:0], unmodulated[:0], [], LAGS)).all()
    silent = modulation_kernel(0 * modulated, unmodulated, onsets, LAGS)
    assert np.isnan(silent).all()
