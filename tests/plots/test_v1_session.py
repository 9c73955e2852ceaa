import numpy as np
import pandas as pd
import pytest

from utils.plots.v1_session import plot_contrasts, plot_screen, plot_session_fields


def test_frames_lie_in_degrees():
    figure = plot_screen(np.full((3, 30, 20), 127, np.uint8), ["a", "b", "c"], 0.25)
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c"]
    assert figure.axes[0].get_xlim() == (-40, 40)
    assert figure.axes[0].get_ylim() == (-60, 60)


def test_estimates_stand_against_the_truth():
    truth = pd.DataFrame({"azimuth": [0.0, 10], "elevation": [-5.0, 5]})
    figure = plot_session_fields({"noise": truth + 1, "twin": truth}, truth)
    for ax, axis in zip(figure.axes, ("azimuth", "elevation")):
        _, noise, twin = ax.lines
        np.testing.assert_array_equal(twin.get_ydata(), truth[axis])
        np.testing.assert_array_equal(noise.get_ydata(), truth[axis] + 1)
        assert ax.get_xlabel() == f"true {axis} (deg)"
    assert "n = 2" in figure.get_suptitle()


def test_contrast_responses_are_relative_to_full_contrast():
    table = pd.DataFrame({"c0": [0.0, 0, 0], "c0.25": [1.0, 2, 5], "c1": [2.0, 8, 0]})
    (ax,) = plot_contrasts({"truth": table, "twin": 3 * table}).axes
    for line in ax.lines:
        assert line.get_ydata()[1] == pytest.approx((0.5 + 0.25) / 2)  # no response: no share
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "25", "100"]
