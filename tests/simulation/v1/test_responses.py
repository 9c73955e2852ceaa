"""Cells and their responses: families, filters, history, normalisation, saccades, F1/F0."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation.v1.cells import (
    FREQUENCIES,
    Cells,
    make_cells,
    make_families,
    quadrature_gabors,
)
from utils.simulation.v1.eye import RATE_HZ
from utils.simulation.v1.responses import (
    f1_f0,
    filtered,
    modulation,
    normalised_drive,
    saccade_kernel,
    temporal_kernel,
)
from utils.simulation.v1.scenes import GREY, SIZE, grating_regions

N_LAGS = 33  # of the twin


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    return make_cells(np.arange(8), make_families(8, rng), rng)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(1).integers(0, 256, (400, SIZE, SIZE)).astype(np.uint8)


def rates(stim, cells):
    """(T, cell) on a scale that the first hundred bins do not change."""
    reference = np.zeros(len(stim), bool)
    reference[100:200] = True
    return normalised_drive(filtered(stim, cells), cells, reference)


def test_families_spread_over_octaves_and_orientations():
    families = make_families(24, np.random.default_rng(0))
    octaves = np.diff(np.log2(families.frequency))
    np.testing.assert_allclose(octaves, octaves[0])
    assert (families.frequency[0], families.frequency[-1]) == pytest.approx(FREQUENCIES)
    np.testing.assert_allclose(np.diff(np.sort(families.orientation)), 7.5)
    assert abs(np.corrcoef(families.frequency, families.orientation)[0, 1]) < 0.5


def test_half_of_the_cells_are_complex_and_rates_have_the_asked_median():
    rng = np.random.default_rng(0)
    many = make_cells(np.zeros(4000, int), make_families(1, rng), rng)
    assert many.is_complex.mean() == 0.5
    assert np.median(many.mean_rate) == pytest.approx(15, rel=0.05)
    assert np.log(many.mean_rate).std() == pytest.approx(0.5, rel=0.05)
    assert many.centre.std() == pytest.approx(0.2, rel=0.1)
    assert np.abs(many.centre).max() <= 0.4
    assert (many.saccade_weight > 0).mean() > 0.95


def test_filters_have_no_mean_and_form_quadrature_pairs(cells):
    pairs = quadrature_gabors(cells)
    assert pairs.shape == (8, 4, 2, SIZE * SIZE)
    np.testing.assert_allclose(pairs.sum(axis=-1), 0, atol=1e-3)
    phases = np.arange(0, 2 * np.pi, 0.3)
    for cell in range(len(cells)):
        sf, ori = (np.full(len(phases), v[cell]) for v in (cells.frequency, cells.orientation))
        frames = grating_regions(sf, ori, phases).reshape(len(phases), -1) / GREY - 1
        energy = ((frames @ pairs[cell, 0].T) ** 2).sum(axis=1)
        assert energy.std() / energy.mean() < 0.1


def test_a_simple_cell_prefers_a_grating_of_its_phase_at_its_centre(cells):
    phases = np.arange(0, 2 * np.pi, 0.05)
    pairs = quadrature_gabors(cells)
    for cell in range(len(cells)):
        sf, ori = (np.full(len(phases), v[cell]) for v in (cells.frequency, cells.orientation))
        angle = np.deg2rad(cells.orientation[cell])
        along = cells.centre[cell] @ [np.cos(angle), np.sin(angle)]
        at_gaze = phases - 2 * np.pi * sf * along  # so that `phases` are those at the centre
        frames = grating_regions(sf, ori, at_gaze).reshape(len(phases), -1) / GREY - 1
        own = frames @ pairs[cell, 0].T
        linear = np.cos(cells.phase[cell]) * own[:, 0] + np.sin(cells.phase[cell]) * own[:, 1]
        error = phases[linear.argmax()] - cells.phase[cell]
        assert abs(np.angle(np.exp(1j * error))) < 0.15


def test_the_temporal_kernel_is_biphasic_and_peaks_near_45_ms():
    kernel = temporal_kernel()
    assert len(kernel) == 16
    assert abs(kernel.argmax() / RATE_HZ - 0.045) < 0.5 / RATE_HZ
    assert kernel.min() < -0.4 * kernel.max()
    assert kernel.argmin() > kernel.argmax()


def test_responses_are_causal_and_reach_back_less_than_the_lags_of_a_twin(cells, noise):
    before = rates(noise, cells)
    changed = noise.copy()
    changed[300] = 255 - changed[300]
    difference = np.abs(rates(changed, cells) - before).max(axis=1)
    np.testing.assert_allclose(difference[:300], 0, atol=1e-5)
    np.testing.assert_allclose(difference[300 + N_LAGS :], 0, atol=1e-5)
    assert difference[305] > 0.1


def test_the_pool_divides_what_comes_after(cells, noise):
    """With contrast twice as high drive is four times as large, and its effect less than that."""
    faint = (GREY + (noise.astype(float) - GREY) / 2).round().astype(np.uint8)
    reference = np.arange(400) < 200
    both = np.concatenate([noise, faint])
    drive = normalised_drive(filtered(both, cells), cells, np.r_[reference, reference])
    ratio = drive[50:390].mean(axis=0) / drive[450:790].mean(axis=0)
    assert (ratio > 1.2).all()
    assert (ratio < 3.5).all()


def test_saccades_suppress_at_40_ms_and_enhance_at_95_ms():
    kernel = saccade_kernel()
    time = np.arange(len(kernel)) / RATE_HZ
    assert np.interp(0.040, time, kernel) == pytest.approx(-0.35, abs=0.03)
    assert np.interp(0.095, time, kernel) == pytest.approx(0.45, abs=0.03)
    assert abs(kernel[-1]) < 0.001


def test_effects_of_saccades_add_up_and_a_rate_is_never_negative():
    kernel = saccade_kernel()
    weight = np.array([1.0, -0.5, 4.0])
    factor = modulation(np.array([10, 16]), 60, weight)
    change = np.zeros(60)
    change[10 : 10 + len(kernel)] += kernel
    change[16 : 16 + len(kernel)] += kernel
    np.testing.assert_allclose(factor[:, 0], 1 + change, atol=1e-12)
    np.testing.assert_allclose(factor[:, 1], 1 - 0.5 * change, atol=1e-12)
    assert factor[:, 2].min() == 0


def test_f1_over_f0_is_that_of_a_half_squared_cosine_for_simple_cells_and_none_for_complex(cells):
    ratio = f1_f0(cells)
    # mean of max(cos, 0)^2 is 1 / 4, its first harmonic 4 / (3 pi)
    np.testing.assert_allclose(ratio[~cells.is_complex], 16 / (3 * np.pi), rtol=0.02)
    assert (ratio[cells.is_complex] < 0.1).all()


def test_simple_and_complex_cells_of_one_family_share_their_energy():
    """A complex cell responds like two simple cells of opposite phase and two in quadrature."""
    noise = np.random.default_rng(2).integers(0, 256, (300, SIZE, SIZE)).astype(np.uint8)
    quarter = np.pi / 2
    family = Cells(
        family=np.zeros(5, int),
        is_complex=np.array([True, False, False, False, False]),
        centre=np.zeros((5, 2)),
        frequency=np.full(5, 3.0),
        orientation=np.full(5, 20.0),
        phase=np.array([0.0, 0.0, quarter, 2 * quarter, 3 * quarter]),
        mean_rate=np.full(5, 15.0),
        saccade_weight=np.zeros(5),
    )
    drive = rates(noise, family)
    np.testing.assert_allclose(drive[:, 0], drive[:, 1:].sum(axis=1), rtol=1e-4)
