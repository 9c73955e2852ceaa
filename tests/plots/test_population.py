from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.metrics.population import area_groups, grouped_correlation, pca_spectrum
from utils.plots import population as plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def all_text(figure):
    return "\n".join(text.get_text() for text in figure.findobj(plt.Text))


@pytest.mark.parametrize("n_cells", [1, 40])
def test_raster_has_labels_gap_colour_bar_and_all_time(n_cells):
    rng = np.random.default_rng(0)
    activity = rng.normal(size=(1200, n_cells))
    activity[500:520] = np.nan
    times = np.arange(1200) / 5
    times[800:] += 90
    areas = ["VISp", "MOs"] * (n_cells // 2) or ["VISp"]
    figure = plots.plot_sorted_raster(
        times, activity, np.arange(n_cells), areas, {"pupil (px)": times}, "Raster"
    )
    figure.canvas.draw()
    text = all_text(figure)
    for expected in ("Raster, n = ", "pupil (px)", "activity (z-score)", "VISp", "time (min:s"):
        assert expected in text
    raster = figure.axes[0]
    assert raster.images[0].get_extent() == [0, 1200, n_cells, 0]
    assert raster.get_xlim() == (0, 1200)
    assert 800 in [line.get_xdata()[0] for line in raster.lines]


@pytest.mark.parametrize("fill", [np.nan, 3.0])
def test_raster_of_nothing_and_of_constants(fill):
    activity = np.full((50, 2), fill)
    figure = plots.plot_sorted_raster(np.arange(50) / 5, activity, [0, 1], ["a", "b"], {}, "Raster")
    figure.canvas.draw()
    assert "n = 2 cells" in all_text(figure)


def test_spectrum_marks_the_effective_ranks():
    spectrum = np.array([0.6, 0.3, 0.05, 0.03, 0.02])
    figure = plots.plot_spectrum(spectrum, np.full((3, 5), 0.2), 700)
    text = all_text(figure)
    for expected in ("90%: 2 axes", "99%: 5 axes", "n = 5 cells, 700 time bins", "variance"):
        assert expected in text
    recorded, chance = figure.axes[0].lines[:2]
    np.testing.assert_array_equal(recorded.get_ydata(), spectrum)
    np.testing.assert_allclose(chance.get_ydata(), 0.2)


def test_spectrum_of_one_cell_and_of_constants():
    one = pca_spectrum(np.random.default_rng(0).normal(size=(30, 1)))
    plots.plot_spectrum(one, one[None], 30).canvas.draw()
    constant = pca_spectrum(np.ones((30, 3)))
    figure = plots.plot_spectrum(constant, constant[None], 30)
    figure.canvas.draw()
    assert "all cells are constant" in all_text(figure)


def test_distance_curve_has_chance_and_pairs_per_bin():
    table = pd.DataFrame(
        {
            "low": [0.0, 100, 200],
            "high": [100.0, 200, 400],
            "correlation": [0.3, np.nan, 0.1],
            "n_pairs": [1500, 0, 20],
            "chance_low": [-0.01, np.nan, -0.02],
            "chance_high": [0.01, np.nan, 0.02],
        }
    )
    figure = plots.plot_correlation_by_distance(table)
    text = all_text(figure)
    for expected in ("µm", "n = 1,520 pairs", "1,500", "chance"):
        assert expected in text
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), [50, 300])
    figure = plots.plot_correlation_by_distance(table[table.n_pairs == 0])
    assert "no pairs of cells" in all_text(figure)


def test_area_matrix_is_symmetric_and_marks_chance():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(400, 1))
    activity = np.hstack([shared + 0.5 * rng.normal(size=(400, 5)), rng.normal(size=(400, 5))])
    names = ["VISp", "MOs"]
    groups = area_groups(["VISp"] * 5 + ["MOs"] * 5, names)
    table = grouped_correlation(activity, groups, 4, n_shifts=20, min_shift=20)
    figure = plots.plot_correlation_by_area(table, names)
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(image, image.T)
    assert image[0, 0] > 0.6
    assert image[0, 1] == pytest.approx(np.corrcoef(activity.T)[:5, 5:].mean())
    assert "n = 45 pairs" in all_text(figure)
    assert "mean correlation" in all_text(figure)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "."]
    inside = table.correlation.between(table.chance_low, table.chance_high).to_numpy()
    assert len(dots) == (inside | inside.reshape(2, 2).T.ravel()).sum()
    assert not inside[0]


def test_state_relation_has_r_and_n():
    times = np.r_[np.arange(100), np.arange(200, 300)] * 1.0
    state = np.sin(times / 9)
    values = np.array([0.5, np.nan, -0.2])
    figure = plots.plot_state_relation(times, state, "pupil", 2 * state, values, values / 5)
    text = all_text(figure)
    for expected in ("r = 1.00", "n = 2 cells", "n = 200 time bins", "correlation with pupil"):
        assert expected in text
    counted = sum(patch.get_height() for patch in figure.axes[1].patches)
    assert counted == 4  # two histograms of two finite values
