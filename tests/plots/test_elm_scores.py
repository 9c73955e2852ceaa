"""Scores of ELM neurons stand beside the published ones, and errors are not flattered."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots import elm_scores as plots


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def scores(**changes):
    row = {"name": "here", "num_memory": 20, "parameters": 8002, "auc": 0.97, "rmse_mv": 0.8}
    return pd.DataFrame([{**row, "simulations": 128, **changes}])


def test_published_figures_are_the_reference():
    figure = plots.plot_scores_by_size(pd.concat([scores(), scores(parameters=900)]))
    auc, rmse = figure.axes
    for ax, column, here in ((auc, "auc", 0.97), (rmse, "rmse_mv", 0.8)):
        published, ours = ax.lines[1:]
        assert published.get_label() == "published (official test set)"
        expected = [getattr(score, column) for score in plots.PUBLISHED]
        np.testing.assert_array_equal(published.get_ydata(), expected)
        np.testing.assert_array_equal(ours.get_xdata(), [900, 8002])
        np.testing.assert_array_equal(ours.get_ydata(), here)
        assert ours.get_label() == "here (n = 128 simulations)"
    assert auc.texts[0].get_text() == "1"  # memory unit of the smallest
    figure.canvas.draw()


def test_published_sizes_are_those_of_the_neurons():
    by_memory = {score.num_memory: score.parameters for score in plots.PUBLISHED}
    for n, parameters in by_memory.items():
        perceptron = (45 + n + 1) * 2 * n + (2 * n + 1) * n
        assert parameters == 4500 + perceptron + 2 * (n + 1)


@pytest.mark.parametrize("auc", [0.55, 0.999, np.nan])
def test_scores_far_from_the_published_ones_are_shown(auc):
    figure = plots.plot_scores_by_size(scores(auc=auc, rmse_mv=4.0))
    figure.canvas.draw()
    low, high = figure.axes[0].get_ylim()
    assert np.isnan(auc) or low < auc < high
    assert figure.axes[1].get_ylim()[1] > 4


def test_calibrated_probabilities_lie_on_the_diagonal():
    rng = np.random.default_rng(0)
    probability = np.clip(10 ** rng.normal(-3, 1, (4, 50_000)), 0, 1)
    spikes = rng.random(probability.shape) < probability
    voltage = rng.normal(size=probability.shape)
    figure = plots.plot_errors(probability, spikes, voltage + 0.5, voltage)
    left, right = figure.axes
    points = left.lines[2]
    np.testing.assert_allclose(points.get_ydata(), points.get_xdata(), rtol=0.35)
    assert np.ptp(np.log10(points.get_xdata())) > 2
    assert right.get_title() == "Voltage: bias +0.50 mV, RMSE 0.50 mV"
    assert sum(bar.get_height() for bar in right.patches) == probability.size
    assert f"n = {probability.size:,}" in right.get_ylabel()


def test_predicted_spikes_that_never_come_are_marked():
    probability = np.r_[np.full(1000, 0.01), np.full(100, 0.9)]
    spikes = np.r_[np.arange(1000) < 40, np.zeros(100)]
    left = plots.plot_errors(probability, spikes, spikes, spikes).axes[0]
    seen, never = left.lines[2:]
    assert never.get_xdata() == pytest.approx(0.9)
    assert seen.get_xdata().max() < 0.9


@pytest.mark.parametrize(("probability", "spike"), [(0.1, 0), (0.0, 1), (0.0, 0)])
def test_without_spikes_there_is_nothing_to_compare(probability, spike):
    ones = np.ones(10)
    figure = plots.plot_errors(probability * ones, spike * ones, ones, ones)
    assert "no true or no predicted spikes" in figure.axes[0].texts[0].get_text()
    figure.canvas.draw()


@pytest.mark.parametrize("n", [2, 19, 20])
def test_confusion_is_in_percent_of_the_true_class(n):
    matrix = np.zeros((n, n), int)
    matrix[0, :2] = 30, 10
    matrix[1, 1] = 40
    ax = plots.plot_confusion(matrix, [f"digit {k}" for k in range(n)]).axes[0]
    percent = np.ma.filled(ax.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(percent[:2, :2], [[75, 25], [0, 100]])
    assert np.isnan(percent[2:]).all()  # no examples
    assert [text.get_text() for text in ax.texts] == ["75", "25", "100"]
    assert ax.get_title() == "87.5% right, n = 80 examples"
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true", "answered")
