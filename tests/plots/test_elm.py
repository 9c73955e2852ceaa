"""Figures of ELM neurons show what they were given, for long, short, silent and tiny ones."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots import elm as plots
from utils.plots import style


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def spikes(n_time=200, n_inhibitory=20, rng=None):
    """(time, 50): excitatory inputs first."""
    rng = rng or np.random.default_rng(0)
    inputs = (rng.random((n_time, 50)) < 0.05).astype(np.int8)
    inputs[:, 50 - n_inhibitory :] *= -1
    return inputs


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("n_time", [7, 500, 2000])
def test_prediction_shows_input_spikes_and_voltage_over_ms(n_time):
    times, inputs = 500.0 + np.arange(n_time), spikes(n_time)
    true_spikes = np.zeros(n_time)
    true_spikes[[0, n_time // 2]] = 1
    voltage = -67 + np.sin(times)
    figure = plots.plot_prediction(
        times, inputs, np.linspace(0, 0.5, n_time), true_spikes, voltage, voltage + 0.25
    )
    figure.canvas.draw()
    raster, probability, soma = figure.axes
    assert legend(raster) == [
        f"excitatory spikes (n = {(inputs > 0).sum():,})",
        f"inhibitory spikes (n = {(inputs < 0).sum():,})",
    ]
    for line, sign in zip(raster.lines, (1, -1)):
        drawn = np.zeros_like(inputs)
        drawn[line.get_xdata().astype(int) - 500, line.get_ydata()] = sign
        np.testing.assert_array_equal(drawn, np.where(inputs == sign, sign, 0))
    np.testing.assert_array_equal(probability.lines[1].get_xdata(), times[true_spikes > 0])
    np.testing.assert_array_equal(soma.lines[0].get_ydata(), voltage + 0.25)
    np.testing.assert_array_equal(soma.lines[1].get_ydata(), voltage)
    assert (soma.get_xlabel(), soma.get_ylabel()) == ("time (ms)", "soma (mV)")
    frames = style.count(frames=n_time)
    assert figure.get_suptitle() == f"{frames}, 50 inputs; RMSE of the voltage 0.25 mV"


@pytest.mark.parametrize("n_time", [1, 100])
def test_a_window_without_any_spike_is_readable(n_time):
    zeros = np.zeros(n_time)
    figure = plots.plot_prediction(np.arange(1.0 * n_time), np.zeros((n_time, 50)), *[zeros] * 4)
    figure.canvas.draw()
    assert legend(figure.axes[0]) == ["spikes (n = 0)"]
    assert legend(figure.axes[1]) == ["true spikes (n = 0)"]
    assert figure.axes[1].get_ylim()[1] == pytest.approx(0.1)


def test_inputs_that_are_hardly_ever_zero_are_an_image():
    activity = np.random.default_rng(0).normal(size=(60, 5))
    outputs = np.zeros((60, 1))
    figure = plots.plot_outputs(np.arange(60.0), activity, outputs, outputs, unit="frames")
    (image,) = figure.axes[0].images
    np.testing.assert_allclose(image.get_array(), activity.T, rtol=1e-6)
    assert figure.axes[-1].get_ylabel() == "input"  # of the colour bar
    assert not plots.plot_outputs(np.arange(60.0), spikes(60), outputs, outputs).axes[0].images


@pytest.mark.parametrize("n_output", [1, 3, 12])
def test_outputs_stand_beside_their_targets(n_output):
    outputs = np.random.default_rng(0).normal(size=(60, n_output))
    figure = plots.plot_outputs(np.arange(60.0), spikes(60), outputs, -outputs, unit="s")
    rows = figure.axes[1:]
    assert len(rows) == min(n_output, 4)
    np.testing.assert_array_equal(rows[-1].lines[0].get_ydata(), -outputs[:, len(rows) - 1])
    np.testing.assert_array_equal(rows[-1].lines[1].get_ydata(), outputs[:, len(rows) - 1])
    assert f"{len(rows)} of {n_output} outputs" in figure.get_suptitle()
    assert rows[-1].get_xlabel() == "time (s)"


@pytest.mark.parametrize("labels", [np.array(3), np.arange(40) // 10])
def test_true_classes_are_marked_in_the_probabilities(labels):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(20), 40)
    figure = plots.plot_class_probabilities(np.arange(40.0), spikes(40, 0), probabilities, labels)
    ax = figure.axes[1]
    np.testing.assert_allclose(ax.images[0].get_array(), probabilities.T, rtol=1e-6)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), np.broadcast_to(labels, 40))
    assert legend(figure.axes[0])[0].startswith("spikes (n = ")  # none is inhibitory


@pytest.mark.parametrize(("n_branch", "n_memory"), [(45, 100), (1, 1), (1278, 3)])
def test_memory_is_ordered_by_time_constant(n_branch, n_memory):
    rng = np.random.default_rng(0)
    tau = rng.permutation(np.geomspace(1, 1000, n_memory))
    memory = np.ones((30, 1)) * tau * np.sign(np.sin(tau))
    figure = plots.plot_states(np.arange(30.0), rng.normal(size=(30, n_branch)), memory, tau)
    figure.canvas.draw()
    branches, states = figure.axes[:2]
    np.testing.assert_array_equal(
        states.images[0].get_array()[:, 0], np.sign(np.sin(np.sort(tau)))
    )  # relative to the largest of each unit
    labels = [float(text.get_text()) for text in states.get_yticklabels()]
    assert labels == sorted(labels)
    assert labels[0] == pytest.approx(1)
    assert labels[-1] == pytest.approx(tau.max())
    assert states.get_ylabel() == "time constant (ms)"
    assert branches.get_title() == f"n = {n_branch:,} branch{'es' if n_branch > 1 else ''}"


def test_states_that_stay_zero_are_shown():
    plots.plot_states(np.arange(5.0), np.zeros((5, 2)), np.zeros((5, 2)), np.ones(2))


def test_dead_synapses_are_counted_by_branch_and_unconnected_ones_are_not():
    w_s = np.array([[0.0, 0.5, 1.0, 0.0], [0.3, np.nan, np.nan, np.nan], [np.nan] * 4])
    figure = plots.plot_parameters(np.array([20.0, 1.0, 5.0]), w_s)
    taus, weights, branches, dead = figure.axes
    np.testing.assert_array_equal(taus.lines[0].get_ydata(), [1, 5, 20])
    assert "n = 3 living of 5" in weights.get_title()
    assert sum(bar.get_height() for bar in weights.patches) == 3
    np.testing.assert_allclose(branches.lines[0].get_ydata(), [0.25, 0.3])
    assert branches.get_title().endswith("n = 2 branches")
    assert [bar.get_height() for bar in dead.patches] == [50, 0, 0]
    assert "n = 2 of 5" in dead.get_title()


def test_time_constants_within_a_narrow_range_have_a_linear_axis():
    w_s = np.ones((1, 3))
    assert plots.plot_parameters(np.array([2.0]), w_s).axes[0].get_yscale() == "linear"
    assert plots.plot_parameters(np.array([2.0, 20]), w_s).axes[0].get_yscale() == "log"


def dynamics(n_epochs):
    rows = []
    for epoch in range(n_epochs):
        row = {"epoch": epoch, "dead_synapses": 0.1 * epoch}
        row |= {"n_memory": 7, "n_updates": 800, "n_synapses": 90}
        for column, size in (("tau_m", 100), ("activity", 2), ("saturation", 0.3)):
            row |= {f"{column}_{name}": size * (0.1 + q) for name, q in plots.QUANTILES.items()}
        rows.append(row)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("n_epochs", [1, 2, 30])
def test_memory_dynamics_follow_the_epochs(n_epochs):
    figure = plots.plot_memory_dynamics(dynamics(n_epochs))
    figure.canvas.draw()
    taus, _, saturation, dead = figure.axes
    np.testing.assert_array_equal(dead.lines[0].get_xdata(), np.arange(n_epochs) + 1)
    np.testing.assert_allclose(dead.lines[0].get_ydata(), 10 * np.arange(n_epochs))  # percent
    np.testing.assert_allclose(taus.lines[0].get_ydata(), 60)
    np.testing.assert_allclose(saturation.lines[0].get_ydata(), 18)  # percent
    assert saturation.dataLim.ymax == pytest.approx(33)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0] == "n = 7 memory units"
    assert titles[2:] == ["n = 800 updates of each unit", "n = 90 synapses"]
    shown = [tick for tick in dead.get_xticks() if dead.get_xlim()[0] <= tick]
    assert all(float(tick).is_integer() for tick in shown)


def test_a_single_cell_has_a_bar_per_area_in_the_usual_order():
    weights = pd.DataFrame({"MOs": [0.2], "VISp": [0.7]}, index=[12])
    ax = plots.plot_receptive_profile(weights, {"MOs": 30, "VISp": 5}).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [0.7, 0.2]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["VISp\nn = 5", "MOs\nn = 30"]
    assert ax.get_title() == "Inputs of cell 12"


def test_several_cells_are_compared_by_shares():
    weights = pd.DataFrame({"VISp": [1.0, 0.0], "behaviour": [3.0, 0.0]}, index=["a", "b"])
    ax = plots.plot_receptive_profile(weights, {"VISp": 5, "behaviour": 1}).axes[0]
    shares = np.ma.filled(ax.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(shares, [[25, 75], [np.nan, np.nan]])  # b: no input at all
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_title().endswith("n = 2 cells")
