"""Figures of connectivity and rollouts show what they are given, for many, one and bad neurons."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from utils.plots import connectivity, network_dynamics, style

N = 12
TYPES = np.repeat([0, 1, 2], 4)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def weights(rng):
    weights = rng.standard_cauchy((N, N))
    np.fill_diagonal(weights, 0)
    return weights


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_weights_share_a_scale_that_outliers_do_not_set(weights):
    learned = weights.copy()
    weights[0, 1] = 1e4
    figure = connectivity.plot_weights(weights, learned, TYPES)
    figure.canvas.draw()
    images = [ax.images[0] for ax in figure.axes[:3]]
    off = ~np.eye(N, dtype=bool)
    limit = np.percentile(np.abs(weights[off]), 99)
    assert {image.get_clim() for image in images} == {(-limit, limit)}
    assert limit < 1e4
    np.testing.assert_array_equal(images[1].get_array(), learned)
    np.testing.assert_array_equal(images[2].get_array(), learned - weights)
    assert [line.get_ydata()[0] for line in figure.axes[0].lines[::2]] == [3.5, 7.5]


def test_mixed_types_have_no_borders_and_no_weights_no_colour(weights):
    figure = connectivity.plot_weights(weights, weights, TYPES[::-1].reshape(3, 4).T.ravel())
    assert not figure.axes[0].lines
    connectivity.plot_weights(np.zeros((N, N)), weights).canvas.draw()


@pytest.mark.parametrize("many", [False, True])
def test_the_scatter_states_its_scores(weights, many, monkeypatch):
    monkeypatch.setattr(connectivity, "MOST_POINTS", 10 if many else 10_000)
    figure = connectivity.plot_weight_scatter(weights, 2 * weights, np.abs(weights))
    figure.canvas.draw()
    assert "R2 = 1.0000" in figure.get_suptitle()
    assert "slope 2.000" in legend(figure.axes[1])
    assert "95 % interval" in legend(figure.axes[1])
    assert bool(figure.axes[0].collections) is many
    left, right = (ax.get_xlim()[1] for ax in figure.axes[:2])
    assert right < left


def test_a_diverged_fit_can_be_drawn(weights):
    learned = np.full((N, N), np.nan)
    for figure in (
        connectivity.plot_weights(weights, learned),
        connectivity.plot_weight_scatter(weights, learned),
        connectivity.plot_eigenvalues(weights, learned),
    ):
        figure.canvas.draw()


def test_eigenvalues_and_radius():
    true = np.array([[0, -2.0], [2, 0]])
    figure = connectivity.plot_eigenvalues(true, true / 2)
    figure.canvas.draw()
    (ax,) = figure.axes
    np.testing.assert_allclose(sorted(ax.lines[0].get_ydata()), [-2, 2])
    assert legend(ax) == ["true, radius 2.000", "learned, radius 1.000"]


def test_functions_are_drawn_where_they_were_seen(rng):
    u = np.linspace(-1, rng.uniform(1, 9, N), 20)  # (point, neuron)
    figure = connectivity.plot_psi(u[:, :2], np.tanh(u[:, :2]), np.tanh(u[:, :2]))
    figure.canvas.draw()
    figure = connectivity.plot_phi(u, -u, TYPES, -2 * u)
    figure.canvas.draw()
    above, below = figure.axes[0], figure.axes[3]
    widest = np.argmax(u[-1, :4])
    np.testing.assert_array_equal(above.lines[-1].get_xdata(), u[:, widest])
    np.testing.assert_allclose(below.lines[0].get_ydata(), u[:, 0])  # -u - (-2 u)
    assert style.count(neurons=4) in above.texts[0].get_text()


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_embeddings_keep_their_types(rng, dimension):
    embeddings = TYPES[:, None] + 0.1 * rng.standard_normal((N, dimension))
    figure = connectivity.plot_embeddings(embeddings, TYPES, (TYPES > 0).astype(int))
    figure.canvas.draw()
    left, right = figure.axes
    assert legend(left) == ["0 (4)", "1 (4)", "2 (4)"]
    assert legend(right) == ["0 (4)", "1 (8)"]
    assert style.count(neurons=N) in figure.get_suptitle()


def test_many_types_have_unlike_colours():
    assert len({str(color) for color in connectivity.type_colors(32)}) == 32


@pytest.mark.parametrize("n", [1, N])
def test_activity_and_rollout(rng, n):
    true = rng.standard_normal((50, n))
    figure = network_dynamics.plot_activity(true, 0.01, TYPES[:n])
    figure.canvas.draw()
    assert len(figure.axes[1].lines) == len(np.unique(TYPES[:n]))
    predicted = true.copy()
    predicted[20:] = 1e300
    figure = network_dynamics.plot_rollout(true, predicted, 0.01)
    figure.canvas.draw()
    assert len(figure.axes) == min(n, network_dynamics.NEURONS_DRAWN)
    assert max(ax.get_ylim()[1] for ax in figure.axes) < 10


def test_rollout_curves_name_the_step_where_they_fall():
    curves = {"fit": np.r_[np.ones(30), np.full(20, -np.inf)], "null": np.full(50, np.nan)}
    figure = network_dynamics.plot_rollout_r2(curves, lyapunov_steps=20, starts=2)
    figure.canvas.draw()
    (ax,) = figure.axes
    assert legend(ax) == ["fit: 30 steps above 0.9", "null: 0 steps above 0.9"]
    assert sum(line.get_xdata()[0] in (20, 40) for line in ax.lines) == 2
    assert ax.texts[0].get_text() == "n = 2 starts"
    assert "20 steps" in ax.get_title()
    steady = network_dynamics.plot_rollout_r2({"fit": np.ones(5)}, starts=1)
    assert "not chaotic" in steady.axes[0].get_title()
    assert legend(steady.axes[0]) == ["fit: all 5 steps above 0.9"]
