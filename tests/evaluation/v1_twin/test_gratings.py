"""Tuning from gratings that a recording shows, and from gratings shown to a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.v1_twin.conftest import (
    CELLS,
    KERNEL,
    N_LAGS,
    PX_PER_DEG,
    SIDE,
    known_rates,
    rates_for,
    record,
)
from utils.evaluation.v1_twin.gratings import (
    DIRECTIONS,
    PERIOD,
    grating_frames,
    grating_tuning,
    show_gratings,
)
from utils.metrics.tuning import orientation_difference

SFS, ORIS = np.geomspace(1, 6, 6).round(3), np.arange(0, 180, 20.0)
TRUE_SF, TRUE_ORI = (np.array([cell[k] for cell in CELLS]) for k in (2, 3))
HALF_SQUARED = 2 * 4 / (3 * np.pi) / (4 / (3 * np.pi) + 1 / 4)  # F1/F0 of relu(cos)^2


@pytest.fixture(scope="module")
def recording():
    """Gratings of four bins each."""
    rng = np.random.default_rng(0)
    phases = np.arange(8) * np.pi / 4
    each = [rng.choice(values, 4000).repeat(4) for values in (SFS, ORIS, phases)]
    table = {
        (sf, ori): grating_frames(sf, ori, phases, (SIDE, SIDE), PX_PER_DEG)
        for sf in SFS
        for ori in ORIS
    }
    stimulus = np.stack([table[sf, ori][round(4 * p / np.pi)] for sf, ori, p in zip(*each)])
    gratings = {name: a.astype(np.float32) for name, a in zip(("sf", "ori", "phase"), each)}
    return record(stimulus, rates_for(stimulus), **gratings)


def assert_found(table, f1_f0):
    assert (orientation_difference(table["ori"], TRUE_ORI) < 6).all()
    np.testing.assert_allclose(table["sf"], TRUE_SF, rtol=0.15)
    np.testing.assert_allclose(table["f1_f0"], [HALF_SQUARED, HALF_SQUARED, 0], atol=f1_f0)
    assert (table["selectivity"] > 0.3).all()


def test_counts_of_a_recording_tell_what_cells_prefer(recording):
    tuning = grating_tuning(recording)
    assert tuning.means.shape == tuning.n.shape == (16, 6, 9, 3)
    table = tuning.table()
    assert_found(table, f1_f0=0.35)
    assert (np.abs(table["lag_ms"] - 1000 * KERNEL.argmax() / 120) < 17).all()


def test_rates_of_a_model_stand_in_for_counts_and_may_be_missing(recording):
    rates = rates_for(recording.stim)
    rates[:2000] = np.nan
    table = grating_tuning(recording, rates).table()
    assert_found(table, f1_f0=0.3)
    assert (table["r2"] > 0.7).all()


def test_masked_bins_do_not_count(recording):
    broken = recording.robs.astype(float)
    broken[5000:, 1] = 1e6
    mask = np.ones(broken.shape, bool)
    mask[5000:, 1] = False
    found = grating_tuning(recording, broken, mask)
    np.testing.assert_array_equal(found.means[..., 0], grating_tuning(recording).means[..., 0])
    assert np.nanmax(found.means[..., 1]) < 100


def test_drifting_gratings_have_closed_form_tuning():
    """Far from the pixel grid's limits a Gabor passes a drifting grating as a sine."""
    tuning = show_gratings(known_rates, (SIDE, SIDE), PX_PER_DEG, N_LAGS, sfs=SFS)
    assert tuning.means.shape == tuning.f1_f0.shape == (6, len(DIRECTIONS), 3)
    assert_found(tuning.table(), f1_f0=0.1)
    half = len(DIRECTIONS) // 2
    np.testing.assert_allclose(tuning.means[:, :half], tuning.means[:, half:], rtol=0.05)


def test_f0_and_f1_of_a_linear_cell_are_those_of_its_filter():
    """rate = 1 + <pixels, cos>: F1 is the amplitude of the grating under the filter."""
    wave = torch.tensor(grating_frames(2.0, 0, [0.0], (21, 21), 20.0)[0] - 127.0)

    def linear(stimulus, behavior):
        drive = ((stimulus.double() - 127) * wave).mean(dim=(2, 3)) / 63.5**2
        return (1 + drive)[:, :, None]

    tuning = show_gratings(linear, (21, 21), 20.0, 1, sfs=[2.0], directions=[0, 90, 180, 270])
    power = np.cos(2 * np.pi * 2 * np.arange(-10, 11) / 20) ** 2
    amplitude = power.mean()
    np.testing.assert_allclose(tuning.means[0, [0, 2], 0], 1, atol=0.01)
    np.testing.assert_allclose(
        tuning.f1_f0[0, [0, 2], 0], 2 * amplitude / (amplitude + 1), rtol=0.02
    )


def test_a_grating_moves_along_its_direction():
    phases = -2 * np.pi * np.arange(PERIOD) / PERIOD
    frames = grating_frames(1.0, 0, phases, (1, 41), 20.0)[:, 0].astype(float)
    crest = [frame[10:30].argmax() for frame in frames[:6]]
    assert (np.diff(crest) >= 0).all()
    assert crest[-1] > crest[0]
    up = grating_frames(1.0, 90, phases, (41, 1), 20.0)[:, :, 0].astype(float)
    crest = [frame[10:30].argmax() for frame in up[:6]]
    assert crest[-1] < crest[0]  # rows count downwards


def test_a_behaviour_is_shown_to_the_model_all_the_time():
    still, moving = (
        show_gratings(known_rates, (SIDE, SIDE), PX_PER_DEG, N_LAGS, [2.0], [0, 180], behavior)
        for behavior in (None, np.array([0.5]))
    )
    np.testing.assert_allclose(moving.means, 1.5 * still.means, rtol=1e-6)


def test_what_cannot_be_done_is_named(recording):
    plain = record(recording.stim[:100], rates_for(recording.stim[:100]))
    with pytest.raises(ValueError, match="recording known shows no gratings"):
        grating_tuning(plain)
    with pytest.raises(ValueError, match=r"evenly spread over 360 deg; found 0, 90$"):
        show_gratings(known_rates, (SIDE, SIDE), PX_PER_DEG, N_LAGS, [2.0], [0, 90])


def test_silent_and_masked_cells_have_no_preference(recording):
    responses = recording.robs.astype(float)
    responses[:, 0], responses[:, 1] = 0, np.nan
    table = grating_tuning(recording, responses).table()
    assert table.loc[[0, 1], ["sf", "ori", "f1_f0", "lag_ms", "r2"]].isna().all(axis=None)
    assert table.loc[2].notna().all()
