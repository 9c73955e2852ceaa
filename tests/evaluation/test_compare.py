"""Scores set against one another: pairs, seeds, sessions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from utils.evaluation import (
    average_seeds,
    compare,
    leaderboard,
    over_seeds,
    pooled_over_sessions,
    score_forecasts,
)
from utils.models.forecasting import build_forecaster
from utils.splits import split_by_blocks
from utils.windows import window_data

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

BASELINES = ("mean", "persistence")


def recording(seed=0, minutes=70.0, n_neurons=4, context=12, **options):
    rng = np.random.default_rng(seed)
    frames = int(minutes * 60 * 2)  # 2 Hz
    activity = rng.standard_normal((frames, n_neurons)).astype(np.float32)
    for k in range(1, frames):
        activity[k] += 0.8 * activity[k - 1]
    times = np.arange(frames) / 2
    return window_data(activity, times, context, 3, source="simulated", **options)


def noisy(data, seed, noise=0.3):
    """Scores of a linear model whose weights are disturbed, as by a seed of training."""
    model = build_forecaster("linear").fit(data)
    generator = torch.Generator().manual_seed(seed)
    model.bias = model.bias + noise * torch.randn(model.bias.shape, generator=generator)
    scores = score_forecasts(model, data, baselines=BASELINES)
    return replace(scores, settings={"width": 3, "trainer": {"seed": seed}})


@pytest.fixture(scope="module")
def data():
    return recording()


@pytest.fixture(scope="module")
def seeds(data):
    return [noisy(data, seed) for seed in range(3)]


def test_a_comparison_is_the_skill_over_the_other_model(data, seeds):
    linear, mean = (
        score_forecasts(build_forecaster(name).fit(data), data, baselines=BASELINES)
        for name in ("linear", "mean")
    )
    interval, known = compare(linear, mean), linear.overall["mean"]
    assert (interval.skill, interval.low, interval.high) == (known.skill, known.low, known.high)
    assert interval.low > 0
    assert compare(mean, linear).high < 0
    assert compare(linear, seeds[0]).low > 0  # the disturbed one is worse
    assert compare(linear, mean, by_horizon=True).skill.shape == (3,)


def test_other_windows_are_not_compared(data, seeds):
    other = recording(seed=1)
    scores = score_forecasts(build_forecaster("mean").fit(other), other, baselines=["mean"])
    with pytest.raises(ValueError, match=r"same recording and block, .* found test of"):
        compare(scores, seeds[0])


def test_mean_and_spread_over_seeds(seeds):
    table = over_seeds(seeds)
    rows = pd.DataFrame([one.summary() for one in seeds])
    for score in ("mse", "crps", "over_mean_skill", "auprc"):
        assert table.loc[score, "mean"] == pytest.approx(rows[score].mean())
        assert table.loc[score, "sd"] == pytest.approx(rows[score].std())
    assert (table["n_seeds"] == 3).all()
    assert not any(name.endswith(("_low", "_high")) for name in table.index)
    with pytest.raises(ValueError, match="at least 3 seeds, found 2"):
        over_seeds(seeds[:2])
    with pytest.raises(ValueError, match="no scores"):
        over_seeds([])


def test_averaged_errors_are_those_of_a_model_of_an_average_seed(seeds):
    row = average_seeds(seeds).summary()
    rows = pd.DataFrame([one.summary() for one in seeds])
    assert row["n_seeds"] == 3
    assert row["mse"] == pytest.approx(rows["mse"].mean())
    assert row["mse_sd"] == pytest.approx(rows["mse"].std())
    for score in ("crps", "auprc", "coverage_80", "over_mean_skill"):
        assert row[score] == pytest.approx(rows[score].mean())
    assert row["over_mean_low"] < row["over_mean_skill"] < row["over_mean_high"]
    lone = seeds[0].summary()
    assert lone["n_seeds"] == 1
    assert np.isnan(lone["mse_sd"])


def test_models_that_differ_in_more_than_the_seed_are_not_averaged(seeds):
    wider = replace(seeds[1], settings={"width": 4, "trainer": {"seed": 1}})
    with pytest.raises(ValueError, match="differ in more than their seed"):
        average_seeds([seeds[0], wider])
    with pytest.raises(ValueError, match="seeds of one model"):
        average_seeds([seeds[0], replace(seeds[1], model="other")])


def test_the_leaderboard_makes_one_row_of_seeds(data, seeds):
    mean = score_forecasts(build_forecaster("mean").fit(data), data, baselines=BASELINES)
    board = leaderboard([*seeds, mean, mean, seeds[0]])
    assert sorted(board["model"]) == ["linear", "mean"]
    row = board.set_index("model").loc["linear"]
    assert row["n_seeds"] == 3
    assert row["mse"] == pytest.approx(np.mean([one.summary()["mse"] for one in seeds]))
    assert row["mse_sd"] > 0
    assert board.set_index("model").loc["mean", "n_seeds"] == 1
    assert list(board.columns[:7]) == [
        "model", "source", "split", "data", "n_seeds", "mse", "mse_sd",
    ]  # fmt: skip


def test_other_contexts_are_not_other_seeds():
    split = split_by_blocks(np.arange(8400) / 2, (0.7, 0.1, 0.2), 40)
    short, long = (
        score_forecasts(build_forecaster("ar16").fit(data), data, baselines=BASELINES)
        for data in (recording(context=context, split=split) for context in (16, 32))
    )
    assert short.data_hash == long.data_hash
    board = leaderboard([short, long])
    assert board["n_seeds"].tolist() == [1, 1]
    assert sorted(board["mse"]) == sorted(one.summary()["mse"] for one in (short, long))
    with pytest.raises(ValueError, match=r"windows of 16 \+ 3 frames, .* of 32 \+ 3 frames"):
        average_seeds([short, long])


def test_sessions_are_pooled_each_with_the_same_weight():
    sessions = [recording(seed, n_neurons=3 + seed) for seed in range(3)]
    scores = [
        score_forecasts(build_forecaster("linear").fit(one), one, baselines=BASELINES)
        for one in sessions
    ]
    pooled = pooled_over_sessions(scores)
    assert set(pooled) == set(BASELINES)
    each = [one.overall["mean"] for one in scores]
    interval = pooled["mean"]
    assert interval.skill[0] == pytest.approx(np.mean([i.skill[0] for i in each]))
    assert interval.n_blocks == sum(i.n_blocks for i in each)
    assert interval.low < interval.skill < interval.high
    two = pooled_over_sessions(scores[:2])["mean"]
    assert np.isfinite(two.skill).all()
    assert np.isnan([two.low, two.high]).all()
    with pytest.raises(ValueError, match="one model are pooled"):
        pooled_over_sessions([scores[0], replace(scores[1], model="other")])


def test_pooled_intervals_cover_a_skill_that_differs_between_sessions():
    """Sessions of a known mean skill of .2, standard deviation .05, and little noise inside."""
    data = recording(minutes=70)
    template = score_forecasts(build_forecaster("mean").fit(data), data, baselines=["mean"])
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(60):
        sessions = [_of_skill(template, 0.2 + 0.05 * rng.standard_normal()) for _ in range(5)]
        interval = pooled_over_sessions(sessions, seed=trial)["mean"]
        hits += bool(interval.low[0] <= 0.2 <= interval.high[0])
    assert 53 <= hits <= 60


def _of_skill(scores, skill):
    """Scores whose squared errors are those of the context mean, shrunk everywhere alike."""
    errors = replace(scores.errors, forecast=type(scores.errors.forecast).average([
        scores.errors.forecast
    ]))  # fmt: skip
    chunks = errors.forecast._chunks
    errors.forecast._chunks = {i: (1 - skill) * values for i, values in chunks.items()}
    return replace(scores, errors=errors)
