"""Figures of forecasts show what they were given, also when it is little."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

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


def board(n=2):
    table = pd.DataFrame({"model": ["best", "worst", *map(str, range(n - 2))], "n_blocks": 9})
    for name in ("mean", "ar16"):
        for part, value in (("skill", 0.1), ("low", np.nan), ("high", np.nan)):
            table[f"over_{name}_{part}"] = value
    return table


def test_leaderboard_puts_the_best_on_top():
    figure = plots.plot_leaderboard(board())
    labels = {t.get_text(): t.get_position()[1] for t in figure.axes[0].get_yticklabels()}
    assert labels["best"] > labels["worst"]
    assert "not estimable" in figure.get_suptitle()
    assert len(figure.axes) == 2  # no panel for a baseline that the board does not have


def test_leaderboard_says_how_bad_a_hopeless_model_is():
    table = board()
    table.loc[1, "over_mean_skill"] = -7.25
    ax = plots.plot_leaderboard(table, ["mean"]).axes[0]
    assert ax.texts[0].get_text().strip() == "-7.25"
    assert ax.get_xlim()[0] > -0.2


def test_leaderboard_shows_the_way_to_the_oracle_and_the_seeds():
    table = board().assign(of_oracle=[0.7, 0.2], of_oracle_low=0.1, of_oracle_high=0.8)
    seeds = pd.concat([table.iloc[:1]] * 3).assign(of_oracle=[0.6, 0.7, 0.8])
    figure = plots.plot_leaderboard(table, ["mean"], seeds)
    assert len(figure.axes) == 2
    dots = [line for line in figure.axes[1].lines if len(line.get_xdata()) == 3]
    assert list(dots[0].get_xdata()) == [0.6, 0.7, 0.8]
    assert "small dots: seeds" in figure.get_suptitle()


def test_names_at_the_ends_of_many_lines_do_not_overlap():
    rows = [
        {"model": f"model {k}", "seconds": 0.2 * h, "baseline": "mean", "skill": 0.1 + 0.001 * k,
         "low": 0.0, "high": 0.2, "n_blocks": 12}
        for k in range(18) for h in (1, 2, 3)
    ]  # fmt: skip
    figure = plots.plot_skill_by_horizon(pd.DataFrame(rows), ["mean"])
    figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]  # without the line
    assert len(boxes) == 18
    centres = sorted((box.y0 + box.y1) / 2 for box in boxes)
    points = np.diff(centres) * 72 / figure.dpi
    assert points.min() > 7  # the size of the letters
    order = sorted(figure.axes[0].texts, key=lambda text: text.get_position()[1])
    assert [text.get_text() for text in order] == [f"model {k}" for k in range(18)]


def test_the_oracle_is_the_ceiling():
    rows = [
        {"model": "ar16", "seconds": s, "baseline": base, "skill": skill, "low": 0, "high": 1,
         "n_blocks": 12, "of_oracle": 0.4, "of_oracle_low": 0.3, "of_oracle_high": 0.5}
        for s in (0.2, 0.4) for base, skill in (("mean", 0.2), ("oracle", -0.25))
    ]  # fmt: skip
    figure = plots.plot_skill_by_horizon(pd.DataFrame(rows), ["mean"])
    ceiling = figure.axes[0].get_lines()[1]
    assert ceiling.get_label() == "oracle"
    np.testing.assert_allclose(ceiling.get_ydata(), 1 - 0.8 / 1.25)
    names = [t.get_text() for t in plots.plot_oracle_fraction(pd.DataFrame(rows)).axes[0].texts]
    assert sorted(names) == ["ar16", "mean", "oracle"]
    with pytest.raises(ValueError, match="oracle="):
        plots.plot_oracle_fraction(scores())


def test_seeds_are_dots_about_their_mean():
    one = scores()
    seeds = pd.concat([one.assign(skill=value) for value in (0.1, 0.2, 0.6)])
    lines = plots.plot_skill_by_horizon(seeds, ["persistence"]).axes[0].lines
    assert len(lines[0].get_xdata()) == 9
    np.testing.assert_allclose(lines[1].get_ydata(), 0.3)


def test_areas_with_enough_cells_are_shown_with_their_number():
    table = pd.DataFrame({"region": ["VISp"] * 5 + ["MOs"] * 2, "over_mean_skill": np.arange(7.0)})
    ax = plots.plot_skill_by_area({"a": table, "b": table}).axes[0]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["VISp\nn = 5 cells"]
    assert list(ax.lines[0].get_ydata()) == [2.0]  # the median


def test_areas_have_a_panel_for_each_baseline_that_was_scored():
    table = pd.DataFrame({"region": ["VISp"] * 5, "over_mean_skill": 0.2, "over_ar16_skill": 0.1})
    figure = plots.plot_skill_by_area({"a": table, "b": table})
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "skill over the context mean", "skill over AR16 ridge",
    ]  # fmt: skip


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
