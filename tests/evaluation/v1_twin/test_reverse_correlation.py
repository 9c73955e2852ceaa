"""Receptive fields of known cells, from the noise of a recording and from a model's gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.evaluation.v1_twin.conftest import (
    CELLS,
    KERNEL,
    N_LAGS,
    PX_PER_DEG,
    SIDE,
    gabors,
    known_rates,
    rates_for,
    record,
)
from utils.evaluation.v1_twin.reverse_correlation import (
    gradient_fields,
    receptive_fields,
    recorded_windows,
)
from utils.metrics.tuning import orientation_difference

CENTRES = np.array([cell[:2] for cell in CELLS])


@pytest.fixture(scope="module")
def recording():
    """Blurred noise in patterns of four bins; the second half is called another type."""
    rng = np.random.default_rng(0)
    blurred = ndimage.gaussian_filter(rng.standard_normal((5000, SIDE, SIDE)), (0, 1.5, 1.5))
    patterns = np.clip(127 + 40 * blurred / blurred.std(), 0, 255).round().astype(np.uint8)
    stimulus = patterns.repeat(4, axis=0)
    return record(
        stimulus,
        rates_for(stimulus),
        stim_type=np.arange(20_000) // 16_000,
        trial_inds=np.arange(20_000) // 1000,
        stim_types=["gaborium", "backimage"],
        valid=np.arange(20_000) % 1000 > 20,
    )


def distances(table):
    return np.linalg.norm(table[["azimuth", "elevation"]] - CENTRES, axis=1)


def test_centres_come_from_the_noise_of_a_recording(recording):
    fields = receptive_fields(recording)
    table = fields.table()
    assert (distances(table) < 0.1).all()
    assert (np.abs(table["lag_ms"] - 1000 * KERNEL.argmax() / 120) < 17).all()
    assert (table["sta_z"][:2] > 10).all()
    assert table["ste_z"][2] > 6
    assert fields.maps.sta.shape == (3, 16, SIDE, SIDE)


def test_rates_of_a_model_give_its_own_fields(recording):
    rates = rates_for(recording.stim)
    rates[:500] = np.nan
    assert (distances(receptive_fields(recording, rates).table()) < 0.07).all()


def test_frames_of_other_types_and_unknown_frames_do_not_count(recording):
    fields = receptive_fields(recording)
    stimulus = recording.stim.copy()
    stimulus[16_000:] = 0
    stimulus[~recording.valid[:, 0]] = 255
    changed = {name: getattr(recording, name) for name in ("robs", "stim_type", "trial_inds")}
    again = record(
        stimulus, np.ones((20_000, 3)), **changed, valid=recording.valid[:, 0],
        stim_types=["gaborium", "backimage"],
    )  # fmt: skip
    np.testing.assert_array_equal(receptive_fields(again).maps.sta, fields.maps.sta)


def test_what_a_recording_does_not_show_is_named(recording):
    with pytest.raises(ValueError, match="no frames of 'noise'; it has gaborium, backimage"):
        receptive_fields(recording, stim_type="noise")
    with pytest.raises(ValueError, match="no 1001 known frames of backimage in a row"):
        recorded_windows(recording, 1001 - 31)


def test_gradients_of_a_model_are_its_filters(recording):
    windows = recorded_windows(recording, N_LAGS)
    fields = gradient_fields(known_rates, windows, PX_PER_DEG)
    for cell, pair in enumerate(gabors().reshape(3, 2, -1)):
        found = fields.components[cell].reshape(4, -1)
        lengths = np.linalg.norm(found, axis=1)
        n_filters = 2 if CELLS[cell][-1] else 1
        assert lengths[n_filters:].max() < 1e-6 * lengths[0]
        images, filters = found[:n_filters], pair[:n_filters]
        images = images / lengths[:n_filters, None]
        filters = np.linalg.qr(filters.T)[0]
        assert np.linalg.svd(images @ filters)[1].min() > 0.999  # the same subspace


def test_gradients_find_place_frequency_and_orientation(recording):
    windows = recorded_windows(recording, N_LAGS)
    table = gradient_fields(known_rates, windows, PX_PER_DEG).table()
    assert (distances(table) < 0.03).all()
    np.testing.assert_allclose(table["sf"], [cell[2] for cell in CELLS], rtol=0.1)
    assert (orientation_difference(table["ori"], [cell[3] for cell in CELLS]) < 4).all()


def test_behaviour_scales_gradients_only(recording):
    windows = recorded_windows(recording, N_LAGS, n_windows=3)
    still = gradient_fields(known_rates, windows, PX_PER_DEG)
    moving = gradient_fields(known_rates, windows, PX_PER_DEG, behavior=np.array([1.0]))
    np.testing.assert_allclose(moving.maps, 2 * still.maps, rtol=1e-4)


def test_a_model_that_sees_nothing_has_no_field(recording):
    blind = gradient_fields(
        lambda stimulus, _: 0 * known_rates(stimulus, None), recorded_windows(recording, N_LAGS, 2),
        PX_PER_DEG,
    )  # fmt: skip
    assert blind.table().isna().all(axis=None)


def test_windows_are_known_frames_of_one_trial(recording):
    windows = recorded_windows(recording, 33, n_windows=40)
    assert windows.shape == (40, 64, SIDE, SIDE)
    frames = (windows * 255 + 127).round().to(torch.uint8).numpy()
    starts = [
        int(np.flatnonzero((recording.stim[16_000:19_968] == window[0]).all(axis=(1, 2)))[0])
        for window in frames
    ]
    assert (np.array(starts) % 1000 >= 21 - 4).all()
    assert (np.array(starts) % 1000 <= 1000 - 64).all()
