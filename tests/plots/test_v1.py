"""Figures of V1 recordings and twins show what they are given, for many, one and missing cells."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots import style, v1_responses, v1_stimuli, v1_twin

RNG = np.random.default_rng(0)
LAGS = np.arange(-12, 37) / 120


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def names(n):
    return [f"cell {k}" for k in range(n)]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


@pytest.mark.parametrize("n_frames", [1, 5, 120])
def test_frames_stand_above_the_gaze_at_their_times(n_frames):
    frames = RNG.integers(0, 255, (n_frames, 11, 21), np.uint8)
    eyepos = RNG.standard_normal((n_frames, 2))
    eyepos[n_frames // 2] = np.nan
    seconds = 3 + np.arange(n_frames) / 120
    figure = v1_stimuli.plot_frames(frames, seconds, eyepos, 10.0, "backimage, trial 7")
    figure.canvas.draw()
    *images, gaze = figure.axes
    assert len(images) == min(n_frames, 8)
    np.testing.assert_array_equal(images[-1].images[0].get_array(), frames[-1])
    np.testing.assert_allclose(images[0].images[0].get_extent(), [-1.05, 1.05, -0.55, 0.55])
    assert images[-1].get_title() == f"{1000 * (n_frames - 1) / 120:.0f} ms"
    np.testing.assert_array_equal(lines(gaze)["elevation"].get_ydata(), eyepos[:, 1])
    assert gaze.get_ylabel() == "gaze (deg)"
    assert style.count(frames=n_frames) in figure.get_suptitle()


@pytest.mark.parametrize(("n_cells", "n_lags"), [(1, 1), (3, 20)])
def test_strips_have_a_row_per_cell_and_a_scale_of_their_own(n_cells, n_lags):
    maps = RNG.standard_normal((n_cells, n_lags, 7, 7))
    maps[0] *= 5
    centres = RNG.uniform(-0.2, 0.2, (n_cells, 2))
    figure = v1_stimuli.plot_strips(
        maps, 8 * np.arange(n_lags), 10.0, names(n_cells), "STA (z)", centres
    )
    figure.canvas.draw()
    shown = min(n_lags, v1_stimuli.MOST_STRIP)
    axes = np.reshape(figure.axes, (n_cells, shown))
    for row, movie in zip(axes, maps[:, :shown]):
        reach = np.abs(movie).max()
        assert row[-1].images[0].get_clim() == pytest.approx((-reach, reach))
        assert row[-1].texts[0].get_text() == f"±{reach:.3g}"
        np.testing.assert_array_equal(row[-1].images[0].get_array(), movie[-1])
    (cross,) = axes[0, 0].lines
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == pytest.approx(tuple(centres[0]))


def test_an_unknown_map_is_empty_and_readable():
    maps = np.full((1, 2, 5, 5), np.nan)
    v1_stimuli.plot_strips(maps, np.arange(2), 10.0, names(1), "STE").canvas.draw()
    fields = v1_stimuli.plot_fields({"noise": maps[:, 0]}, 10.0, names(1), {})
    fields.canvas.draw()


def test_movies_say_when_and_how_well_they_work():
    movies = RNG.uniform(-0.5, 0.5, (2, 33, 9, 9))
    figure = v1_stimuli.plot_most_exciting(
        movies, np.array([80.0, 30]), np.array([1.0, 2]), 120.0, 10.0, names(2)
    )
    figure.canvas.draw()
    axes = np.reshape(figure.axes, (2, 12))
    assert [ax.get_title(loc="center") for ax in axes[0, [0, -1]]] == ["-92 ms", "0 ms"]
    np.testing.assert_array_equal(axes[1, -1].images[0].get_array(), movies[1, -1])
    assert axes[0, -1].texts[0].get_text() == "80 Hz\n(grey: 1.0)"


def test_fields_have_the_centres_of_all_sources():
    maps = {name: RNG.uniform(0, 1, (4, 9, 9)) for name in ("noise", "twin")}
    centres = {"truth": RNG.uniform(-0.3, 0.3, (4, 2)), "noise": np.full((4, 2), np.nan)}
    figure = v1_stimuli.plot_fields(maps, 10.0, names(4), centres)
    figure.canvas.draw()
    assert len(figure.axes) == 8
    assert lines(figure.axes[5])["truth"].get_xdata()[0] == centres["truth"][1, 0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["truth", "noise"]


@pytest.mark.parametrize("n_cells", [1, 4])
def test_rates_are_in_hz_above_the_spikes(n_cells):
    counts = RNG.poisson(0.3, (240, n_cells))
    rates = {"twin": RNG.uniform(0, 1, (240, n_cells)), "truth": np.full((240, n_cells), 0.3)}
    figure = v1_responses.plot_rates(np.arange(240) / 120, counts, rates, 120, names(n_cells))
    figure.canvas.draw()
    assert len(figure.axes) == n_cells
    np.testing.assert_allclose(lines(figure.axes[0])["truth"].get_ydata(), 36)
    assert legend(figure.axes[0]) == ["truth", "twin"]
    assert style.count(spikes=counts[:, -1].sum()) in figure.axes[-1].texts[0].get_text()


def test_missing_rates_and_silent_cells_are_readable():
    nothing = {"twin": np.full((10, 1), np.nan)}
    v1_responses.plot_rates(
        np.arange(10.0), np.zeros((10, 1)), nothing, 120, names(1)
    ).canvas.draw()


@pytest.mark.parametrize(("n_sf", "n_ori"), [(8, 12), (1, 1)])
def test_tuning_has_its_peaks_where_they_belong(n_sf, n_ori):
    sfs, orientations = np.geomspace(1, 12, 8)[:n_sf], np.arange(0, 180, 15.0)[:n_ori]
    means = {"data": RNG.uniform(0, 1, (n_sf, n_ori, 2)), "twin": np.full((n_sf, n_ori, 2), np.nan)}
    figure = v1_responses.plot_tuning(
        means, sfs, orientations, 120, names(2), {"truth": np.array([[2.0, 30], [4, 90]])}
    )
    figure.canvas.draw()
    maps = [ax for ax in figure.axes if ax.collections and ax.get_label() != "<colorbar>"]
    assert len(maps) == 4
    np.testing.assert_allclose(
        np.ravel(maps[1].collections[0].get_array()), 120 * means["data"][..., 1].ravel()
    )
    peak = lines(maps[1])["truth"]
    assert (peak.get_xdata()[0], peak.get_ydata()[0]) == (90, 2)
    assert f"{n_sf * n_ori} grating" in figure.get_suptitle()


def test_saccades_show_data_twin_and_truth_with_their_units():
    curves = RNG.uniform(0.1, 1, (4, 49, 2))
    truth = RNG.uniform(-0.4, 0.4, (49, 2))
    figure = v1_responses.plot_saccades(LAGS, *curves, 120, names(2), 3000, truth)
    figure.canvas.draw()
    above, below = figure.axes[0], figure.axes[2]
    np.testing.assert_allclose(lines(above)["data"].get_ydata(), 120 * curves[0, :, 0])
    np.testing.assert_allclose(lines(below)["truth"].get_ydata(), 100 * truth[:, 0])
    assert figure.get_supxlabel().endswith("(ms), n = 3,000 saccades")
    without = v1_responses.plot_saccades(LAGS, *curves[..., :1], 120, names(1), 3)
    assert "truth" not in lines(without.axes[1])


def quality(n_cells):
    table = pd.DataFrame(
        {
            "rate_hz": RNG.uniform(1, 30, n_cells),
            "missing": RNG.uniform(0, 0.2, n_cells),
            "contamination": np.nan,
            "reliability": RNG.uniform(0, 1, n_cells),
        },
        index=pd.MultiIndex.from_product([["a"], range(n_cells)]),
    )
    return table.assign(flags=np.where(table["missing"] > 0.1, "missing bins", ""))


@pytest.mark.parametrize("n_cells", [1, 24])
def test_quality_orders_cells_by_rate_and_names_their_flags(n_cells):
    table = quality(n_cells)
    table.iloc[0, 3] = np.nan
    figure = v1_responses.plot_quality(table)
    figure.canvas.draw()
    *panels, flags = figure.axes
    assert [ax.get_xlabel() for ax in panels] == [
        v1_responses.QUALITY[c] for c in ("rate_hz", "missing", "reliability") if table[c].any()
    ]
    assert len(flags.texts) == (table["flags"] != "").sum()
    fastest = panels[0].get_yticklabels()[0].get_text()
    assert fastest == f"a {table['rate_hz'].argmax()}"
    assert f"{len(flags.texts)} flagged" in figure.get_suptitle()


def scores(n_cells):
    oracle = RNG.uniform(0.5, 2, n_cells)
    return pd.DataFrame(
        {"oracle": oracle, "twin": 0.8 * oracle, "linear": 0.4 * oracle, "behaviour": 0.05}
    )


def test_scores_stand_beside_oracle_and_floors():
    table = scores(20)
    table.loc[3, "twin"] = np.nan
    figure = v1_twin.plot_scores(table, ("behaviour", "linear"))
    figure.canvas.draw()
    left, right = figure.axes
    assert legend(left)[2] == f"twin (median {table['twin'].median():.2f})"
    assert legend(left)[3] == f"oracle (median {table['oracle'].median():.2f})"
    assert legend(right)[0] == "behaviour: twin better in 100% (n = 19)"
    assert left.get_xlabel() == "oracle: the true rates (bits per spike)"


@pytest.mark.parametrize("n_cells", [1, 20])
def test_scores_of_real_cells_have_no_oracle(n_cells):
    table = scores(n_cells).drop(columns="oracle")
    figure = v1_twin.plot_scores(table)
    figure.canvas.draw()
    assert figure.axes[0].get_xlabel() == "cell, by rank"
    assert "no floors" in figure.axes[1].texts[0].get_text()


def test_recovery_draws_orientations_beside_the_true_ones():
    truth = pd.DataFrame(
        {
            "azimuth": RNG.uniform(-0.3, 0.3, 6),
            "elevation": RNG.uniform(-0.3, 0.3, 6),
            "ori": [2.0, 50, 90, 120, 170, 178],
            "sf": np.geomspace(1.5, 8, 6),
            "f1_f0": [0, 0, 0, 1.2, 1.2, 1.3],
            "is_complex": [True] * 3 + [False] * 3,
        }
    )
    twin = truth.assign(ori=[178.0, 51, 91, 121, 169, 1], azimuth=np.nan)
    figure = v1_twin.plot_recovery(truth, {"twin": twin, "noise": truth[["azimuth", "elevation"]]})
    figure.canvas.draw()
    azimuth, _, ori, sf, _ = figure.axes
    drawn = np.concatenate([line.get_ydata() for line in ori.lines[1:]])
    np.testing.assert_allclose(np.sort(drawn), [-2, 51, 91, 121, 169, 181])
    assert legend(ori) == ["twin: median error 1 (n = 6)"]
    assert legend(sf) == ["twin: median ratio 1 (n = 6)"]
    assert legend(azimuth) == ["twin: median error nan (n = 0)", "noise: median error 0 (n = 6)"]


def test_learning_curves_are_medians_over_cells():
    rows = [
        {"model": model, "minutes": minutes, "fraction": k / 10 + minutes / 100}
        for model in ("small", "large")
        for minutes in (5, 10, 40)
        for k in range(5)
    ]
    figure = v1_twin.plot_learning_curve(pd.DataFrame(rows))
    figure.canvas.draw()
    (ax,) = figure.axes
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.25, 0.3, 0.6])
    assert legend(ax) == ["small (n = 5 cells)", "large (n = 5 cells)"]
    one = pd.DataFrame([{"model": "small", "minutes": 20.0, "fraction": 0.5}])
    v1_twin.plot_learning_curve(one).canvas.draw()
