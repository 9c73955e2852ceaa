from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots import session as plots
from utils.plots.style import GREY, ORANGE


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def neurons():
    return pd.DataFrame(
        {
            "fov": ["FOV_00"] * 3 + ["FOV_01"] * 2,
            "region": ["VISp", "VISp", "VISl", "MOs", "unknown"],
            "ml": [2000.0, 2100, 2200, 800, np.nan],
            "ap": [-3000.0, -2900, -2800, 1000, np.nan],
            "row": [10.0, 20, 30, 40, 50],
            "column": [1.0, 2, 3, 4, 5],
            "cell_probability": [0.9, 0.8, 0.7, np.nan, 0.6],
        }
    )


def all_text(figure):
    return "\n".join(text.get_text() for text in figure.findobj(plt.Text))


def test_availability_counts_and_marks():
    table = pd.DataFrame(
        {
            "dataset": ["times", "F", "times", "QC"],
            "collection": ["FOV_00", "FOV_00", "FOV_01", "FOV_01"],
            "found": [True, True, True, False],
            "required": [True, True, True, False],
            "consequence": "",
        }
    )
    figure = plots.plot_availability(table)
    ax = figure.axes[0]
    assert "3 of 4 found" in all_text(figure)
    assert [t.get_text() for t in ax.texts].count("✓") == 3
    assert [t.get_text() for t in ax.texts].count("–") == 1
    assert ax.collections[0].get_array().shape == (3, 2)  # three data sets, two collections


def test_map_has_units_counts_and_only_cells_with_a_place(neurons):
    figure = plots.plot_fov_map(neurons)
    text = all_text(figure)
    for expected in ("mm from bregma", "n = 4 cells, 2 FOVs", "VISp (2)", "MOs (1)", "FOV_01"):
        assert expected in text
    drawn = np.concatenate([c.get_offsets() for c in figure.axes[0].collections])
    assert len(drawn) == 4
    assert drawn[:, 0].max() == pytest.approx(2.2)  # mm, not µm


def test_map_without_coordinates_says_so(neurons):
    figure = plots.plot_fov_map(neurons.assign(ml=np.nan, ap=np.nan))
    assert "no brain coordinates" in all_text(figure)


def test_mean_images_place_cells_at_column_and_row(neurons):
    figure = plots.plot_mean_images({"FOV_00": np.eye(64)}, neurons)
    offsets = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_array_equal(offsets, [[1, 10], [2, 20], [3, 30]])
    assert "FOV_00: n = 3 cells" in all_text(figure)
    assert "no mean image" in all_text(plots.plot_mean_images({}, neurons))
    plots.plot_mean_images({"FOV_00": np.full((8, 8), np.nan)}, neurons).canvas.draw()


def test_traces_have_a_scale_bar_with_unit_and_break_at_gaps():
    times = np.r_[np.arange(100), np.arange(200, 300)] / 5
    traces = np.random.default_rng(0).normal(size=(200, 3))
    figure = plots.plot_traces(times, traces, ["a", "b", "c"], "dF/F", np.abs(traces))
    ax = figure.axes[0]
    assert "1 dF/F" in all_text(figure)
    assert "deconvolved (scaled per cell)" in all_text(figure)
    assert ax.get_xlabel() == "time (s)"
    assert len(ax.lines) == 4  # three cells, one bar
    assert np.isnan(ax.lines[0].get_ydata()).sum() == 1


@pytest.mark.parametrize("traces", [np.full((50, 2), np.nan), np.zeros((50, 0))])
def test_traces_without_values_say_so(traces):
    figure = plots.plot_traces(np.arange(50.0), traces, ["x"] * traces.shape[1], "dF/F")
    assert "no traces to show" in all_text(figure)


def test_constant_trace_is_drawn():
    figure = plots.plot_traces(np.arange(50.0), np.ones((50, 1)), ["x"], "dF/F")
    figure.canvas.draw()
    heights = figure.axes[0].lines[0].get_ydata()
    assert np.isfinite(heights).all()
    assert np.ptp(heights) == 0


def test_frame_quality_counts_flags_and_names_unchecked_fovs():
    times = {"FOV_00": np.arange(10.0) * 60, "FOV_01": np.arange(8.0) * 60}
    codes = {"FOV_00": np.array([0, 1, 1, 0, 3, 0, 0, 0, 0, 0]), "FOV_01": None}
    bad = {"FOV_00": codes["FOV_00"] == 1, "FOV_01": np.zeros(8, bool)}
    figure = plots.plot_frame_quality(times, codes, bad, {0: "ok", 1: "PMT off"})
    text = all_text(figure)
    for expected in (
        "PMT off (2)",
        "code 3 (1)",
        "excluded as bad (2)",
        "FOV_01 (no QC file)",
        "n = 18 frames",
        "time (min)",
    ):
        assert expected in text
    assert figure.axes[0].get_xlim()[1] == pytest.approx(9, rel=0.1)


def test_sampling_finds_gap_and_delay():
    first = np.r_[np.arange(100), np.arange(500, 600)] / 5.0
    figure = plots.plot_sampling({"FOV_00": first, "FOV_01": first[:-5] + 0.0243})
    text = all_text(figure)
    for expected in ("5.000 Hz", "1 gap", "gap of 80.2 s", "24.3 ms, 195 frames", "(ms)"):
        assert expected in text


def test_rounding_of_regular_times_does_not_fill_the_axis():
    figure = plots.plot_sampling({"plane0": np.arange(2000) / 10})
    low, high = figure.axes[0].get_ylim()
    assert low == pytest.approx(50)  # ms: half the interval
    assert high == pytest.approx(200)
    assert "0 gaps" in all_text(figure)


def test_cell_counts_stack_to_the_number_of_cells(neurons):
    figure = plots.plot_cell_counts(neurons)
    bars = figure.axes[0].patches
    assert sum(bar.get_width() for bar in bars) == 5
    assert "n = 5 cells" in all_text(figure)
    assert "n = 4 cells" in all_text(figure)  # one cell has no probability
    colors = {plt.matplotlib.colors.to_hex(bar.get_facecolor()) for bar in bars}
    assert GREY.lower() in colors  # an area outside all families
    assert ORANGE.lower() not in colors
    figure = plots.plot_cell_counts(neurons.assign(cell_probability=np.nan))
    assert "no classifier output" in all_text(figure)
