"""psi that depends on types, and what of W a recording can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from utils.evaluation.network_functions import scaled_weights
from utils.evaluation.network_truth import true_weights
from utils.metrics import cluster_accuracy, connectivity_r2
from utils.models.gnn import (
    connectivity_oracle,
    connectivity_uncertainty,
    fit_connectivity,
    load_connectivity,
)
from utils.simulation import simulate_network

FAST = {"psi_knots": 16, "phi_knots": 10, "iterations": 8, "device": "cpu"}
WIDTHS = np.array([1.0, 6.0])  # of psi = tanh(u / width), by type
LEAKS = np.array([1.0, 2.0])


@dataclass(frozen=True)
class World:
    """Activity (time, neuron) that visits all states, and what a network makes of it."""

    activity: NDArray[np.float64]
    derivative: NDArray[np.float64]
    connectivity: NDArray[np.float64]
    types: NDArray[np.int64]
    widths: NDArray[np.float64]  # (receiver, sender)

    def fit(self, **settings):
        return fit_connectivity(
            self.activity, dt=0.01, derivative=self.derivative, n_types=2, **FAST, **settings
        )

    @property
    def strength(self) -> NDArray[np.float64]:
        """Weights in units of psi's standard deviation, which is what data can tell."""
        levels = self.activity[::10].ravel()
        return self.connectivity * np.tanh(levels / self.widths[..., None]).std(axis=-1)


def world(*, sender=False, receiver=False, n=20, n_frames=2500, seed=0) -> World:
    rng = np.random.default_rng(seed)
    types = np.arange(n) * 2 // n
    activity = lfilter([1], [1, -0.8], 3 * rng.standard_normal((n_frames, n)), axis=0)
    weights = rng.standard_normal((n, n)) * (1 - np.eye(n))
    widths = np.ones((n, n))
    widths *= WIDTHS[types] if sender else 1
    widths *= WIDTHS[types][:, None] if receiver else 1
    sent = np.tanh(activity[:, None] / widths)  # (time, receiver, sender)
    leak = LEAKS[types] if sender else 1.5
    derivative = -leak * activity + np.einsum("trs,rs->tr", sent, weights)
    return World(activity, derivative, weights, types, widths)


def psi_agreement(fit, truth: World) -> float:
    """Smallest correlation of a psi with the truth."""
    u = np.quantile(truth.activity, np.linspace(0.01, 0.99, 100))
    ends = [0, len(truth.types) - 1]
    found = [fit.psi(u, sender, receiver) for sender in ends for receiver in ends]
    true = [np.tanh(u / truth.widths[receiver, sender]) for sender in ends for receiver in ends]
    return min(np.corrcoef(a, b)[0, 1] for a, b in zip(found, true))


def rate_error(fit, truth: World) -> float:
    """Share of the derivative's deviation that the fit misses."""
    frames = slice(0, 300)
    missed = fit.rate(truth.activity[frames]) - truth.derivative[frames]
    return float(missed.std() / truth.derivative.std())


@pytest.mark.parametrize(
    ("messages", "depends"),
    [
        ("same", {}),
        ("sender_type", {"sender": True}),
        ("receiver_type", {"receiver": True}),
        ("both_types", {"sender": True, "receiver": True}),
    ],
)
def test_psi_of_types_is_found_and_so_is_w(messages, depends):
    truth = world(**depends)
    fit = truth.fit(messages=messages)
    assert psi_agreement(fit, truth) > 0.999
    assert connectivity_r2(fit.connectivity, truth.strength) > 0.999
    np.testing.assert_allclose(fit.connectivity, truth.strength, atol=0.1)
    assert rate_error(fit, truth) < 0.02
    if messages != "same":
        assert cluster_accuracy(fit.types, truth.types) == 1
        assert rate_error(truth.fit(), truth) > 0.05


def test_receivers_are_told_apart_by_psi_alone():
    truth = world(receiver=True, seed=1)
    assert cluster_accuracy(truth.fit(messages="receiver_type").types, truth.types) == 1


def test_known_types_are_taken():
    truth = world(sender=True, n=12, seed=3)
    shuffled = np.random.default_rng(0).permutation(12)
    mixed = truth.fit(messages="sender_type", types=tuple(truth.types[shuffled].tolist()))
    known = truth.fit(messages="sender_type", types=tuple((truth.types + 5).tolist()))
    np.testing.assert_array_equal(known.types, truth.types)
    assert rate_error(known, truth) < 0.02 < rate_error(mixed, truth)
    with pytest.raises(ValueError, match="types: 2 given for 12 neurons"):
        truth.fit(types=(0, 1))


