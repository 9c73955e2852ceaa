"""Architectures and losses in one table, and the command that makes it."""

from __future__ import annotations

import pandas as pd
import pytest

from utils.config import ConfigError, validate_config
from utils.evaluation.spectral import compare_spectral, report, spectral_settings
from utils.evaluation.spectral.__main__ import main
from utils.models.spectral import SpectralExperiment

BASELINES = {"majority", "mean", "ridge", "nearest neighbour", "true class"}
SMALL = ["data.n_samples=60", "trainer.max_epochs=1", "trainer.progress=false"]


def experiment(**settings) -> SpectralExperiment:
    small = {
        "data": {"synthesiser": "simple_saw", "n_samples": 60},
        "network": {"type": "cnn", "size": "micro"},
        "trainer": {"max_epochs": 1, "progress": False},
    }
    return validate_config(SpectralExperiment, small | settings, "test")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    settings = {
        "classes": experiment(),
        "values": experiment(loss={"type": "regression"}),
        "with scale": experiment(
            data={"synthesiser": "simple_saw", "n_samples": 60, "auxiliary": ["scale"]}
        ),
    }
    folder = tmp_path_factory.mktemp("comparison") / "new"
    return compare_spectral(settings, seeds=(0, 1), folder=folder), folder


def test_each_setting_has_a_row_per_seed_and_head(compared):
    results, _ = compared
    fitted = results[~results["baseline"]]
    counts = fitted.groupby(["data", "setting"]).size().to_dict()
    assert counts == {
        ("simple_saw (image)", "classes"): 4,
        ("simple_saw (image)", "values"): 4,
        ("simple_saw (image + scale)", "with scale"): 4,
    }
    assert sorted(fitted["seed"].unique()) == [0, 1]
    assert (fitted["parameters"] > 8000).all()
    assert (fitted["epochs"] == 1).all()
    assert (results["n"] == 12).all()


def test_every_data_set_has_its_baselines_once(compared):
    results, _ = compared
    for _, part in results[results["baseline"]].groupby(["data", "head"]):
        assert sorted(part["setting"]) == sorted(BASELINES)


def test_seeds_differ_and_losses_differ(compared):
    results, _ = compared
    decay = results[(results["head"] == "log10_decay_time") & ~results["baseline"]]
    assert decay["mae"].nunique() > 3
    assert decay.loc[decay["setting"] == "values", "calibration_error"].isna().all()


def test_results_are_kept_as_they_are_returned(compared):
    results, folder = compared
    kept = pd.read_csv(folder / "comparison.csv")
    pd.testing.assert_frame_equal(kept, results, check_exact=False, check_dtype=False)
    assert (folder / "comparison.md").read_text() == report(results)


def test_the_report_has_units_and_spreads(compared):
    text = report(compared[0])
    assert "## log10_decay_time, of simple_saw (image)\n\nMAE in log10 s, n = 12 samples" in text
    rows = [line for line in text.splitlines() if line.startswith("| values | ")]
    assert len(rows) == 2  # a table per head
    assert all(" ± " in row and " | 2 | " in row for row in rows)
    assert [line for line in text.splitlines() if line.startswith("| mean | - | 1 | ")]


def test_rows_of_the_report_are_in_order_of_their_error(compared):
    text = report(compared[0])
    table = text.split("## log10_decay_time, of simple_saw (image)\n")[1].split("##")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    errors = [float(row[4].split()[0]) for row in rows]
    assert errors == sorted(errors)
    assert rows[0][0] == "| true class"


def test_models_and_losses_are_combined():
    settings = spectral_settings(
        ["quick"], ["cnn_micro", "dense"], ["ordinal", "regression"], ["trainer.max_epochs=2"]
    )
    kinds = [(one.network.type, one.loss.type) for one in settings.values()]
    assert kinds == [
        ("cnn", "ordinal"), ("cnn", "regression"), ("dense", "ordinal"), ("dense", "regression"),
    ]  # fmt: skip
    assert next(iter(settings)) == "quick + cnn_micro + ordinal"
    assert all(one.trainer.max_epochs == 2 for one in settings.values())
    assert list(spectral_settings(["quick", "ordinal"])) == ["quick", "ordinal"]


def test_unknown_names_and_wrong_inputs_are_named():
    with pytest.raises(ConfigError, match="no config 'spectral/quik'"):
        spectral_settings(["quik"])
    with pytest.raises(ConfigError, match=r"setting 'quick \+ leaf_cnn_tiny'.*audio"):
        spectral_settings(["quick"], ["leaf_cnn_tiny"])


def test_the_command_writes_a_report(tmp_path, capsys):
    assert main(["quick", "--set", *SMALL, "--output", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert (tmp_path / "comparison.md").read_text() in shown
    assert "comparison.csv" in shown


def test_the_command_says_what_is_wrong(capsys):
    assert main(["quik"]) == 2
    assert "did you mean" in capsys.readouterr().err
