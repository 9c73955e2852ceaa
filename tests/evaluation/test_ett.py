"""Scores on ETT: settings, errors against an own computation, tables, figures, commands."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from utils import config as config_module
from utils.config import EXPERIMENTS, ConfigError
from utils.datasets import load_ett, write_ett_like
from utils.evaluation.ett import (
    available_settings,
    evaluate_ett,
    load_setting,
    main,
    mean_errors,
    report,
)
from utils.evaluation.ett_published import PUBLISHED, published
from utils.evaluation.forecasts import BASELINES
from utils.models.forecasting import build_forecaster, forecaster_class

TINY = """
defaults:
  - /model@model: {model}
  - /trainer@trainer: ett
  - _self_
context: {context}
horizons: [12]
"""
TRAINED = "model: {d_model: 8, ffn_dim: 8}\ntrainer: {max_steps: 2, validation_stride: 200}\n"


@pytest.fixture(scope="module")
def hourly(tmp_path_factory):
    """Simulated, as long as the standard borders."""
    return write_ett_like(tmp_path_factory.mktemp("ett") / "hourly.csv")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Own settings beside a copy of the project's models and trainers, by name."""
    folder = tmp_path / "experiments"
    shutil.copytree(EXPERIMENTS, folder, ignore=shutil.ignore_patterns("ett"))
    (folder / "ett").mkdir()
    shutil.copy(EXPERIMENTS / "trainer" / "ett.yaml", folder / "trainer" / "ett.yaml")
    monkeypatch.setattr(config_module, "EXPERIMENTS", folder)

    def write(name, model="linear", context=24, rest=""):
        text = TINY.format(model=model, context=context) + rest
        (folder / "ett" / f"{name}.yaml").write_text(text)

    return write


@pytest.mark.parametrize("name", available_settings())
def test_settings_of_the_project_follow_the_protocol(name):
    setting = load_setting(name)
    assert name.endswith(f"_{setting.context}")
    assert setting.trainer["stride"] == setting.trainer["validation_stride"] == 1
    assert forecaster_class(setting.model["name"]).name == setting.model["name"]
    model = setting.published or setting.model["name"]
    compared = [p for p in PUBLISHED if (p.model, p.context) == (model, setting.context)]
    assert all(set(p.errors) & set(setting.horizons) for p in compared)


def test_the_closed_form_is_ahead_of_the_published_linear_models(reference, tmp_path):
    path = reference / "ett" / "ETTh1.csv"
    results = evaluate_ett(path, ["linear_336"], horizons=[96], folder=tmp_path)
    own = results[results["setting"] == "linear_336"].iloc[0]
    assert own["n_windows"] == 2785
    assert own["mse"] < 0.371
    assert own["mae"] < 0.394
    assert own["published_mse"] == 0.374
    assert own["ratio"] == pytest.approx(own["mse"] / 0.374)
    # Copying the last value, as in the tables of Zeng et al. (2023): MSE 1.295, MAE 0.713.
    copied = results[results["model"] == "persistence"].iloc[0]
    assert copied[["mse", "mae"]].tolist() == pytest.approx([1.295, 0.713], abs=1e-3)


def test_errors_are_means_over_windows_horizons_and_channels(hourly):
    data = load_ett(hourly, 24, 12)
    model = build_forecaster("persistence").fit(data)
    values = data.activity.double().numpy()
    firsts = range(11520, 14400 - 11)
    truth = np.stack([values[first : first + 12] for first in firsts])
    difference = truth - np.stack([values[[first - 1]] for first in firsts])
    expected = (difference**2).mean(), np.abs(difference).mean()
    assert mean_errors(model, data.test) == pytest.approx(expected, rel=1e-5)


def test_results_have_a_row_per_setting_horizon_and_seed_beside_baselines(
    hourly, settings, tmp_path
):
    settings("linear_24")
    settings("informer_24", "informer", rest=TRAINED)
    settings("linear_48", context=48)
    results = evaluate_ett(hourly, seeds=[0, 1], folder=tmp_path / "out")
    own = results[results["setting"] != "baseline"]
    found = list(zip(own["setting"], own["context"], own["seed"]))
    assert sorted(found) == [
        ("informer_24", 24, 0),
        ("informer_24", 24, 1),
        ("linear_24", 24, 0),  # in closed form: the seed changes nothing
        ("linear_48", 48, 0),
    ]
    trained = own[own["setting"] == "informer_24"]["mse"]
    assert trained.iloc[0] != trained.iloc[1]
    for _, part in results.groupby("context"):
        assert set(BASELINES) <= set(part["model"])
    assert (results["data"] == "hourly").all()
    assert results["published_mse"].isna().all()
    kept = pd.read_csv(tmp_path / "out" / "hourly.csv")
    pd.testing.assert_frame_equal(kept, results, check_exact=False)
    assert (tmp_path / "out" / "hourly.md").read_text() == report(results)


