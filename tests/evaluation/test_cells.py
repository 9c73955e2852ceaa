"""Scores of ELM neurons against plain formulas, on the same frames as the floors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import lfilter
from sklearn.metrics import average_precision_score, roc_auc_score

from utils.evaluation.cells import FLOORS, score_cells
from utils.models.elm.cells import CellNeurons
from utils.models.forecasting import build_forecaster
from utils.models.forecasting.simple import train_moments
from utils.windows import window_data

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

ELM = "elm_cell"
QUICK = {"max_epochs": 1, "stride": 16, "device": "cpu", "progress": False}


def data_of(frames, silent=False):
    rng = np.random.default_rng(0)
    values = lfilter([1], [1, -0.8], rng.standard_normal((frames, 4)), axis=0)
    values[frames - 60 : frames - 40, 1] = np.nan
    if silent:
        values[:, 1] = 0.5
    neurons = pd.DataFrame({"uuid": list("abcd"), "region": ["VISp", "MOs", "VISp", "MOs"]})
    times = np.arange(frames) / 5
    behaviour = rng.standard_normal((frames, 2))
    return window_data(
        values.astype(np.float32), times, 24, 1, covariates=behaviour, neurons=neurons
    )


def fitted(data):
    return CellNeurons([1, 3], burn_in=8, memory=3, trainer=QUICK).fit(data)


@pytest.fixture(scope="module")
def short():
    data = data_of(1500)
    model = fitted(data)
    return data, model, score_cells({ELM: model}, data)


def of_cell(scores, cell, model):
    rows = scores.by_cell
    return rows[(rows["cell"] == cell) & (rows["model"] == model)].iloc[0]


@pytest.mark.parametrize(("place", "cell"), [(0, 1), (1, 3)])
def test_scores_of_a_cell_are_the_usual_formulas(short, place, cell):
    data, model, scores = short
    forecast = model.forecast(data.test)
    mean, deviation = (part[cell].item() for part in train_moments(data))
    truth = data.activity[torch.from_numpy(forecast.frames), cell].numpy()
    seen = np.isfinite(truth)
    events, row = truth[seen] > mean + 2 * deviation, of_cell(scores, cell, ELM)
    error = ((forecast.activity[:, place] - truth)[seen] ** 2).sum()
    said = forecast.probability[seen, place]
    assert row["r2"] == pytest.approx(1 - error / ((truth[seen] - mean) ** 2).sum(), abs=1e-5)
    assert row["auprc"] == pytest.approx(average_precision_score(events, said), abs=1e-6)
    assert row["auc"] == pytest.approx(roc_auc_score(events, said), abs=1e-9)
    assert (row["n_events"], row["n_frames"]) == (events.sum(), seen.sum())
    assert row["region"] == "MOs"


def test_floors_forecast_the_same_frames_with_behaviour_where_they_take_it(short):
    data, _, scores = short
    assert list(scores.by_cell["model"].unique()) == [ELM, *FLOORS]
    batch = data.test.batch(torch.arange(len(data.test)))
    ridge = build_forecaster("population_ridge", covariates=True).fit(data)
    forecast = ridge.predict(batch.past, batch.past_covariates, batch.past_mask)[:, 0, 3]
    truth = data.activity[batch.starts + data.context, 3]
    mean = train_moments(data)[0][3]
    r2 = 1 - (forecast - truth).square().sum() / (truth - mean).square().sum()
    found = of_cell(scores, 3, "population_ridge")
    assert found["r2"] == pytest.approx(float(r2), abs=1e-4)
    assert found["n_frames"] == of_cell(scores, 3, ELM)["n_frames"]


def test_skill_and_gain_compare_all_cells(short):
    data, model, scores = short
    rows = scores.by_cell.set_index(["model", "cell"])
    forecast = model.forecast(data.test)
    truth = data.activity[torch.from_numpy(forecast.frames)][:, model.cells].numpy()
    last = data.activity[torch.from_numpy(forecast.frames) - 1][:, model.cells].numpy()
    last = pd.DataFrame(last).ffill().to_numpy()  # the last value that was measured
    errors = [np.nansum((said - truth) ** 2) for said in (forecast.activity, last)]
    overall = scores.overall.set_index("floor")
    assert list(overall.index) == list(FLOORS)
    assert overall.loc["persistence", "skill"] == pytest.approx(1 - errors[0] / errors[1], abs=1e-4)
    gain = (rows.loc[ELM, "auprc"] - rows.loc["ar16", "auprc"]).mean()
    assert overall.loc["ar16", "auprc_gain"] == pytest.approx(gain, abs=1e-9)


def test_intervals_need_ten_minutes(short):
    *_, scores = short
    assert scores.overall[["skill_low", "auprc_gain_low"]].isna().all(axis=None)
    assert scores.by_cell["r2_low"].isna().all()
    data = data_of(16_000)
    scores = score_cells({ELM: fitted(data)}, data, floors=["ar16"])
    row = scores.overall.iloc[0]
    assert row["n_blocks"] >= 10
    assert row["skill_low"] < row["skill"] < row["skill_high"]
    assert row["auprc_gain_low"] < row["auprc_gain"] < row["auprc_gain_high"]
    cells = scores.by_cell
    assert (cells["r2_low"] < cells["r2"]).all()
    assert (cells["r2"] < cells["r2_high"]).all()


def test_a_silent_cell_has_no_score_and_spoils_none():
    data = data_of(1500, silent=True)
    scores = score_cells({ELM: fitted(data)}, data, floors=["persistence"])
    silent = of_cell(scores, 1, ELM)
    assert np.isnan([silent["r2"], silent["auprc"], silent["auc"]]).all()
    assert np.isfinite(scores.overall[["skill", "auprc_gain"]]).all(axis=None)


def test_an_unknown_block_is_refused(short):
    data, model, _ = short
    with pytest.raises(ValueError, match=r"no windows in split 'night'.*train, validation, test"):
        score_cells({ELM: model}, data, split="night")


def test_several_models_of_the_same_cells_stand_beside_the_same_floors(short):
    data, model, one = short
    deaf = CellNeurons([1, 3], own=False, burn_in=8, memory=3, trainer=QUICK).fit(data)
    both = score_cells({ELM: model, "deaf": deaf}, data)
    known = both.overall["model"] == ELM
    pd.testing.assert_frame_equal(both.overall[known], one.overall)
    assert list(both.overall["floor"]) == [*FLOORS, *FLOORS]
    other = CellNeurons([1], burn_in=8, memory=3, trainer=QUICK).fit(data)
    with pytest.raises(ValueError, match="must be of the same cells"):
        score_cells({ELM: model, "other": other}, data)
