"""Figures of forecasts show what they were given, also when it is little."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots import forecasting as plots


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def scores(low=0.1):
    rows = [
        {"model": model, "seconds": 0.2 * h, "baseline": base, "skill": 0.3, "low": low,
         "high": 0.4, "n_blocks": 12}
        for model in ("informer", "mean") for base in ("persistence", "mean", "ar16")
        for h in (1, 2, 3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_skill_by_horizon_has_a_panel_per_baseline_without_the_baseline_itself():
    figure = plots.plot_skill_by_horizon(scores(), ["persistence", "mean"])
    labels = [ax.get_legend_handles_labels()[1] for ax in figure.axes]
    assert labels == [["informer", "mean"], ["informer"]]
    assert "n = 12 test blocks of 1 min; 95 % intervals" in figure.get_suptitle()


def test_skill_by_horizon_says_when_there_are_no_intervals():
    assert "not estimable" in plots.plot_skill_by_horizon(scores(low=np.nan)).get_suptitle()


def test_hopeless_models_do_not_squeeze_the_others():
    rows = scores()
    rows.loc[rows["model"] == "mean", "skill"] = -30.0
    assert plots.plot_skill_by_horizon(rows).axes[0].get_ylim()[0] > -1


@pytest.mark.parametrize("neurons", [[2], [0, 1, 2]])
def test_examples_have_a_row_per_cell_and_a_line_per_forecast(neurons):
    truth = np.random.default_rng(0).random((50, 3))
    forecasts = {"ar16": np.zeros((2, 5, 3)), "mean": np.ones((2, 5, 3))}
    seconds = np.arange(50) / 5 + 100
    figure = plots.plot_example_forecasts(
        seconds, truth, np.array([10, 40]), forecasts, neurons, "dF/F"
    )
    assert len(figure.axes) == len(neurons)
    lines = figure.axes[0].lines
    assert len(lines) == 1 + 2 * 2 + 2
    assert lines[1].get_xdata()[0] == pytest.approx(2.0)


def test_learning_curves_mark_the_epoch_that_is_kept():
    curves = pd.DataFrame({"epoch": [0, 1], "train_loss": [2, 1], "validation_loss": [2, 3]})
    ax = plots.plot_learning_curves(curves, best_epoch=0).axes[0]
    assert list(ax.lines[2].get_xdata()) == [1, 1]
    assert "n = 2" in ax.get_xlabel()


def test_leaderboard_puts_the_best_on_top():
    board = pd.DataFrame({"model": ["best", "worst"], "n_blocks": 9})
    for name in ("persistence", "mean", "ar16"):
        for part, value in (("skill", 0.1), ("low", np.nan), ("high", np.nan)):
            board[f"over_{name}_{part}"] = value
    figure = plots.plot_leaderboard(board)
    labels = {t.get_text(): t.get_position()[1] for t in figure.axes[0].get_yticklabels()}
    assert labels["best"] > labels["worst"]
    assert "not estimable" in figure.get_suptitle()


def test_areas_with_enough_cells_are_shown_with_their_number():
    table = pd.DataFrame({"region": ["VISp"] * 5 + ["MOs"] * 2, "over_mean_skill": np.arange(7.0)})
    ax = plots.plot_skill_by_area({"a": table, "b": table}).axes[0]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["VISp\nn = 5 cells"]


def test_unknown_areas_are_said_to_be_unknown():
    table = pd.DataFrame({"region": [None] * 5, "over_mean_skill": np.arange(5.0)})
    ax = plots.plot_skill_by_area({"a": table}).axes[0]
    assert "no area with 3 cells is known" in ax.texts[0].get_text()


def test_cells_that_are_not_scored_are_not_counted():
    a = pd.DataFrame({"r2": [0.5, 0.2, np.nan]})
    b = pd.DataFrame({"r2": [0.1, 0.3, 0.2]})
    ax = plots.plot_cells_against(a, b, ("informer", "ar16")).axes[0]
    assert "50%" in ax.get_title(loc="left") + ax.get_title()
    assert "n = 2 cells" in ax.texts[0].get_text()
    plots.plot_cells_against(a * np.nan, b, ("informer", "ar16"))
