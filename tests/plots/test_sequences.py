"""Ways through images, and bits per character, are drawn as they are."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots.sequences import plot_bits_per_character, plot_readings


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_each_reading_has_a_panel_with_its_way():
    way = np.array([[0, 0], [0, 2], [2, 2]])
    figure = plot_readings(np.eye(3), {"there": way, "back": way[::-1]})
    there, back = figure.axes
    assert there.lines[0].get_xydata().tolist() == [[0, 0], [2, 0], [2, 2]]  # column, row
    assert there.collections[0].get_array().tolist() == [0, 1, 2]
    assert back.get_title() == "back (3 steps)"
    figure.canvas.draw()


def test_bits_stand_beside_their_references():
    curves = pd.DataFrame(
        {
            "epoch": [0, 1],
            "train_bits_per_character": [3.0, 1.5],
            "validation_bits_per_character": [2.0, 1.0],
        }
    )
    ax = plot_bits_per_character(curves, {"truth": 0.5, "pairs": 2.5}, 1234).axes[0]
    train, validation, truth, pairs = ax.lines
    assert validation.get_xydata().tolist() == [[1, 2], [2, 1]]
    assert train.get_ydata().tolist() == [3, 1.5]
    assert [line.get_ydata()[0] for line in (truth, pairs)] == [0.5, 2.5]
    assert [text.get_text() for text in ax.texts] == ["truth: 0.50", "pairs: 2.50"]
    assert "n = 1,234 characters" in ax.get_ylabel()
    ax.figure.canvas.draw()