def test_fit_with_types_is_kept_and_run(tmp_path):
    truth = world(sender=True, receiver=True)
    fit = truth.fit(messages="both_types")
    fit.save(tmp_path / "fit")
    again = load_connectivity(tmp_path / "fit")
    start = truth.activity[:2]
    path = fit.rollout(start, 5)
    assert path.shape == (2, 6, 20)
    np.testing.assert_array_equal(again.rollout(start, 5), path)
    np.testing.assert_allclose(path[:, 1], start + 0.01 * truth.derivative[:2], atol=0.01)
    assert (again.psi(3.0, 0, 0), again.psi(3.0, 19, 0)) == (
        fit.psi(3.0, 0, 0),
        fit.psi(3.0, 19, 0),
    )
    errors = connectivity_uncertainty(fit, truth.activity, derivative=truth.derivative)
    assert errors.standard_error.max() < 0.1


def test_only_the_part_of_w_that_activity_reaches_is_told():
    """Messages in a subspace: W is free on what is orthogonal to it, and W P is found."""
    rng = np.random.default_rng(2)
    n, rank = 20, 8
    axes = np.linalg.qr(rng.standard_normal((n, rank)))[0]
    activity = rng.standard_normal((3000, rank)) @ axes.T
    weights = rng.standard_normal((n, n)) * (1 - np.eye(n))
    derivative = activity @ weights.T + 0.1 * rng.standard_normal((3000, n))
    fit = fit_connectivity(activity, dt=0.01, derivative=derivative, n_types=1, **FAST)
    reached = axes @ axes.T  # (neuron, neuron) projection
    ends = np.array([-1.0, 1.0])
    steep = [np.diff(fit.psi(ends, j))[0] / 2 for j in range(n)]
    own = [np.diff(fit.phi(ends, i))[0] / 2 for i in range(n)]
    found = fit.connectivity * steep + np.diag(own)
    assert connectivity_r2(found, weights) < 0.7
    assert connectivity_r2(found @ reached, weights @ reached) > 0.999


def columns(u):
    """Functions that phi of simulated networks is a sum of."""
    return torch.stack([torch.ones_like(u), u, torch.tanh(u)], dim=2)


@pytest.mark.parametrize(("noise", "low", "high"), [(0.0, 0.0, 0.5), (0.1, 0.99, 1.0)])
def test_activity_that_repeats_itself_hides_w(noise, low, high):
    """On a cycle, one who knows psi finds only the W of the few directions that it visits."""
    rng = np.random.default_rng(0)
    n, n_frames = 60, 4000
    phases = rng.uniform(0, 2 * np.pi, n)
    cycle = np.sin(0.037 * np.arange(n_frames)[:, None] + phases)
    activity = (cycle + noise * rng.standard_normal(cycle.shape)).astype(np.float32)
    weights = rng.standard_normal((n, n)) * (1 - np.eye(n))
    derivative = (-activity + np.tanh(activity) @ weights.T).astype(np.float32)
    found = connectivity_oracle(activity, torch.tanh, columns, dt=0.01, derivative=derivative)
    assert low <= connectivity_r2(found, weights) <= high


def test_a_network_at_rest_tells_nothing_of_w_and_one_that_noise_keeps_awake_does(caplog):
    """Not even one who knows psi finds W of sparse weights under which activity dies out."""
    settings = {"n_neurons": 100, "n_frames": 10_000, "sparsity": 0.05, "seed": 0}
    found, best = [], []
    for noise in (0.0, 0.1):
        network = simulate_network(**settings, process_noise=noise)
        given = {"dt": network.dt, "derivative": network.derivative}
        fit = fit_connectivity(network.activity, **given, **FAST)
        oracle = connectivity_oracle(network.activity, torch.tanh, columns, **given)
        found.append(connectivity_r2(fit.connectivity, network.connectivity))
        best.append(connectivity_r2(oracle, network.connectivity))
        rests = "a network that rests" in caplog.text
        assert rests == (noise == 0)
        caplog.clear()
    assert max(found[0], best[0]) < 0.1
    assert min(found[1], best[1]) > 0.99


def test_types_and_w_of_a_simulated_network_are_found():
    """N4, kept awake by noise: four types of senders, which nobody told."""
    network = simulate_network(
        n_neurons=60, n_frames=15_000, family="N4", process_noise=0.1, seed=1
    )
    fit = fit_connectivity(
        network.activity,
        dt=network.dt,
        derivative=network.derivative,
        messages="sender_type",
        psi_knots=24,
        phi_knots=16,
        device="cpu",
    )
    assert cluster_accuracy(fit.types, network.types) > 0.95
    assert connectivity_r2(scaled_weights(fit, network), true_weights(network)) > 0.99


def test_unknown_kind_of_messages_is_refused():
    with pytest.raises(ValueError, match="messages"):
        world().fit(messages="edge")
