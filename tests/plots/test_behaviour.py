from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.metrics.behaviour import psychometric, reaction_times, standard_trials
from utils.plots import behaviour as plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def trials():
    rng = np.random.default_rng(0)
    n = 120
    left = rng.random(n) < 0.5
    contrast = rng.choice([0, 0.0625, 0.25, 1.0], n)
    choice = np.where(left, 1, -1) * np.where(rng.random(n) < 0.8, 1, -1)
    return standard_trials(
        pd.DataFrame(
            {
                "stimOn_times": np.arange(n) * 5.0,
                "firstMovement_times": np.arange(n) * 5.0 + rng.lognormal(-1, 0.4, n),
                "contrastLeft": np.where(left, contrast, np.nan),
                "contrastRight": np.where(left, np.nan, contrast),
                "probabilityLeft": np.repeat([0.5, 0.2, 0.8], n // 3),
                "choice": choice,
                "feedbackType": np.where((choice == 1) == left, 1, -1),
            }
        )
    )


NOTHING = standard_trials(pd.DataFrame())


def all_text(figure):
    return "\n".join(text.get_text() for text in figure.findobj(plt.Text))


def test_psychometric_has_one_curve_and_n_per_block(trials):
    figure = plots.plot_psychometric(psychometric(trials, by="probabilityLeft"))
    text = all_text(figure)
    for block in ("0.2", "0.5", "0.8"):
        assert f"P(left) = {block}, n = 40 trials" in text
    assert "contrast (%" in text
    curve = figure.axes[0].lines[2]  # after the two guide lines
    assert set(curve.get_xdata()) <= {-100, -25, -6.25, 0, 6.25, 25, 100}
    assert (curve.get_ydata() >= 0).all()


def test_blocks_show_running_performance(trials):
    figure = plots.plot_blocks(trials)
    assert "n = 120 trials" in all_text(figure)
    correct = figure.axes[0].lines[1].get_ydata()
    assert correct[-1] == pytest.approx((trials.feedbackType[-20:] > 0).mean())
    assert "mean of 20 trials" in all_text(figure)


def test_reaction_times_have_median_units_and_counts(trials):
    times, name = reaction_times(trials)
    figure = plots.plot_reaction_times(times, trials, name)
    text = all_text(figure)
    assert "stimulus to first movement (s)" in text
    assert "n = 120 trials" in text
    assert f"error, n = {(trials.feedbackType < 0).sum()} trials" in text
    assert figure.axes[0].lines[0].get_xdata()[0] == pytest.approx(np.median(times))


def test_around_event_draws_mean_error_and_zero_line():
    lags = np.arange(-2, 5) / 5
    values = np.random.default_rng(0).normal(size=(30, 7))
    values[0] = np.nan
    figure = plots.plot_around_event(
        {"left": values, "right": np.full((4, 7), np.nan)},
        lags,
        event="stimulus",
        ylabel="pupil (px)",
        title="Pupil",
    )
    ax = figure.axes[0]
    assert "left, n = 29 trials" in all_text(figure)
    assert "right" not in all_text(figure)  # nothing to draw, so no line and no n
    np.testing.assert_allclose(ax.lines[1].get_ydata(), np.nanmean(values, axis=0))
    assert ax.get_xlabel() == "time after stimulus (s)"
    assert len(ax.collections) == 1


def test_area_responses_have_a_panel_per_area():
    lags = np.arange(-2, 5) / 5
    values = np.ones((6, 7))
    responses = {area: {"left": values} for area in ("VISp", "VISl", "RSPd", "MOs", "MOp")}
    counts = dict.fromkeys(responses, 7)
    figure = plots.plot_area_responses(
        responses, lags, counts, event="stimulus", ylabel="dF/F", title="Responses"
    )
    text = all_text(figure)
    assert "MOp, n = 7 cells" in text
    assert "left, n = 6 trials" in text
    assert sum(ax.axison for ax in figure.axes) == 5


def test_event_rates_are_steps_with_n():
    rates = {"reward": (np.array([0.0, 4, 2]), 9)}
    figure = plots.plot_event_rates(
        rates, np.arange(4) / 2, event="feedback", ylabel="licks per second", title="Licks"
    )
    assert "reward, n = 9 events" in all_text(figure)
    np.testing.assert_array_equal(figure.axes[0].patches[0].get_data().values, [0, 4, 2])


def test_without_trials_all_figures_say_so():
    times, name = reaction_times(NOTHING)
    lags = np.arange(-2, 3) / 5
    none = np.zeros((0, 5))
    common = {"event": "stimulus", "ylabel": "y", "title": "t"}
    expected = {
        "no trials with a choice": plots.plot_psychometric(
            psychometric(NOTHING, by="probabilityLeft")
        ),
        "no trials": plots.plot_blocks(NOTHING),
        "no reaction times": plots.plot_reaction_times(times, NOTHING, name),
        "no trials to show": plots.plot_around_event({}, lags, **common),
        "nothing to show": plots.plot_event_rates({}, lags, **common),
        "no area to show": plots.plot_area_responses({}, lags, {}, **common),
    }
    for text, figure in expected.items():
        figure.canvas.draw()
        assert text in all_text(figure)
    figure = plots.plot_area_responses({"VISp": {"a": none}}, lags, {"VISp": 1}, **common)
    figure.canvas.draw()
    assert "no trials to show" in all_text(figure)
