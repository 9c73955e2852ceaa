"""Figures of a session's connectivity: what they mark, count and leave out."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots.connectivity_session import (
    plot_area_blocks,
    plot_block_truth,
    plot_halves,
    plot_rollout,
)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def blocks(strength=0.1):
    pairs = [(to, of) for to in ("VISp", "MOs") for of in ("VISp", "MOs")]
    table = pd.DataFrame(pairs, columns=["to", "from"])
    return table.assign(
        n_pairs=[12, 20, 20, 20],
        strength=[3.0, strength, -strength, 0.0],
        z=1.0,
        p=[0.01, 0.01, 0.01, 0.5],
        p_corrected=[0.01, 0.01, 0.2, 0.9],
    )


def test_blocks_have_stars_dots_and_counts():
    figure = plot_area_blocks({"other labels": blocks(), "another time": blocks()})
    ax = figure.axes[0]
    marks = [text.get_text() for text in ax.texts]
    assert marks == ["*", "*", "·", ""]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["VISp (4)", "MOs (5)"]
    assert [a.get_title(loc="left") or a.get_title() for a in figure.axes[:2]] == [
        "chance: other labels",
        "chance: another time",
    ]
    assert ax.images[0].get_clim() == (-0.1, 0.1)  # of blocks between areas


def test_blocks_that_are_all_zero_have_a_scale():
    ax = plot_area_blocks({"x": blocks(0.0)}).axes[0]
    assert ax.images[0].get_clim() == (-1, 1)


def test_halves_say_r_and_n():
    rng = np.random.default_rng(0)
    first = rng.standard_normal((60, 60))
    figure = plot_halves((first, first + rng.standard_normal((60, 60))), (np.r_[1:4], np.r_[1:4]))
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes[:2]]
    assert titles == ["weights: r = 0.70", "blocks between areas: r = 1.00"]
    assert figure.axes[0].texts[0].get_text() == "n = 3,540 pairs"


def test_halves_without_blocks_or_weights():
    figure = plot_halves((np.zeros((3, 3)), np.zeros((3, 3))))
    assert len(figure.axes) == 1


def test_rollouts_name_models_also_below_the_axis():
    rows = [
        {"model": name, "horizon": h, "seconds": h / 5, "r2": value / h, "baseline": base}
        for name, value in (("gnn", 0.2), ("ar16", 0.19), ("persistence", -2.0))
        for h in range(1, 5)
        for base in ("mean", "ar16")
    ]
    ax = plot_rollout(pd.DataFrame(rows), cells=1, windows=1200).axes[0]
    assert "n = 1 cell, 1,200 windows" in (ax.get_title(loc="left") or ax.get_title())
    names = [text.get_text() for text in ax.texts]
    assert sorted(names) == ["ar16", "gnn", "persistence (-0.50)"]
    assert ax.get_ylim()[0] > -0.2
    assert len(ax.lines) == 4  # three models and zero


def test_truth_tells_coupled_pairs_apart():
    pairs = pd.DataFrame(
        {"to": "a", "from": "b", "strength": [0.1, 0.0, -0.1], "coupling": [0.5, 0.0, -0.5]}
    )
    (legend,) = plot_block_truth(pairs).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "not coupled, n = 1",
        "coupled, n = 2",
    ]
