"""Simulated V1 recordings: their arrays and truth, and that cells respond as the truth says."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation import load_v1_truth, simulate_v1
from utils.simulation.v1 import save_v1_truth
from utils.simulation.v1.cells import Cells, quadrature_gabors
from utils.simulation.v1.responses import filtered, normalised_drive
from utils.simulation.v1.trials import BACKIMAGE, GABORIUM, GRATINGS

BEST_LAG = 5  # bins: the peak of the temporal kernel


def test_arrays_are_those_of_a_recording(tiny):
    for session, n_cells in zip(tiny.sessions, (4, 8)):
        arrays, n_bins = session.arrays, len(session.arrays["robs"])
        shapes = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
        assert shapes == {
            "stim": ((n_bins, 51, 51), "uint8"),
            "robs": ((n_bins, n_cells), "uint8"),
            "eyepos": ((n_bins, 2), "float32"),
            "valid": ((n_bins, n_cells), "bool"),
            "trial_inds": ((n_bins,), "int64"),
            "t_bins": ((n_bins,), "float64"),
            "stim_type": ((n_bins,), "int8"),
            "psth_inds": ((n_bins,), "int32"),
            "sf": ((n_bins,), "float32"),
            "ori": ((n_bins,), "float32"),
            "phase": ((n_bins,), "float32"),
        }
        np.testing.assert_allclose(np.diff(arrays["t_bins"]), 1 / 120)
        assert session.metadata["rate_hz"] == 120
        assert session.metadata["px_per_deg"] == 37.5
        assert session.metadata["cell_ids"] == list(range(n_cells))
        assert session.metadata["simulated"] is True
        assert session.truth.rates.shape == session.truth.visual_rates.shape == (n_bins, n_cells)


def test_sessions_are_of_unequal_size_and_share_families(tiny):
    minutes = np.array([len(session.arrays["robs"]) for session in tiny.sessions]) / 120 / 60
    np.testing.assert_allclose(minutes, [1.875, 1.125], atol=1e-3)
    families = [session.truth.family for session in tiny.sessions]
    for family, session in zip(families, tiny.sessions):
        np.testing.assert_array_equal(session.truth.sf, tiny.families.frequency[family])
        np.testing.assert_array_equal(session.truth.ori, tiny.families.orientation[family])
    assert set(families[0]) & set(families[1])


def test_a_seed_repeats_a_simulation():
    first, again, other = (
        simulate_v1(n_sessions=1, n_cells=2, minutes=1, seed=seed).sessions[0] for seed in (0, 0, 1)
    )
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    np.testing.assert_array_equal(again.truth.rates, first.truth.rates)
    assert (other.arrays["stim"] != first.arrays["stim"]).mean() > 0.5
    assert (other.truth.centre != first.truth.centre).all()


def test_eyes_of_sessions_move_each_in_its_own_way(tiny):
    gaze = [session.truth.gaze[:100] for session in tiny.sessions]
    assert (gaze[0] != gaze[1]).all()


def test_counts_are_poisson_of_the_true_rates(population):
    session = population.sessions[0]
    counts, rates = session.arrays["robs"].astype(float), session.truth.rates.astype(float)
    score = (counts - rates).sum(axis=0) / np.sqrt(rates.sum(axis=0))
    assert np.abs(score).max() < 4
    dispersion = ((counts - rates) ** 2).sum(axis=0) / rates.sum(axis=0)
    np.testing.assert_allclose(dispersion, 1, atol=0.15)


def test_rates_have_their_means_during_free_viewing(population):
    session = population.sessions[0]
    free = session.arrays["stim_type"] == BACKIMAGE
    mean = session.truth.visual_rates[free].mean(axis=0) * 120
    steady = np.arange(48) != session.truth.fading_cell
    np.testing.assert_allclose(mean[steady], session.truth.mean_rate[steady], rtol=1e-3)
    assert 10 < np.median(mean) < 22
    for kind in (GABORIUM, GRATINGS):
        bins = session.arrays["stim_type"] == kind
        relative = session.truth.rates[bins].mean(axis=0)[steady] * 120 / mean[steady]
        assert 0.5 < np.median(relative) < 2


def test_the_ratio_of_rates_is_the_modulation_by_saccades(population):
    truth = population.sessions[0].truth
    onsets = np.bincount(truth.saccades, minlength=len(truth.rates))
    change = np.convolve(onsets, truth.saccade_kernel)[: len(onsets)]
    cell = (truth.fading_cell + 1) % 48
    ratio = truth.rates[:, cell] / truth.visual_rates[:, cell]
    expected = np.maximum(1 + truth.saccade_weight[cell] * change, 0)
    np.testing.assert_allclose(ratio, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.diff(truth.saccade_lags), 1 / 120)


def test_33_frames_of_the_recording_determine_the_rates(tiny):
    """Where no frame was lost and the trial is old enough."""
    session = tiny.sessions[0]
    arrays, truth = session.arrays, session.truth
    cells = Cells(
        truth.family,
        truth.is_complex,
        truth.centre,
        truth.sf,
        truth.ori,
        truth.phase,
        truth.mean_rate,
        truth.saccade_weight,
    )
    known = np.isfinite(arrays["eyepos"]).all(axis=1)
    lags = np.lib.stride_tricks.sliding_window_view(known, 33).all(axis=1)
    one_trial = arrays["trial_inds"][32:] == arrays["trial_inds"][:-32]
    bins = np.flatnonzero(lags & one_trial) + 32
    bins = bins[bins < 0.6 * len(known)]  # before the fade
    free = arrays["stim_type"] == BACKIMAGE
    drive = normalised_drive(filtered(arrays["stim"], cells), cells, free)[bins]
    for cell in range(len(cells)):
        rate = truth.visual_rates[bins, cell]
        assert np.corrcoef(rate, drive[:, cell])[0, 1] > 0.9999


def test_frames_and_responses_are_not_valid_where_the_tracker_lost_the_eye(population):
    session = population.sessions[0]
    lost = np.isnan(session.arrays["eyepos"]).any(axis=1)
    assert 0.002 < lost.mean() < 0.05
    assert not session.arrays["valid"][lost].any()
    assert (session.arrays["stim"][lost] == 127).all()
    steady = np.arange(48) != session.truth.fading_cell
    assert session.arrays["valid"][~lost][:, steady].all()
    error = session.arrays["eyepos"][~lost] - session.truth.gaze[~lost]
    assert np.abs(error).max() < 0.06


def test_one_cell_falls_silent_in_the_last_third_and_is_marked_late(tiny, population):
    for session in (*tiny.sessions, *population.sessions):
        n_bins, cell = len(session.arrays["robs"]), session.truth.fading_cell
        part = np.arange(n_bins) / n_bins
        rate, valid = session.truth.rates[:, cell], session.arrays["valid"][:, cell]
        assert (rate[part < 2 / 3] > 0).mean() > 0.95
        assert (rate[part > 0.8] == 0).all()
        assert valid[part < 2 / 3].mean() > 0.9
        assert not valid[part > 0.8].any()
        first = np.flatnonzero(valid)[-1] / n_bins
        assert 0.7 < first < 0.76  # some bins of the fade count


def test_frequency_and_orientation_are_those_of_the_largest_response_to_gratings(population):
    arrays, truth = population.sessions[0].arrays, population.sessions[0].truth
    seen = np.flatnonzero(arrays["stim_type"] == GRATINGS)
    seen = seen[(seen + BEST_LAG < len(truth.rates)) & (arrays["stim_type"][seen - 3] == GRATINGS)]
    rate = truth.visual_rates[seen + BEST_LAG]
    octaves = np.log2(arrays["sf"][seen])
    vector = rate.T @ np.exp(2j * np.deg2rad(arrays["ori"][seen]))  # (cell,)
    error = (np.rad2deg(np.angle(vector)) / 2 - truth.ori + 90) % 180 - 90
    assert np.median(np.abs(error)) < 5
    values = np.unique(octaves)
    tuning = np.stack([rate[octaves == value].mean(axis=0) for value in values])
    tuning = (tuning - tuning.min(axis=0)) ** 2
    preferred = values @ tuning / tuning.sum(axis=0)
    assert np.median(np.abs(preferred - np.log2(truth.sf))) < 0.4


def test_the_centre_is_where_energy_drives_the_cell(population):
    """Of filters of the cell's kind on a grid of places, its rate follows the one at its centre."""
    session = population.sessions[0]
    shown = np.isin(session.arrays["stim_type"], (BACKIMAGE, GABORIUM)).nonzero()[0][:20_000:5]
    frames = session.arrays["stim"][shown].reshape(len(shown), -1) - 127.0
    places = np.stack(np.meshgrid(*[np.linspace(-0.4, 0.4, 9)] * 2), axis=-1).reshape(-1, 2)
    for cell in (1, 9, 17, 25):
        probe = Cells(
            family=np.zeros(81, int),
            is_complex=np.ones(81, bool),
            centre=places,
            frequency=np.full(81, session.truth.sf[cell]),
            orientation=np.full(81, session.truth.ori[cell]),
            phase=np.zeros(81),
            mean_rate=np.ones(81),
            saccade_weight=np.zeros(81),
        )
        pairs = quadrature_gabors(probe)[:, 0].reshape(162, -1)
        energy = ((frames @ pairs.T).reshape(-1, 81, 2) ** 2).sum(axis=2)
        rate = np.sqrt(session.truth.visual_rates[shown + BEST_LAG, cell])
        match = [np.corrcoef(rate, column)[0, 1] for column in np.sqrt(energy).T]
        error = np.hypot(*(places[np.argmax(match)] - session.truth.centre[cell]))
        assert error < 0.09  # the grid's step is 0.1 deg


def test_half_of_the_cells_are_simple_and_their_f1_f0_says_so(population):
    truth = population.sessions[0].truth
    assert truth.is_complex.sum() == 24
    assert truth.f1_f0[~truth.is_complex].min() > 1.5
    assert truth.f1_f0[truth.is_complex].max() < 0.2


def test_the_truth_survives_a_file(tiny, tmp_path):
    truth = tiny.sessions[0].truth
    save_v1_truth(tmp_path / "truth.h5", truth)
    loaded = load_v1_truth(tmp_path / "truth.h5")
    for name, value in vars(truth).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)
    with pytest.raises(FileNotFoundError, match="only simulated recordings"):
        load_v1_truth(tmp_path / "other_truth.h5")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_sessions": 0}, "n_sessions must be at least 1, found 0"),
        ({"n_sessions": 3, "n_cells": 5}, "n_cells must be at least 6, found 5"),
        ({"n_families": 0}, "n_families must be at least 1, found 0"),
        ({"minutes": 1.2}, "minutes must be at least 1.33333, found 1.2"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate_v1(**arguments)
