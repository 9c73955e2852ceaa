"""Figures of preprocessing: they draw what they are given, also when it is odd."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots.preprocessing import (
    plot_baselines,
    plot_covariates,
    plot_dff_distributions,
    plot_excluded,
    plot_quality,
    plot_scaling,
    plot_shared_frames,
    plot_splits,
)
from utils.splits import PASSIVE, TEST, TRAIN, UNUSED, VALIDATION

TIMES = np.r_[np.arange(300) * 0.2, 100 + np.arange(100) * 0.2]
LABELS = np.repeat([TRAIN, UNUSED, VALIDATION, TEST, PASSIVE], [150, 20, 60, 70, 100])
ACTIVITY = np.random.default_rng(0).standard_normal((400, 6))


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def legend_texts(figure) -> str:
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    return " ".join(t.get_text() for legend in legends if legend for t in legend.get_texts())


def test_baselines_break_at_gaps():
    figure = plot_baselines(
        TIMES, ACTIVITY[:, :2], {"percentile": ACTIVITY[:, :2]}, ["a", "b"], np.ones(2)
    )
    assert [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert np.isnan(figure.axes[0].lines[0].get_ydata()).sum() == 1


def test_dff_range_is_told():
    figure = plot_dff_distributions({"naive": np.array([-300.0, 0, 900, np.nan])})
    assert "naive: -300 .. 900" in legend_texts(figure)
    empty = plot_dff_distributions({"nothing": np.full(3, np.nan)})
    assert "no value" in empty.axes[0].texts[0].get_text()


def test_quality_counts_floored_cells_and_does_without_a_baseline():
    quality = pd.DataFrame(
        {
            "noise_level": [1.0, 2, np.nan],
            "snr": [3.0, 4, 5],
            "baseline": [300.0, -20, 100],
            "baseline_floor": [90.0, 100, 80],
            "baseline_floored": [False, True, False],
        }
    )
    assert "floor is the denominator (1)" in legend_texts(plot_quality(quality))
    texts = plot_quality(quality[["noise_level", "snr"]]).axes[2].texts
    assert "no baseline" in texts[0].get_text()


def test_excluded_sums_reasons():
    excluded = pd.DataFrame(
        [("frame", "FOV_00", "bad frame", 4), ("frame", "FOV_01", "bad frame", 3)],
        columns=["kind", "item", "reason", "count"],
    )
    ax = plot_excluded(excluded).axes[0]
    assert [patch.get_width() for patch in ax.patches] == [7]
    assert "nothing" in plot_excluded(excluded[:0]).axes[0].texts[0].get_text()


def test_splits_tell_the_frames_of_each_block():
    mask = np.ones(400, bool)
    mask[10:12] = False
    activity = ACTIVITY.copy()
    activity[50] = np.nan
    texts = legend_texts(plot_splits(TIMES, LABELS, mask, activity))
    for text in ("train (150", "validation (60", "test (70", "passive (100", "unused (20"):
        assert text in texts


def test_scaling_sorts_neurons_by_training_amplitude():
    figure = plot_scaling(ACTIVITY * np.arange(6, 0, -1), ACTIVITY, LABELS)
    high = figure.axes[0].lines[0].get_ydata()
    assert (np.diff(high) >= 0).all()
    assert "n = 6 neurons" in figure.axes[0].get_xlabel()


def test_covariates_show_a_stretch_only():
    names = ["wheel_velocity", "stimulus_left_100pct", "stimulus_right_100pct", "trial_phase"]
    figure = plot_covariates(TIMES, ACTIVITY[:, :4], names, (10, 20))
    shown = figure.axes[0].lines[0].get_xdata()
    assert shown.min() >= 10
    assert shown.max() <= 20
    assert len(figure.axes) == 3  # two lines, one strip of stimuli


def test_shared_frames_tell_the_mean():
    figure = plot_shared_frames({"random": np.ones(5), "blocks": np.zeros(5)}, 64)
    assert "random: mean 100%" in legend_texts(figure)
    assert "blocks: mean 0%" in legend_texts(figure)
