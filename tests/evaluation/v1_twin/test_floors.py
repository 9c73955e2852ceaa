"""Floors find what they can know of, and nothing of the test trials."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.v1_twin.worlds import known_dataset, known_recording
from utils.evaluation.v1_twin import floors
from utils.evaluation.v1_twin.floors import FLOORS, behavior_rates, floor_rates
from utils.evaluation.v1_twin.scores import score_cells
from utils.splits import TEST


@pytest.fixture(scope="module")
def world():
    recording, truth = known_recording(200)
    dataset = known_dataset(recording)
    return dataset, truth, recording, floor_rates(dataset)


def test_each_floor_finds_its_own_part(world):
    dataset, truth, _, found = world
    assert tuple(found) == FLOORS
    scores = score_cells(dataset, truth.rates, found, truth)
    oracle = scores["oracle"].to_numpy()
    behaviour, filters = scores["behaviour"].to_numpy(), scores["linear-nonlinear"].to_numpy()
    assert behaviour[1] > 0.9 * scores["bits_per_spike"].iloc[1]  # only behaviour drives it
    assert filters[0] > 0.8 * oracle[0]  # only frames
    np.testing.assert_allclose([behaviour[0], behaviour[3], filters[1], filters[3]], 0, atol=0.06)
    assert 0.1 < behaviour[2] < oracle[2]
    assert 0.1 < filters[2] < oracle[2]


def test_behaviour_finds_the_rates_that_made_the_counts(world):
    _, truth, _, rates = world
    found, true = np.log(rates["behaviour"][:, 1]), np.log(truth.rates[:, 1])
    known = np.isfinite(found)
    found, true = found[known], true[known]
    assert np.corrcoef(found, true)[0, 1] > 0.98
    assert found.std() == pytest.approx(true.std(), rel=0.15)


def test_test_trials_leave_no_trace(world):
    dataset, _, recording, found = world
    test = dataset.counted(TEST).any(axis=1)
    changed = {"robs": np.where(test[:, None], 9, recording["robs"]).astype(np.uint8)}
    again = behavior_rates(known_dataset(recording, changed))
    np.testing.assert_array_equal(again, found["behaviour"])


def test_cells_without_spikes_or_bins_are_nan(world):
    dataset, _, recording, _ = world
    test = dataset.counted(TEST).any(axis=1)
    counts, valid = recording["robs"].copy(), np.ones(recording["robs"].shape, bool)
    counts[:, 0] = 0
    valid[:, 3] = False
    found = floor_rates(known_dataset(recording, {"robs": counts, "valid": valid}))
    assert np.isnan(found["behaviour"][:, 0]).all()
    for rates in found.values():
        assert np.isnan(rates[:, 3]).all()
        assert np.isfinite(rates[test, 1:3]).all()


def test_a_floor_without_its_input_is_left_out(world, monkeypatch):
    _, _, recording, _ = world
    monkeypatch.setattr(floors, "TRAINING", floors.TRAINING.model_copy(update={"max_steps": 1}))
    blind = known_dataset(recording, {"stim": None}, stimulus=None)
    assert set(floor_rates(blind)) == {"behaviour"}
    still = known_dataset(recording, behavior=())
    assert set(floor_rates(still)) == {"linear-nonlinear"}
