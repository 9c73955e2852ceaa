"""The linear-nonlinear floor against a cell that is one, and what it must not see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from utils.metrics import bits_per_spike, mean_rates, oracle_bits_per_spike
from utils.models.v1_twin.linear_nonlinear import cosines, fit_linear_nonlinear

N_LAGS, SIZE, N_BINS = 6, 14, 12_000


@pytest.fixture(scope="module")
def recording():
    """Smoothed noise; a linear-nonlinear cell, one that squares, one that ignores the frames."""
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.normal(size=(N_BINS, SIZE, SIZE)), (0.7, 1, 1))
    stimulus = np.clip(90 + 30 * noise / noise.std(), 0, 255).astype(np.uint8)
    place = np.arange(SIZE) - SIZE / 2
    gabor = np.exp(-(place[:, None] ** 2 + place**2) / 8) * np.cos(place)
    time = np.array([0, 0.5, 1, 0.2, -0.6, -0.2])
    contrast = (stimulus - 127.0) / 127
    drive = np.einsum("thw,hw->t", contrast, gabor)
    drive = np.convolve(drive, time)[:N_BINS]
    drive = (drive - drive.mean()) / drive.std()
    rates = 0.3 * np.stack([np.maximum(drive, 0) ** 2, drive**2, np.ones(N_BINS)], axis=1) + 0.01
    return stimulus, rng.poisson(rates).astype(float), rates, time[:, None, None] * gabor


@pytest.fixture(scope="module")
def parts():
    """Bins to train, validate and test on."""
    place = np.arange(N_BINS)
    known = place % 600 >= N_LAGS - 1  # trials of 600 bins
    return [known & (place // 600 % 5 == part) for part in (0, 1, 2)]


@pytest.fixture(scope="module")
def fitted(recording, parts):
    stimulus, counts, _, _ = recording
    train = parts[0] | np.roll(parts[0], 1800)  # trials 0, 5, .. and 3, 8, ..
    return fit_linear_nonlinear(stimulus, counts, train, parts[1], N_LAGS), train


def test_a_linear_nonlinear_cell_is_found(recording, parts, fitted):
    stimulus, counts, rates, kernel = recording
    model, train = fitted
    found = model.filters
    assert found.shape == (3, N_LAGS, SIZE, SIZE)
    assert np.corrcoef(found[0].ravel(), kernel.ravel())[0, 1] > 0.9
    predicted = model.predict(stimulus)
    assert np.corrcoef(predicted[:, 0], rates[:, 0])[0, 1] > 0.9
    score = bits_per_spike(counts, predicted, mean_rates(counts, train), parts[2])
    oracle = oracle_bits_per_spike(rates, parts[2])
    assert score[0] > 0.75 * oracle[0]
    np.testing.assert_allclose(score[1:], 0, atol=0.06)  # nothing that is linear
    assert oracle[1] > 0.5


def test_the_filter_predicts_as_it_is_drawn(recording, fitted):
    stimulus, *_ = recording
    model, _ = fitted
    contrast = (stimulus[:50] - 127.0) / 127
    direct = np.zeros((50, 3))
    for lag in range(N_LAGS):
        direct[lag:] += np.einsum("thw,nhw->tn", contrast[: 50 - lag], model.filters[:, lag])
    drive = model._drive(cosines(stimulus[:50]))
    np.testing.assert_allclose(drive, direct, atol=1e-4 * np.abs(direct).max())


def test_predictions_are_causal(recording, fitted):
    stimulus, *_ = recording
    model, _ = fitted
    changed = stimulus[:200].copy()
    changed[100:] = 255
    before, after = model.predict(stimulus[:200]), model.predict(changed)
    np.testing.assert_allclose(before[:100], after[:100], rtol=1e-5)
    assert (before[100:, 0] != after[100:, 0]).any()
    late = model.predict(stimulus[100:200])[N_LAGS - 1 :]  # a window is all it needs
    np.testing.assert_allclose(late, before[100 + N_LAGS - 1 :], rtol=1e-3, atol=1e-5)


def test_test_trials_leave_no_trace(recording, parts, fitted):
    stimulus, counts, *_ = recording
    model, train = fitted
    unseen = np.arange(N_BINS) // 600 % 5 == 2
    changed = stimulus.copy()
    changed[unseen] = 0
    spoilt = np.where(unseen[:, None], np.nan, counts)
    again = fit_linear_nonlinear(changed, spoilt, train, parts[1], N_LAGS)
    np.testing.assert_array_equal(model.predict(stimulus), again.predict(stimulus))


def test_masks_of_all_shapes_and_cells_without_data(recording, parts, fitted):
    stimulus, counts, *_ = recording
    model, train = fitted
    masks = [np.tile(mask[:, None], (1, 3)) for mask in (train, parts[1])]
    again = fit_linear_nonlinear(stimulus, counts, *masks, N_LAGS)
    expected = model.predict(stimulus[:50])
    np.testing.assert_allclose(again.predict(stimulus[:50]), expected, rtol=1e-4)
    masks[1][:, 2] = False
    without = fit_linear_nonlinear(stimulus, counts, *masks, N_LAGS).predict(stimulus[:50])
    assert np.isnan(without).all(axis=0).tolist() == [False, False, True]
    np.testing.assert_allclose(without[:, :2], expected[:, :2], rtol=1e-4)


def test_nothing_to_fit_on_is_said(recording, parts):
    stimulus, counts, *_ = recording
    with pytest.raises(ValueError, match="validation marks no bin of the 12000"):
        fit_linear_nonlinear(stimulus, counts, parts[0], np.zeros(N_BINS, bool), N_LAGS)
