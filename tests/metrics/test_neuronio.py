"""NeuronIO's scores: those of the official code, and NaN with a reason where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from utils.metrics import neuronio_metrics
from utils.metrics.neuronio import counted_ms

OFFICIAL = {  # our name: theirs, and their unit
    "auc": ("AUC", 1),
    "tp_at_0.0025": ("TP @ 0.0025 FP", 1),
    "auc_at_0.0025": ("AUC @ 0.0025 FP", 1),
    "tp_at_0.01": ("TP @ 0.0100 FP", 1),
    "auc_at_0.01": ("AUC @ 0.0100 FP", 1),
    "rmse_mv": ("soma_RMSE", 1),
    "mae_mv": ("soma_MAE", 1),
    "explained_variance": ("soma_explained_variance_percent", 100),
}


@pytest.mark.parametrize("counted", [False, True])
def test_scores_are_the_official_ones(reference, counted):
    arrays = np.load(reference / "elm" / "neuronio_metrics_in.npz")
    arrays = [arrays[name] for name in ("spike_gt", "spike_hat", "soma_gt", "soma_hat")]
    expected = json.loads((reference / "elm" / "neuronio_metrics_expected.json").read_text())
    expected = expected["filter_and_extract_core_results" if counted else "extract_core_results"]
    if counted:
        simulations, times = counted_ms(arrays[0])
        arrays = [array[simulations, times] for array in arrays]
    scores = neuronio_metrics(*arrays, false_positive_rates=(0.0025, 0.01))
    assert scores.keys() == OFFICIAL.keys()
    for name, (official, unit) in OFFICIAL.items():
        assert scores[name] == pytest.approx(expected[official] / unit, rel=0, abs=1e-6), name


def test_perfect_and_opposite_predictions():
    spikes, voltage = np.array([0, 1, 0, 1]), np.array([-70.0, -60.0, -65.0, -66.0])
    perfect = neuronio_metrics(spikes, spikes, voltage, voltage)
    assert perfect == {"auc": 1.0, "rmse_mv": 0.0, "mae_mv": 0.0, "explained_variance": 1.0}
    shifted = neuronio_metrics(spikes, 1 - spikes, voltage, voltage + 2)
    assert shifted == {"auc": 0.0, "rmse_mv": 2.0, "mae_mv": 2.0, "explained_variance": 1.0}


def test_simulations_that_spike_too_much_and_their_start_do_not_count():
    spikes = np.zeros((3, 700))
    spikes[1, :24] = 1
    spikes[2, :25] = 1
    simulations, times = counted_ms(spikes)
    assert simulations.tolist() == [True, True, False]
    assert spikes[simulations, times].shape == (2, 200)


SOME = np.array([0.0, 1.0, 0.0])
MV = np.array([-70.0, -60.0, -65.0])
UNDEFINED = {
    "no spike": ((0 * SOME, SOME, MV, MV + 1), {"auc"}, "there is no spike"),
    "only spikes": ((0 * SOME + 1, SOME, MV, MV + 1), {"auc"}, "a spike in every ms"),
    "nan": ((SOME, SOME * np.nan, MV, MV + 1), {"auc"}, "100% of the predictions are NaN"),
    "constant": ((SOME, SOME, 0 * MV, MV), {"explained_variance"}, "voltage is constant"),
    "nan voltage": (
        (SOME, SOME, MV, MV * np.nan),
        {"rmse_mv", "mae_mv", "explained_variance"},
        "the voltage cannot be scored",
    ),
    "nothing": (
        ([], [], [], []),
        {"auc", "rmse_mv", "mae_mv", "explained_variance"},
        "nothing is left to score",
    ),
}


@pytest.mark.parametrize("case", UNDEFINED)
def test_what_is_not_defined_is_nan_with_a_warning(case, caplog):
    arrays, undefined, message = UNDEFINED[case]
    scores = neuronio_metrics(*arrays)
    assert {name for name, value in scores.items() if np.isnan(value)} == undefined
    assert message in caplog.text
