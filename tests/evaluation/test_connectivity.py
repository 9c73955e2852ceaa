"""Fits that are made from the truth score as they must; what is wrong with them shows."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest

from utils.config import ConfigError, available_configs, load_config
from utils.evaluation import connectivity, evaluate_connectivity
from utils.evaluation.connectivity import log_text
from utils.evaluation.connectivity_experiment import (
    ConnectivityExperiment,
    compare_estimates,
    fit_network,
)
from utils.evaluation.network_functions import compare_functions, scaled_weights
from utils.evaluation.network_truth import lyapunov_time, true_phi, true_psi, true_weights
from utils.simulation import held_out, simulate_network

N = 24


class TrueFit:
    """The network itself in the form of a fit: psi / ``unit`` and weights * ``unit``."""

    def __init__(self, network, unit=0.25, weights=None):
        self.network, self.unit = network, unit
        weights = true_weights(network) if weights is None else weights
        self.connectivity = (unit * weights).astype(np.float32)
        self.types = self.receivers = network.types
        self.embeddings = np.column_stack([network.types, network.types])

    def psi(self, u, sender=0, receiver=0):
        everyone = np.tile(np.reshape(u, (-1, 1)), N)
        psi = true_psi(self.network, everyone, self.types[receiver])[:, sender]
        return psi.reshape(np.shape(u)) / self.unit

    def phi(self, u, i):
        everyone = np.tile(np.reshape(u, (-1, 1)), N)
        return true_phi(self.network, everyone)[:, i].reshape(np.shape(u))

    def rate(self, u):
        flat = np.reshape(u, (-1, N))
        rate = true_phi(self.network, flat)
        for kind in np.unique(self.types):
            rows = self.types == kind
            psi = true_psi(self.network, flat, kind) / self.unit
            rate[:, rows] += psi @ self.connectivity[rows].T
        return rate.reshape(np.shape(u))

    def rollout(self, u0, steps, inputs=None):
        states = [np.asarray(u0)]
        for step in range(steps):
            drive = 0 if inputs is None else inputs[step]
            states.append(states[-1] + self.network.dt * (self.rate(states[-1]) + drive))
        return np.stack(states, axis=-2)


@pytest.fixture(scope="module", autouse=True)
def _short_exponents():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connectivity, "lyapunov_time", partial(lyapunov_time, n_steps=100))
        yield


def simulate(**settings):
    return simulate_network(n_neurons=N, n_frames=3000, **settings)


def runs(network, n_frames=101):
    return [held_out(network, n_frames, seed=seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def network():
    return simulate()


@pytest.fixture(scope="module")
def evaluation(network):
    errors = np.full((N, N), 0.01)
    return evaluate_connectivity(
        TrueFit(network), network, held_out=runs(network), standard_errors=errors, seconds=90
    )


def test_the_truth_scores_1(evaluation):
    scores = evaluation.scores
    perfect = ["R2", "slope", "spearman", "AUPRC"]
    names = [f"connectivity_{name}" for name in perfect]
    names += ["psi_R2", "phi_R2", "rollout_R2_100", "test_R2", "test_pearson"]
    names += ["cluster_accuracy", "cluster_accuracy_estimated", "interval_coverage"]
    assert {name: scores[name] for name in names} == pytest.approx(
        dict.fromkeys(names, 1), abs=1e-3
    )
    assert scores["n_types"] == scores["n_types_estimated"] == 4
    assert scores["rollout_steps"] == 100
    assert scores["final_loss"] < 1e-6
    assert scores["learned_spectral_radius"] == pytest.approx(scores["spectral_radius"], rel=1e-4)
    np.testing.assert_allclose(evaluation.by_type, 1, atol=1e-4)
    assert evaluation.summary().index.name == "score"


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "N4", "parameters": {"h": (0.0, 1.0, 2.0, -1.0)}},  # psi(0) is not 0
        {"family": "N5"},
        {"family": "N11"},
        {"input": {"type": "oscillation", "amplitude": 2.0}},
        {"parameters": {"g": (5.0, 10.0, 10.0, 20.0)}},
    ],
    ids=["N4", "N5", "N11", "inputs", "gains"],
)
def test_the_truth_of_other_networks_scores_1(settings):
    network = simulate(**settings)
    scores = evaluate_connectivity(TrueFit(network), network, held_out=runs(network)).scores
    for name in ("connectivity_R2", "connectivity_slope", "phi_R2", "rollout_R2_100"):
        assert scores[name] == pytest.approx(1, abs=1e-3), name
    assert scores["final_loss"] < 1e-5


def test_errors_of_weights_show_in_weights_rollouts_and_intervals(network):
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal((N, N))
    fit = TrueFit(network, weights=true_weights(network) + noise)
    errors = np.full((N, N), 0.1 * fit.unit)
    bad = evaluate_connectivity(fit, network, held_out=runs(network), standard_errors=errors)
    assert bad.scores["connectivity_R2"] < 0.99
    assert bad.scores["rollout_R2_100"] < 0.999
    assert 0.9 < bad.scores["interval_coverage"] < 0.99
    assert bad.scores["psi_R2"] == pytest.approx(1)


def test_a_silent_sender_does_not_spoil_the_scale(network):
    activity = network.activity.copy()
    activity[:, 3] = 0
    scale = compare_functions(TrueFit(network), replace(network, activity=activity)).scale
    np.testing.assert_allclose(scale, 1 / 0.25, rtol=1e-3)
    weights = scaled_weights(TrueFit(network), network)
    np.testing.assert_allclose(weights, true_weights(network), rtol=1e-3)


def test_gain_and_constants_are_where_a_fit_finds_them():
    network = simulate(family="N4", parameters={"h": (0.0, 1.0, 2.0, -1.0)})
    u = network.activity[:5].astype(float)
    psi = true_psi(network, u, 0)
    rate = true_phi(network, u) + psi @ true_weights(network).T
    np.testing.assert_allclose(rate, network.derivative[:5], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(true_psi(network, np.zeros((1, N)), 0), 0)


def test_networks_without_connections_are_not_chaotic():
    assert lyapunov_time(simulate(connectivity="null"), n_steps=400) == np.inf
    chaotic = simulate_network(n_neurons=100, n_frames=1000)
    assert lyapunov_time(chaotic, n_steps=2000) < 20


def test_plastic_networks_have_an_exponent():
    time = lyapunov_time(simulate(family="N6"), n_steps=400)
    assert time > 0


def test_the_log_begins_as_the_original(evaluation, tmp_path):
    evaluation.write_log(tmp_path / "run" / "analysis.log")
    lines = (tmp_path / "run" / "analysis.log").read_text().splitlines()
    number = r"-?[\d.]+"
    expected = [
        rf"spectral radius: {number}",
        r"--- activity ---",
        r"  effective rank \(90% var\): \d+",
        r"  effective rank \(99% var\): \d+",
        r"  effective rank \(90% var, centred\): \d+",
        r"  effective rank \(99% var, centred\): \d+",
        r"test_R2: 1\.000",
        r"test_pearson: 1\.000",
        r"connectivity_R2: 1\.000",
        r"cluster_accuracy: 1\.000",
        r"final_loss: \d\.\de-\d\d",
        r"training_time_min: 1\.5",
    ]
    for line, pattern in zip(lines, expected):
        assert re.fullmatch(pattern, line), line
    assert "n_types_estimated: 4" in lines
    assert len(lines) == len(evaluation.scores) + 1


def test_a_log_without_times_leaves_their_line_out(evaluation):
    scores = {k: v for k, v in evaluation.scores.items() if k != "training_time_min"}
    assert "training_time" not in log_text(scores)
    assert "connectivity_R2: nan" in log_text({**scores, "connectivity_R2": np.nan})


def test_figures_have_names_and_can_be_drawn(evaluation):
    figures = evaluation.figures()
    assert set(figures) == {
        *("weights", "scatter", "eigenvalues", "psi", "phi", "types", "rollout", "rollout_r2")
    }
    for figure in figures.values():
        figure.canvas.draw()
    plt.close("all")


def test_a_fit_of_other_neurons_is_refused(network):
    with pytest.raises(ValueError, match="the fit has 24 neurons, the network 8"):
        evaluate_connectivity(TrueFit(network), simulate_network(n_neurons=8, n_frames=100))


@pytest.mark.parametrize("name", [n for n in available_configs() if n.startswith("gnn/")])
def test_experiments_are_valid(name):
    config = load_config(name, ["data.n_frames=50"], ConnectivityExperiment)
    assert config.data.n_frames == 50


def test_an_experiment_names_what_is_wrong():
    with pytest.raises(ConfigError, match="n_neuron"):
        load_config("gnn/tiny", ["data.n_neuron=5"], ConnectivityExperiment)
    with pytest.raises(ConfigError, match="phi_knotz"):
        load_config("gnn/tiny", ["+fit.phi_knotz=5"], ConnectivityExperiment)


def test_each_noise_and_each_estimate_has_a_fit_of_its_own(network):
    experiment = ConnectivityExperiment(
        data=network.config,
        fit={"phi_shapes": 2, "iterations": 6},
        noises=(0.0, 0.5),
        estimates=("finite_difference", {"width": 8}),
    )
    table = compare_estimates(network, experiment)
    assert table["noise"].tolist() == [0, 0, 0.5, 0.5]
    assert table["estimate"].tolist() == ["finite_difference", "weak form"] * 2
    assert table["r2"].between(0, 1).all()
    assert table["r2"].nunique() == 4  # neither the noise nor the estimate is lost on the way
    exact = fit_network(network, experiment.fit, exact=True)
    assert scaled_weights(exact, network).shape == (N, N)
