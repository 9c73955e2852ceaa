"""Reverse correlation finds the Gabor behind the spikes, and counts only what belongs together."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy import ndimage

from utils.metrics.reverse_correlation import (
    map_centres,
    pixel_degrees,
    reverse_correlation,
    spectral_peak,
)

SIDE, PX_PER_DEG, LAG = 25, 20.0, 3
LAGS, NULL_LAGS = np.arange(8), np.arange(-16, -8)


def gabor(az, el, sf, ori, phase=0.0, side=SIDE):
    """(H, W) Gabor of a cell; sd of its envelope .4 periods."""
    azimuth, elevation = pixel_degrees(side, side, PX_PER_DEG)
    x, y = azimuth[None, :] - az, elevation[:, None] - el
    along = x * np.cos(np.deg2rad(ori)) + y * np.sin(np.deg2rad(ori))
    envelope = np.exp(-(x**2 + y**2) / (2 * (0.4 / sf) ** 2))
    return envelope * np.cos(2 * np.pi * sf * along + phase)


CELLS = (  # azimuth, elevation (deg), sf (c/deg), orientation (deg), phase (rad)
    (0.1, -0.05, 2.5, 30.0, 0.0),
    (-0.15, 0.1, 3.0, 100.0, np.pi / 2),
    (0.0, 0.15, 2.5, 150.0, 1.0),
)


def noise(n_frames, rng, blur):
    """Grey levels of Gaussian noise, blurred by some pixels."""
    white = rng.standard_normal((n_frames, SIDE, SIDE))
    blurred = ndimage.gaussian_filter(white, (0, blur, blur))
    return np.clip(127 + 40 * blurred / blurred.std(), 0, 255).round().astype(np.uint8)


def linear(stimulus, az, el, sf, ori, phase):
    contrast = (stimulus.reshape(len(stimulus), -1) - 127.0) / 127
    return contrast @ gabor(az, el, sf, ori, phase).ravel()


def simple(stimulus, cell):
    return np.maximum(linear(stimulus, *cell), 0) ** 2


def complex_(stimulus, cell):
    """Energy of a quadrature pair."""
    even, odd = (linear(stimulus, *cell[:4], phase) for phase in (0, np.pi / 2))
    return even**2 + odd**2


def recording(kind, blur, n_frames=12_000):
    """Stimulus, and counts of the cells that follow it after three frames, .5 spikes a bin."""
    rng = np.random.default_rng(0)
    stimulus = noise(n_frames, rng, blur)
    rates = np.column_stack([kind(stimulus, cell) for cell in CELLS])
    counts = rng.poisson(0.5 * rates / rates.mean(axis=0))
    return stimulus, np.roll(counts, LAG, axis=0).astype(float)


@pytest.fixture(scope="module")
def noisy():
    return recording(simple, blur=0)


@pytest.fixture(scope="module")
def found(noisy):
    return reverse_correlation(*noisy, LAGS, NULL_LAGS)


@pytest.fixture(scope="module")
def found_complex():
    return reverse_correlation(*recording(complex_, blur=1.5), LAGS, NULL_LAGS)


@pytest.mark.parametrize("kind", ["found", "found_complex"])
def test_the_lag_and_the_place_of_every_cell_are_found(kind, request):
    found = request.getfixturevalue(kind)
    assert found.sta.shape == found.ste_z.shape == (3, 8, SIDE, SIDE)
    np.testing.assert_array_equal(found.peak_lags(), LAG)
    truth = np.array(CELLS)[:, :2]
    error = np.linalg.norm(map_centres(found.strength(), PX_PER_DEG) - truth, axis=1)
    assert (error < 0.05).all()  # one pixel


def test_the_average_of_a_simple_cell_is_its_gabor(found):
    for cell, sta in zip(CELLS, found.sta[:, LAG]):
        assert np.corrcoef(sta.ravel(), gabor(*cell).ravel())[0, 1] > 0.9


def test_a_complex_cell_has_an_energy_and_no_average(found_complex):
    assert (found_complex.ste_z[:, LAG].max(axis=(1, 2)) > 8).all()
    assert np.abs(found_complex.sta_z).max() < 5


def test_frequency_and_orientation_of_a_simple_cell_are_those_of_its_average(found):
    for cell, sta in zip(CELLS, found.sta):
        sf, ori = spectral_peak(sta[LAG : LAG + 1], PX_PER_DEG)
        assert sf == pytest.approx(cell[2], rel=0.1)
        assert ori == pytest.approx(cell[3], abs=4)


def test_z_scores_of_what_causes_nothing_have_unit_variance(found):
    assert found.sta_z[:, 5:].std() == pytest.approx(1, abs=0.03)
    assert found.ste_z[:, 5:].std() == pytest.approx(1, abs=0.03)


def test_average_and_energy_are_those_of_a_plain_sum(noisy):
    stimulus, counts = noisy[0][:300], noisy[1][:300]
    lag = np.array([2])
    found = reverse_correlation(stimulus, counts, lag, NULL_LAGS)
    contrast, after = (stimulus[:-2] - 127.0) / 127, counts[2:]
    for values, estimate in ((contrast, found.sta), (contrast**2, found.ste)):
        expected = np.einsum("tn,thw->nhw", after, values) / after.sum(0)[:, None, None]
        np.testing.assert_allclose(estimate[:, 0], expected - values.mean(0), atol=1e-5)
    np.testing.assert_array_equal(found.n_spikes, after.sum(axis=0))


def test_masked_bins_other_trials_and_frames_that_are_not_shown_do_not_count(noisy):
    stimulus, counts = noisy[0][:600].copy(), noisy[1][:600].copy()
    shown = np.arange(600) % 200 < 150
    trials = np.arange(600) // 200
    mask = np.ones((600, 3), bool)
    mask[250:300, 1] = False
    expected = reverse_correlation(stimulus, counts, LAGS, NULL_LAGS, mask, shown, trials)
    counts[250:300, 1] = np.nan  # what is masked, or lies in no shown frame's future
    stimulus[~shown] = 255
    again = reverse_correlation(stimulus, counts, LAGS, NULL_LAGS, mask, shown, trials)
    for a, b in zip(expected, again):
        np.testing.assert_allclose(a, b, atol=1e-5)
    wide = np.where(np.repeat(mask[:, :1], 3, axis=1), 1, 0)
    narrow = reverse_correlation(stimulus, counts, LAGS, NULL_LAGS, mask[:, :1], shown, trials)
    full = reverse_correlation(stimulus, counts, LAGS, NULL_LAGS, wide, shown, trials)
    np.testing.assert_array_equal(narrow.sta, full.sta)


def test_a_file_is_read_in_pieces_to_the_same_result(noisy, tmp_path):
    stimulus, counts = noisy[0][:3000], noisy[1][:3000]
    with h5py.File(tmp_path / "stimulus.h5", "w") as file:
        stored = file.create_dataset("stim", data=stimulus)
        from_file = reverse_correlation(stored, counts, LAGS, NULL_LAGS)
    np.testing.assert_array_equal(
        from_file.sta, reverse_correlation(stimulus, counts, LAGS, NULL_LAGS).sta
    )


@pytest.mark.parametrize("n_frames", [0, 1, 40])
def test_a_cell_without_spikes_and_a_recording_of_a_frame_are_nan(n_frames, noisy):
    stimulus, counts = noisy[0][:n_frames], np.zeros((n_frames, 2))
    found = reverse_correlation(stimulus, counts, LAGS, NULL_LAGS)
    assert np.isnan(found.sta).all()
    assert np.isnan(found.sta_z).all()
    assert np.isnan(map_centres(found.strength(), PX_PER_DEG)).all()
    np.testing.assert_array_equal(found.n_spikes, 0)


def test_a_constant_stimulus_says_nothing(noisy):
    found = reverse_correlation(np.full_like(noisy[0], 127), noisy[1], LAGS, NULL_LAGS)
    assert np.isnan(found.sta_z).all()
    assert np.isnan(map_centres(found.strength(), PX_PER_DEG)).all()
    assert np.isnan(spectral_peak(found.sta[0], PX_PER_DEG)).all()


@pytest.mark.parametrize("phase", [0, 1, np.pi / 2])
@pytest.mark.parametrize("ori", [0, 45, 90, 170])
def test_the_spectrum_of_a_gabor_has_its_frequency_and_orientation(ori, phase):
    sf, found = spectral_peak(gabor(0.1, 0, 3, ori, phase, side=41)[None], PX_PER_DEG)
    assert sf == pytest.approx(3, rel=0.03)
    assert abs((found - ori + 90) % 180 - 90) < 1


def test_up_is_up_and_right_is_right():
    maps = np.zeros((2, 11, 21))
    maps[0, 2, 10], maps[1, 5, 17] = 1, 1
    np.testing.assert_allclose(map_centres(maps, 10.0), [[0, 0.3], [0.7, 0]], atol=1e-3)
