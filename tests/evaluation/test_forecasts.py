"""Scores of forecasters: right numbers, pooled over batches, honest intervals."""

from __future__ import annotations

import gc

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import lfilter

from utils.evaluation import BASELINES, score_forecasts, score_oracle, window_errors
from utils.evaluation import forecasts as module
from utils.metrics import block_bootstrap
from utils.models.forecasting import DataMismatchError, build_forecaster
from utils.splits import PASSIVE, TEST, split_by_blocks
from utils.windows import window_data

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other


DECAY = 0.9  # from frame to frame


def recording(minutes: float = 60, **options):
    rng = np.random.default_rng(0)
    frames = int(minutes * 60 * 2)  # 2 Hz
    activity = lfilter([1], [1, -DECAY], rng.standard_normal((frames, 5)), axis=0) + 3
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
    needed = "model horizon baseline mse mae r2 pearson skill low high n_blocks event_f1 source "
    needed += "auprc crps coverage_80 coverage_95"
    assert "of_oracle" not in frame
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
    monkeypatch.setattr(window_errors, "BATCH_VALUES", 700)
    again = score_forecasts(build_forecaster("linear").fit(data), data, baselines=["mean"])
    expected = scores.summary()
    for name, value in again.summary().items():
        assert value == (
            expected[name] if isinstance(value, str) else pytest.approx(expected[name], nan_ok=True)
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


def oracle_of(data):
    """The expected value given the last one: the best forecast of this recording."""

    def oracle(origins):
        last = data.activity.numpy()[origins - 1, None]
        steps = DECAY ** np.arange(1, data.horizon + 1)
        forecast = np.nan_to_num(3 + (last - 3) * steps[:, None], nan=3.0)
        forecast[:, :, 2] = 1.0  # the constant neuron
        return forecast

    return oracle


def test_oracle_gets_a_row_of_its_own(data):
    oracle = oracle_of(data)
    baseline = score_forecasts(build_forecaster("mean").fit(data), data, oracle=oracle)
    scores = score_oracle(oracle, "perfect", data, oracle=oracle)
    row = scores.summary()
    assert row["model"] == "perfect"
    assert row["of_oracle"] == pytest.approx(1.0)
    expected = 1 - row["mse"] / baseline.summary()["mse"]
    assert row["over_mean_skill"] == pytest.approx(expected)
    assert baseline.summary()["of_oracle"] == pytest.approx(0.0)


def test_fraction_of_the_oracle(data):
    oracle = oracle_of(data)
    scores = score_forecasts(build_forecaster("linear").fit(data), data, oracle=oracle)
    row, frame = scores.summary(), scores.to_frame()
    mse = {name: errors.pooled.squared.sum() for name, errors in scores.baselines.items()}
    own = scores.errors.pooled.squared.sum()
    expected = (mse["mean"] - own) / (mse["mean"] - mse["oracle"])
    assert row["of_oracle"] == pytest.approx(expected)
    assert 0.7 < row["of_oracle_low"] <= row["of_oracle"] <= row["of_oracle_high"] < 1.3
    assert row["over_oracle_skill"] < 0.01
    per_step = frame[frame["baseline"] == "mean"]
    skill_of_oracle = block_bootstrap(
        scores.baselines["oracle"].forecast, scores.baselines["mean"].forecast
    ).skill
    np.testing.assert_allclose(per_step["of_oracle"], per_step["skill"] / skill_of_oracle)
    assert (per_step["of_oracle_low"] <= per_step["of_oracle"]).all()
    at_floor = score_forecasts(build_forecaster("mean").fit(data), data, oracle=oracle).summary()
    assert at_floor["of_oracle"] == at_floor["of_oracle_low"] == at_floor["of_oracle_high"] == 0


def test_the_oracle_needs_no_mean_among_the_baselines(data):
    model = build_forecaster("linear").fit(data)
    row = score_forecasts(model, data, baselines=["ar16"], oracle=oracle_of(data)).summary()
    assert np.isfinite(row["of_oracle"])
    assert "over_mean_skill" not in row


def test_distributions_of_point_forecasts_cover_what_they_say(data, scores):
    row = scores.summary()
    assert row["coverage_80"] == pytest.approx(0.8, abs=0.04)
    assert row["coverage_95"] == pytest.approx(0.95, abs=0.03)
    # Gaussian errors: CRPS = sd / sqrt(pi), of the neurons that vary
    per_neuron = scores.per_neuron.drop(index=2)
    ratio = per_neuron["crps"] * np.sqrt(np.pi) / np.sqrt(per_neuron["mse"])
    assert ratio.between(0.85, 1.05).all()
    table = scores.reliability()
    assert len(table) == 4 * 11
    assert (table["n"] == scores.errors.forecast.count[0].sum()).all()
    below = np.delete(scores.errors.quantiles.below, 2, axis=1).mean(axis=(0, 1))
    np.testing.assert_allclose(below, table["level"][:11], atol=0.05)


def test_the_models_own_distribution_is_used_where_it_has_one(data):
    model = build_forecaster("mean").fit(data)

    def quantiles(past, levels, covariates=None, mask=None):
        centre = model.predict(past, covariates, mask)[..., None]
        return centre + 100 * (torch.as_tensor(levels, dtype=torch.float32) - 0.5)

    model.is_probabilistic, model.predict_quantiles = True, quantiles
    wide = score_forecasts(model, data, baselines=["mean"])
    assert wide.summary()["coverage_80"] > 0.999
    assert wide.errors.quantiles.width(0.8)[0, 0] == pytest.approx(80, rel=1e-4)
    assert (
        wide.summary()["crps"]
        > score_forecasts(build_forecaster("mean").fit(data), data, baselines=["mean"]).summary()[
            "crps"
        ]
    )


def test_levels_can_be_chosen(data):
    model = build_forecaster("mean").fit(data)
    row = score_forecasts(model, data, baselines=["mean"], levels=[0.1, 0.5, 0.9]).summary()
    assert row["coverage_80"] == pytest.approx(0.8, abs=0.04)
    assert "coverage_95" not in row


def test_thresholds_of_events_follow_the_shrinking(data):
    rows = {}
    for name in ("persistence", "train_mean"):
        rows[name] = score_forecasts(build_forecaster(name).fit(data), data)
    mean, deviation = window_errors._train_moments(data)
    persistent = rows["persistence"].errors.events
    np.testing.assert_allclose(persistent.threshold, mean + 2 * deviation)
    assert (persistent.pred_threshold <= persistent.threshold).all()
    ar16 = score_forecasts(build_forecaster("ar16").fit(data), data)
    assert (ar16.errors.events.pred_threshold < persistent.threshold)[[0, 1, 3, 4]].all()
    assert ar16.summary()["event_f1"] > rows["train_mean"].summary()["event_f1"]
    assert ar16.summary()["auprc"] > 2 * rows["train_mean"].summary()["auprc"]


@pytest.mark.parametrize("name", ["ar16", "population_ridge"])
def test_thresholds_and_distributions_do_not_follow_the_test_block(data, name):
    changed = recording()
    changed.activity[changed.split == TEST] *= -3.0
    one, other = (
        score_forecasts(build_forecaster(name).fit(each), each, baselines=["mean"]).errors
        for each in (data, changed)
    )
    for part in ("threshold", "pred_threshold"):
        assert np.array_equal(getattr(one.events, part), getattr(other.events, part))
    np.testing.assert_allclose(one.quantiles.width(0.8), other.quantiles.width(0.8), rtol=1e-6)
    assert one.pooled.mse[0, 0] != other.pooled.mse[0, 0]


def test_what_is_kept_is_bounded_and_even(data, monkeypatch):
    whole = score_forecasts(build_forecaster("ar16").fit(data), data, baselines=["mean"])
    monkeypatch.setattr(window_errors, "RESIDUAL_WINDOWS", 300)
    monkeypatch.setattr(window_errors, "THRESHOLD_VALUES", 1000)
    monkeypatch.setattr(window_errors, "RANKED_WINDOWS", 400)
    monkeypatch.setattr(window_errors, "RANKED_VALUES", 400 * 4 * 3)
    thin = score_forecasts(build_forecaster("ar16").fit(data), data, baselines=["mean"])
    assert thin.errors.auprc.shape == (4, 3)  # neurons 0, 2 and 4
    thin_auprc, auprc = (np.nanmean(s.errors.auprc[:, i]) for s, i in
                         ((thin, [0, 2]), (whole, [0, 4])))  # fmt: skip
    assert thin_auprc == pytest.approx(auprc, abs=0.08)
    assert thin.summary()["crps"] == pytest.approx(whole.summary()["crps"], rel=0.03)
    assert thin.summary()["mse"] == whole.summary()["mse"]
    assert window_errors._evenly(5, 3).tolist() == [0, 2, 4]
    assert window_errors._evenly(0, 3).tolist() == []
