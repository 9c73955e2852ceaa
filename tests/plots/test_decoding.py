"""Figures of decoding show what they are given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots.decoding import plot_decoding, plot_mean_images, plot_recovered


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_one_panel_per_condition_and_channel():
    images = {"left": np.zeros((3, 6, 4)), "right": np.ones((3, 6, 4))}
    figure = plot_mean_images(
        images, "abc", np.r_[0, np.geomspace(0.2, 2, 5)], np.arange(4.0), {"left": 5, "right": 7}
    )
    panels = figure.axes[:6]
    assert [ax.get_title() for ax in panels[:3]] == ["a", "b", "c"]
    assert "n = 7" in panels[3].get_ylabel()


def test_scores_show_the_first_metric_of_each_target():
    rows = [
        dict(target=target, metric=metric, model=model, score=0.6, low=0.5, high=np.nan)
        | dict(chance=0.5, n=30)
        for target, metric in [("side", "auroc"), ("side", "balanced_accuracy"), ("speed", "r2")]
        for model in ("constant", "linear on means", "cnn")
    ]
    figure = plot_decoding(pd.DataFrame(rows))
    assert [ax.get_xlabel() for ax in figure.axes] == ["AUROC", "R²"]
    assert len(figure.axes[0].get_yticklabels()) == 3


def test_recovered_values_are_drawn_over_the_true_ones():
    truth = {"tau": np.arange(5.0), "frequency": np.arange(5.0)}
    figure = plot_recovered(truth, {"ridge": truth})
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), np.arange(5))
