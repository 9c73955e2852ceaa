"""Spikes and accuracies of spoken digits are drawn as they are."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots import style
from utils.plots.spoken_digits import plot_accuracies, plot_rasters


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_each_recording_has_a_panel_with_its_spikes():
    records = [(np.array([0.1, 1.2]), np.array([3, 690])), *[(np.zeros(0), np.zeros(0))] * 4]
    figure = plot_rasters(records, list("abcde"), n_channels=700, used_seconds=1.0)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="center") for ax in shown][:2] == ["a (2 spikes)", "b (0 spikes)"]
    assert len(shown) == 5
    assert shown[0].lines[0].get_xydata().tolist() == [[0.1, 3], [1.2, 690]]
    assert shown[0].get_xlim()[1] >= 1.2
    figure.canvas.draw()


def test_accuracies_stand_beside_chance_and_baselines_are_grey():
    table = pd.DataFrame(
        {"accuracy": [0.8, 0.4], "low": [0.7, 0.3], "high": [0.9, 0.5], "baseline": [False, True]},
        index=["ELM", "counts"],
    )
    figure = plot_accuracies(table, chance=0.05, n_examples=300)
    ax = figure.axes[0]
    intervals, points, chance = ax.lines[0::2][:2], ax.lines[1::2][:2], ax.lines[-1]
    assert [list(line.get_xdata()) for line in intervals] == [[0.7, 0.9], [0.3, 0.5]]
    assert [line.get_xdata()[0] for line in points] == [0.8, 0.4]
    assert [line.get_color() for line in points] == [style.BLUE, style.GREY]
    assert list(chance.get_xdata()) == [0.05, 0.05]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ELM", "counts"]
    assert "n = 300 test examples" in ax.get_xlabel()
    figure.canvas.draw()