def test_the_smallest_validation_error_decides_whatever_the_test_rows_say(
    hourly, settings, tmp_path
):
    table = pd.read_csv(hourly)
    rows, noise = slice(11520, 14400), np.random.default_rng(0).standard_normal((2880, 7))
    table.iloc[rows, 1:] = table.iloc[:8640, 1:].mean().to_numpy() + 20 * noise
    path = tmp_path / "other_test_rows.csv"
    table.to_csv(path, index=False)
    settings("linear_24", rest="candidates: [{ridge: [1.0e+6]}, {ridge: [1.0e-2]}]\n")
    results = evaluate_ett(path, folder=tmp_path / "out")
    data = load_ett(path, 24, 12)
    validation, test = (
        [
            mean_errors(build_forecaster("linear", ridge=[ridge]).fit(data), block)[0]
            for ridge in (1e6, 1e-2)
        ]
        for block in (data.validation, data.test)
    )
    assert validation[1] < 0.9 * validation[0]
    assert test[1] > 1.1 * test[0]
    own = results[results["setting"] == "linear_24"]
    assert own["mse"].tolist() == pytest.approx([test[1]], rel=1e-5)


def test_a_report_never_mixes_lookbacks_and_shows_published_figures():
    row = dict(data="ETTh1", model="dlinear", horizon=96, n_windows=2785, mae=0.4, seconds=3.0)
    row |= dict(validation_mse=0.7, published_mae=0.399)
    runs = [("a", 336, 0, 0.38, 0.375), ("a", 336, 1, 0.40, 0.375), ("b", 96, 0, 0.5, np.nan)]
    rows = [
        row | dict(setting=name, context=context, seed=seed, mse=mse, published_mse=known)
        for name, context, seed, mse, known in runs
    ]
    results = pd.DataFrame(rows)
    results["ratio"] = results["mse"] / results["published_mse"]
    text = report(results)
    short, long = text.split("## Lookback 96")[1].split("## Lookback 336")
    assert "| 96 | b | dlinear | 2785 | 1 | 0.5000 |" in short
    assert "n/a" in short
    assert (
        "| 96 | a | dlinear | 2785 | 2 | 0.3900 ± 0.0141 | 0.4000 | 0.375 | 0.399 | 1.040 |" in long
    )
    assert "- dlinear, lookback 336: Zeng et al." in long
    assert "patchtst, lookback 512" not in text
    assert "No published figures" in report(results.assign(data="mine"))


def test_published_figures_are_looked_up_by_model_data_and_lookback():
    assert published("dlinear", "ETTh1", 336).errors[720] == (0.472, 0.490)
    assert published("dlinear", "ETTh1", 96) is None
    assert published("dlinear", "ETTh2", 336) is None
    assert len({(p.model, p.data, p.context) for p in PUBLISHED}) == len(PUBLISHED)


def test_the_command_prints_the_tables_and_says_where_they_are(hourly, settings, tmp_path, capsys):
    settings("linear_24")
    settings("linear_48", context=48)
    command = [str(hourly), "--settings", "linear_24", "--horizons", "6", "--output", str(tmp_path)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "## Lookback 24" in printed
    assert "| 6 | linear_24 | linear | 2875 |" in printed
    assert "Lookback 48" not in printed
    assert f"written: {tmp_path}/hourly.csv" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--settings", "linear_42"], "unknown setting 'linear_42'; did you mean linear_24?"),
        (["--models", "liner"], "no setting of a model 'liner'; did you mean linear?"),
        (["--horizons", "5000"], "recording too short for windows of 24 + 5000"),
        (["--horizons", "0"], "horizon must be a whole number of frames >= 1, found 0"),
    ],
)
def test_wrong_arguments_are_named(hourly, settings, tmp_path, capsys, arguments, message):
    settings("linear_24")
    assert main([str(hourly), *arguments, "--output", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_results_never_replace_the_data(settings, tmp_path, capsys):
    path = write_ett_like(tmp_path / "hourly.csv")
    before = path.read_bytes()
    settings("linear_24")
    assert main([str(path), "--settings", "linear_24", "--output", str(tmp_path)]) == 2
    assert "would replace" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_missing_file_is_named(tmp_path, capsys):
    assert main([str(tmp_path / "ETTh9.csv"), "--output", str(tmp_path)]) == 2
    assert "no file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("modle: {}\n", "unknown key 'modle'; did you mean model"),
        ("model: {ridg: [1.0]}\n", "unknown key 'ridg'; did you mean ridge"),
        ("candidates: [{shard: true}]\n", "unknown key 'shard'; did you mean shared"),
        ("trainer: {max_epochs: 0}\n", "max_epochs"),
    ],
)
def test_wrong_settings_are_named(settings, rest, message):
    model = "informer" if "trainer" in rest else "linear"
    settings("wrong_24", model, rest=rest)
    with pytest.raises(ConfigError, match=message):
        load_setting("wrong_24")
