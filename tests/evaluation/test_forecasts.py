"""Scores of forecasters: right numbers, pooled over batches, honest intervals."""

from __future__ import annotations

import gc

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import lfilter

from utils.evaluation import BASELINES, score_forecasts
from utils.evaluation import forecasts as module
from utils.models.forecasting import DataMismatchError, build_forecaster
from utils.splits import PASSIVE, split_by_blocks
from utils.windows import window_data

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other


def recording(minutes: float = 60, **options):
    rng = np.random.default_rng(0)
    frames = int(minutes * 60 * 2)  # 2 Hz
    activity = lfilter([1], [1, -0.9], rng.standard_normal((frames, 5)), axis=0) + 3
    activity[:, 2] = 1.0
    activity[100:130, 4] = activity[-150:-140, 3] = np.nan
    table = pd.DataFrame({"uuid": list("abcde"), "region": "VISp"})
    return window_data(
        activity, np.arange(frames) / 2, 16, 4, source="simulated", neurons=table, **options
    )


@pytest.fixture(scope="module")
def data():
    return recording()


@pytest.fixture(scope="module")
def scores(data):
    return score_forecasts(build_forecaster("linear").fit(data), data)


def test_numbers_equal_those_computed_at_once(data, scores):
    batch = data.test.batch(torch.arange(len(data.test)))
    model = build_forecaster("linear").fit(data)
    mask = batch.future_mask.numpy()

    def squared(forecaster):
        forecast = forecaster.predict(batch.past, mask=batch.past_mask)
        return np.where(mask, (forecast - batch.future).numpy() ** 2, np.nan)

    frame = scores.to_frame()
    errors = np.nanmean(squared(model), axis=(0, 2))
    for name in BASELINES:
        rows = frame[frame["baseline"] == name]
        others = np.nanmean(squared(build_forecaster(name).fit(data)), axis=(0, 2))
        np.testing.assert_allclose(rows["mse"], errors, rtol=1e-4)
        np.testing.assert_allclose(rows["skill"], 1 - errors / others, atol=1e-4)
    rows = frame[frame["baseline"] == "train_mean"]
    np.testing.assert_allclose(rows["r2"], rows["skill"], atol=1e-6)


def test_frame_has_one_row_per_horizon_and_baseline(scores):
    frame = scores.to_frame()
    assert len(frame) == 4 * len(BASELINES)
    assert frame["seconds"].unique().tolist() == [0.5, 1.0, 1.5, 2.0]
    needed = "model horizon baseline mse mae r2 pearson skill low high n_blocks event_f1 source"
    assert set(needed.split()) <= set(frame.columns)
    assert (frame["n_blocks"] >= 10).all()
    assert (frame["low"] <= frame["skill"]).all()
    assert (frame["skill"] <= frame["high"]).all()


def test_a_correlated_signal_is_forecast_better_than_by_its_mean(scores):
    row = scores.summary()
    assert row["over_mean_low"] > 0
    assert row["over_train_mean_low"] > 0
    assert abs(row["over_ar16_skill"]) < 0.05


def test_a_model_has_no_skill_over_itself(data):
    row = score_forecasts(build_forecaster("mean").fit(data), data).summary()
    assert row["over_mean_skill"] == row["over_mean_low"] == row["over_mean_high"] == 0


def test_short_recordings_have_no_interval():
    data = recording(minutes=12)
    row = score_forecasts(build_forecaster("mean").fit(data), data).summary()
    assert row["n_blocks"] < 10
    assert np.isnan(row["over_persistence_low"])
    assert np.isfinite(row["over_persistence_skill"])


def test_each_neuron_keeps_its_row(data, scores):
    table = scores.per_neuron
    assert table["uuid"].tolist() == list("abcde")
    assert (table["region"] == "VISp").all()
    assert table["pearson"].isna().tolist() == [False, False, True, False, False]
    assert np.isnan(table["r2"][2])  # constant: nothing to explain


def test_batches_change_nothing(data, scores, monkeypatch):
    monkeypatch.setattr(module, "BATCH_VALUES", 700)
    again = score_forecasts(build_forecaster("linear").fit(data), data, baselines=["mean"])
    expected = scores.summary()
    for name, value in again.summary().items():
        assert value == (
            expected[name] if isinstance(value, str) else pytest.approx(expected[name])
        )


def test_passive_block_is_scored_where_there_is_one(data):
    frames = len(data.timestamps)
    bout = data.timestamps[[frames - 1600, frames - 1]]
    labels = split_by_blocks(data.timestamps, (0.7, 0.1, 0.2), 20, passive=bout)
    assert (labels == PASSIVE).any()
    other = recording(split=labels)
    model = build_forecaster("mean").fit(other)
    assert score_forecasts(model, other, split="passive").split == "passive"
    with pytest.raises(ValueError, match="no windows in split 'passive'"):
        score_forecasts(build_forecaster("mean").fit(data), data, split="passive")


def test_another_session_is_refused(data):
    other = window_data(data.activity[:, :3], data.timestamps, 16, 4)
    with pytest.raises(DataMismatchError, match="another session"):
        score_forecasts(build_forecaster("ar16").fit(data), other)


def test_baselines_are_fitted_once_per_recording_and_forgotten_with_it(monkeypatch):
    data = recording(minutes=12)
    model = build_forecaster("mean").fit(data)
    score_forecasts(model, data)
    monkeypatch.setattr(module, "build_forecaster", None)  # any further fit would fail
    score_forecasts(model, data)
    gc.collect()  # recordings of other tests
    held = len(module._fitted)
    del data, model
    gc.collect()
    assert len(module._fitted) == held - 1


def test_a_score_needs_a_baseline(data):
    with pytest.raises(ValueError, match=r"needs baselines.*persistence"):
        score_forecasts(build_forecaster("mean").fit(data), data, baselines=())
