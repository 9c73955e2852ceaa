"""Preferred gratings: hand-computed phase fits, peaks of known tuning, edges."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics.tuning import (
    condition_means,
    fit_phase,
    fit_preference,
    orientation_difference,
    vector_orientation,
)

SFS, ORIS = np.geomspace(1, 12, 8), np.arange(0, 180, 15.0)
PHASES = np.arange(64) * np.pi / 32


def test_orientations_repeat_after_half_a_turn():
    np.testing.assert_allclose(
        orientation_difference([5, 0, 90, 10], [175, 180, 0, 40]), [10, 0, 90, 30]
    )


def test_the_vector_of_a_cosine_has_its_direction_and_half_its_modulation():
    tuning = 2 + np.cos(2 * np.deg2rad(ORIS - 170))
    preferred, selectivity = vector_orientation(tuning, ORIS)
    assert preferred == pytest.approx(170)
    assert selectivity == pytest.approx(1 / 4)  # half of 1 / 2
    one, full = vector_orientation(np.eye(12)[[2, 11]], ORIS)
    np.testing.assert_allclose(one, [30, 165])
    np.testing.assert_allclose(full, 1)
    assert np.isnan(vector_orientation(np.zeros(12), ORIS)).all()


def test_phase_fits_agree_with_hand_computed_values():
    responses = np.column_stack(
        [
            5 + 3 * np.cos(PHASES) - 4 * np.sin(PHASES),  # A = C = 5: 2 * 5 / 10
            6 + 2 * np.cos(PHASES),  # 2 * 2 / 8
            np.full(64, 7.0),  # ignores the phase
            np.maximum(np.cos(PHASES), 0),  # half a wave: A = 1 / 2, C = 1 / pi
            np.zeros(64),
        ]
    )
    fit = fit_phase(responses, PHASES)
    np.testing.assert_allclose([fit.K[0], fit.L[0], fit.C[0]], [3, -4, 5])
    half_wave = 2 * 0.5 / (0.5 + 1 / np.pi)
    np.testing.assert_allclose(fit.f1_f0[:4], [1, 0.5, 0, half_wave], atol=1e-3)
    assert np.isnan(fit.f1_f0[4])


def test_phase_fits_leave_out_what_is_masked_and_need_three_phases():
    responses = (5 + 3 * np.cos(PHASES))[:, None].repeat(2, axis=1)
    responses[3, 0], mask = np.nan, np.ones((64, 2))
    responses[7, 1], mask[7, 1] = 1e6, 0
    np.testing.assert_allclose(fit_phase(responses, PHASES, mask).K, 3)
    two = np.tile([0, np.pi], 32)
    assert np.isnan(fit_phase(responses, two, mask).C).all()
    assert np.isnan(fit_phase(responses[:1], PHASES[:1]).C).all()
    assert np.isnan(fit_phase(responses[:0], PHASES[:0]).f1_f0).all()


def gabor_tuning(sf, ori, width=0.28):
    """(sf, orientation) power of a Gabor at gratings: Gaussian around its wave vector."""
    angle = np.deg2rad(ORIS)
    to = SFS[:, None] * np.exp(1j * angle)
    peak = sf * np.exp(1j * np.deg2rad(ori))
    spread = 2 * (width * sf) ** 2
    return np.exp(-(abs(to - peak) ** 2) / spread) + np.exp(-(abs(to + peak) ** 2) / spread)


def test_the_peak_of_a_gabor_is_found_between_the_gratings_shown():
    truth = np.array([(sf, ori) for sf in (1.5, 2.2, 4, 8) for ori in (3, 52, 90, 178)])
    tuning = np.stack([0.5 + 3 * gabor_tuning(*cell) for cell in truth], axis=-1)
    found = fit_preference(tuning, SFS, ORIS)
    np.testing.assert_allclose(found.sf, truth[:, 0], rtol=0.06)
    assert (orientation_difference(found.ori, truth[:, 1]) <= 2).all()
    assert (found.r2 > 0.95).all()


def test_peaks_survive_noise_and_missing_conditions():
    rng = np.random.default_rng(0)
    truth = [(2.0, 20.0), (5.0, 110.0)]
    tuning = np.stack([rng.poisson(45 * (0.1 + gabor_tuning(*t))) / 45 for t in truth], axis=-1)
    tuning[0, 3], tuning[5, 2, 1] = np.nan, np.nan
    found = fit_preference(tuning, SFS, ORIS)
    np.testing.assert_allclose(found.sf, [2, 5], rtol=0.12)
    assert (orientation_difference(found.ori, [20, 110]) < 6).all()


def test_cells_without_tuning_have_no_preference():
    tuning = np.ones((8, 12, 3))
    tuning[..., 1], tuning[..., 2] = np.nan, 0
    assert np.isnan(fit_preference(tuning, SFS, ORIS)).all()
    one = fit_preference(np.ones((1, 1, 1)), SFS[:1], ORIS[:1])  # a single grating
    assert np.isnan(one.sf[0])


def test_means_of_conditions_are_counted_by_hand():
    responses = np.array([[1.0], [2], [4], [8], [16], [32]])
    conditions = np.array([0, 1, -1, 0, 1, 1])
    means, n = condition_means(responses, conditions, 3, [0, 1, -1])
    np.testing.assert_array_equal(n[:, :, 0], [[2, 3, 0], [2, 2, 0], [1, 3, 0]])
    np.testing.assert_allclose(means[0, :, 0], [4.5, 50 / 3, np.nan])
    np.testing.assert_allclose(means[1, :, 0], [(2 + 16) / 2, (4 + 32) / 2, np.nan])
    np.testing.assert_allclose(means[2, :, 0], [4, (1 + 8 + 16) / 3, np.nan])


def test_means_stay_inside_trials_and_valid_bins():
    responses = np.arange(12.0).reshape(6, 2)
    conditions, trials = np.zeros(6, int), np.array([0, 0, 0, 1, 1, 1])
    mask = np.ones((6, 2), bool)
    mask[1, 0] = False
    responses[4, 1] = np.nan
    means, n = condition_means(responses, conditions, 1, [1], mask, trials)
    np.testing.assert_array_equal(n[0, 0], [3, 3])  # bins 1, 2, 4 and 5 but the missing one
    np.testing.assert_allclose(means[0, 0], [(4 + 8 + 10) / 3, (3 + 5 + 11) / 3])
    means, n = condition_means(responses[:0], conditions[:0], 2, [0, 1])
    assert np.isnan(means).all()
    assert means.shape == n.shape == (2, 2, 2)


def test_all_lags_of_a_response_are_told_apart():
    rng = np.random.default_rng(1)
    conditions = rng.integers(0, 4, 2000)
    responses = np.roll(conditions == 2, 5)[:, None].astype(float)
    means, _ = condition_means(responses, conditions, 4, np.arange(8))
    assert np.unravel_index(means[..., 0].argmax(), (8, 4)) == (5, 2)
    assert means[5, :, 0] == pytest.approx([0, 0, 1, 0], abs=0.01)
