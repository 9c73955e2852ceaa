"""Figures of single cells: what they show, also where little is known."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots.cells import plot_cell_anatomy, plot_cell_forecasts, plot_cell_scores

CELLS, MODELS = [4, 7, 9], ["elm_cell", "ar16", "persistence"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def scores(**changes):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [(cell, model) for model in MODELS for cell in CELLS], columns=["cell", "model"]
    )
    values = rng.random((2, len(table)))
    return table.assign(
        r2=values[0],
        r2_low=values[0] - 0.1,
        r2_high=values[0] + 0.1,
        auprc=values[1],
        n_events=10,
        n_frames=100,
    ).assign(**changes)


def dots(ax):
    return [line for line in ax.lines if line.get_marker() == "o"]


def test_scores_are_ordered_by_the_first_model():
    table = scores()
    figure = plot_cell_scores(table)
    upper, lower = figure.axes
    first = table[table["model"] == "elm_cell"].sort_values("r2", ascending=False)
    assert [label.get_text() for label in lower.get_xticklabels()] == first["cell"].map(
        str
    ).tolist()
    assert np.array_equal(dots(upper)[0].get_ydata(), first["r2"])
    assert [bar.get_height() for bar in lower.patches] == [0.1] * 3
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == [*MODELS, "share of events"]


def test_a_hopeless_cell_is_an_arrow_at_the_edge():
    table = scores()
    table.loc[table["model"] == "persistence", "r2"] = -3.0
    upper = plot_cell_scores(table).axes[0]
    (arrows,) = [line for line in upper.lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert upper.get_ylim()[0] > -0.5
    assert len(arrows.get_xdata()) == 3


def test_intervals_may_be_unknown():
    plot_cell_scores(scores(r2_low=np.nan, r2_high=np.nan, auprc=np.nan)).draw_without_rendering()


def test_forecasts_have_a_row_per_cell():
    rng = np.random.default_rng(0)
    values = rng.random((3, 50, 2))
    figure = plot_cell_forecasts(np.arange(50) + 900.0, *values, np.array([0.9, 0.8]), [4, 7], "z")
    rows = [ax for ax in figure.axes if ax.get_ylabel()]
    assert [ax.get_ylabel() for ax in rows] == ["cell 4", "cell 7"]
    recorded, said, threshold = rows[1].lines
    assert np.array_equal(recorded.get_ydata(), values[0, :, 1])
    assert np.array_equal(said.get_ydata(), values[1, :, 1])
    assert threshold.get_ydata()[0] == 0.8
    assert recorded.get_xdata()[0] == 0


def anatomy():
    rows = [
        *((4, "VISp", "VISp", 0.2), (4, "VISp", "own", 0.4), (7, "VISp", "VISp", 0.4)),
        *((7, "VISp", "own", 0.0), (9, "MOs", "own", -0.1)),
    ]
    return pd.DataFrame(rows, columns=["cell", "region", "branch", "r2_loss"])


def test_anatomy_is_the_mean_over_the_cells_of_an_area():
    ax = plot_cell_anatomy(anatomy()).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["VISp (2)", "MOs (1)"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["VISp", "own"]
    found = ax.images[0].get_array()
    np.testing.assert_allclose(found.filled(np.nan), [[0.3, 0.2], [np.nan, -0.1]])
    assert [text.get_text() for text in ax.texts] == [".300", ".200", "x", "-.100"]
    assert "n = 3 cells" in ax.get_title()


def test_anatomy_without_areas_is_one_row():
    ax = plot_cell_anatomy(anatomy().drop(columns="region")).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["all (3)"]
