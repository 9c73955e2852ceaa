"""Every family against the sums of its published equation, edge by edge, from the saved truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from utils.simulation import held_out, read_network, simulate_network, simulate_network_file
from utils.simulation.network.families import FAMILIES

SMALL = {"n_neurons": 14, "n_frames": 30, "warm_up": 20}
DISTINCT = {  # parameters of which no two types share one, where the defaults are less telling
    "b": (0.3, -0.2, 0.5, 0.1),
    "g": (3.0, 4.0, 5.0, 6.0),
    "h": (0.5, -1.0, 0.2, 1.5),
    "w": (1.5, 3.0, 0.7, 2.0),
    "tau": (0.5, 1.0, 2.0, 0.7),
    "alpha": (0.1, 0.3, 0.05, 0.2),
}


def distinct(family):
    return {name: DISTINCT[name] for name in FAMILIES[family].parameters if name in DISTINCT}


def edge(family, u, sender, receiver, kind):
    """The message along an edge before its weight; ``kind`` is the receiver's type."""
    if family in ("N2", "N3", "N6"):
        return math.tanh(u)
    if family == "N4":
        return math.tanh((u - sender["h"]) / sender["w"])
    if family == "N5":
        return math.tanh((u - sender["h"]) / receiver["w"]) - u * math.log(sender["w"]) / 50
    if family == "N7":
        return math.tanh(u / receiver["w"])
    return math.tanh(u / (1, 2, 4, 8)[kind])


def derivative_by_edges(network, frame, connectivity=None, drift=0.0):
    """du/dt ``(n,)`` with plain loops over the edges of the saved network."""
    weights = network.connectivity if connectivity is None else connectivity
    family, n_types = network.config.family, network.config.n_types
    values = []
    for kind in range(n_types):
        here = {name: float(value[kind]) for name, value in network.parameters.items()}
        after = {name: float(v[(kind + 1) % n_types]) for name, v in network.parameters.items()}
        values.append({name: (1 - drift) * here[name] + drift * after[name] for name in here})
    u, change = network.activity[frame].astype(float), []
    for i, kind in enumerate(network.types):
        own, message = values[kind], 0.0
        for j in range(len(u)):
            if weights[i, j] != 0:
                sender = values[network.types[j]]
                message += float(weights[i, j]) * edge(family, u[j], sender, own, kind)
        if network.efficacy is not None:
            message *= float(network.efficacy[frame, i])
        message *= own["g"]
        if network.inputs is not None and network.config.input.mode == "multiplicative":
            message *= float(network.inputs[frame, i])
        elif network.inputs is not None:
            message += float(network.inputs[frame, i])
        leak = own.get("a", own.get("c"))
        coupling = own.get("s", 0.0) * math.tanh(u[i])
        change.append(-leak * u[i] + own.get("b", 0.0) + coupling + message)
    return np.array(change)


def assert_same_slopes(network, frames=(0, 7, -1), **how):
    for frame in frames:
        expected = derivative_by_edges(network, frame, **how)
        np.testing.assert_allclose(network.derivative[frame], expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "N3"])
def test_derivative_is_that_of_the_equation(family):
    assert_same_slopes(simulate_network(**SMALL, family=family, parameters=distinct(family)))


@pytest.mark.parametrize("connectivity", ["successor", "lorentz"])
@pytest.mark.parametrize("family", ["N2", "N4", "N5", "N7"])
def test_simulated_graph_is_the_saved_graph(family, connectivity, tmp_path):
    """[post, pre] with a sparse matrix: ``successor`` has no edge in both directions."""
    settings = {"family": family, "connectivity": connectivity, "gain": 2.0, "sparsity": 0.3}
    network = read_network(simulate_network_file(tmp_path, **SMALL, **settings))
    weights = np.asarray(network.connectivity)
    assert (weights != 0).sum() > 14
    if connectivity == "successor":
        assert not (weights * weights.T).any()
    assert_same_slopes(network)
    turned = derivative_by_edges(network, 0, connectivity=weights.T)
    assert np.abs(turned - network.derivative[0]).max() > 0.1


@pytest.mark.parametrize("frame", [0, 12, 29])
def test_n3_drifts_to_the_next_type(frame):
    network = simulate_network(**SMALL, family="N3", parameters={"g": (3, 4, 5, 6)})
    assert_same_slopes(network, (frame,), drift=frame / 29)


def test_n3_drifts_at_its_own_pace_when_held_out():
    network = simulate_network(**SMALL, family="N3")
    shorter = held_out(network, n_frames=11, seed=5)
    assert_same_slopes(shorter, (10,), drift=10 / 29)


@pytest.mark.parametrize("mode", ["additive", "multiplicative"])
@pytest.mark.parametrize("family", ["N4", "N2", "N11"])
def test_input_adds_or_multiplies_the_message(family, mode):
    drive = {"type": "oscillation", "mode": mode, "offset": 0.5, "frequency": 2.0}
    assert_same_slopes(simulate_network(**SMALL, family=family, input=drive))


@pytest.mark.parametrize("family", ["N6", "N7"])
def test_efficacy_follows_its_equation(family):
    network = simulate_network(**SMALL, family=family, parameters=distinct(family))
    tau, alpha = (network.parameters[name][network.types] for name in ("tau", "alpha"))
    p, size = network.efficacy.astype(float), np.abs(network.activity)
    step = (1 - p) / tau - alpha * p * size
    np.testing.assert_allclose(p[1:], (p + 0.01 * step)[:-1], rtol=1e-5)
    assert 0 < p.min() < p.max() < 1


def test_efficacy_does_not_become_negative():
    strong = {"alpha": (500.0,) * 4}
    network = simulate_network(**SMALL, family="N6", parameters=strong)
    assert network.efficacy.min() == 0


def test_without_plasticity_there_is_no_efficacy():
    assert simulate_network(**SMALL).efficacy is None


@pytest.mark.parametrize("family", FAMILIES)
def test_truth_of_psi_and_phi_adds_up_to_the_derivative(family):
    network = simulate_network(**SMALL, family=family, parameters=distinct(family))
    u, types, i = network.activity[0], network.types, 9
    messages = [network.psi(u[j], types[i], types[j]) for j in range(len(u))]
    scale = network.parameters["g"][types[i]]
    if network.efficacy is not None:
        scale *= network.efficacy[0, i]
    total = network.phi(u[i], i) + scale * (network.connectivity[i] @ np.array(messages))
    np.testing.assert_allclose(total, network.derivative[0, i], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        ("sigmoid", lambda u: 1 / (1 + np.exp(-u))),
        ("relu", lambda u: u * (u > 0)),
        ("identity", lambda u: u),
    ],
)
def test_transfers_of_n11(function, formula):
    transfer = {"function": function, "amplitude": 0.1, "slope": 3.0}
    network = simulate_network(**SMALL, family="N11", n_types=2, transfers=[{}, transfer])
    u = np.linspace(-4, 4, 9, dtype=np.float32)
    np.testing.assert_allclose(network.psi(u, receiver=1), 0.1 * formula(u / 3), rtol=1e-6)
    np.testing.assert_allclose(network.psi(u, receiver=0), np.tanh(u), rtol=1e-6)


def test_types_have_pairs_of_leak_and_coupling():
    network = simulate_network(**SMALL)
    pairs = set(zip(network.parameters["c"].tolist(), network.parameters["s"].tolist()))
    assert pairs == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert network.parameters["g"].tolist() == [10] * 4


@pytest.mark.parametrize("n_types", [1, 2, 5, 32])
def test_any_number_of_types_differ(n_types):
    parameters = simulate_network(**SMALL | {"n_neurons": 40}, n_types=n_types).parameters
    assert len(set(zip(parameters["c"].tolist(), parameters["s"].tolist()))) == n_types


def test_types_are_contiguous_and_equal():
    network = simulate_network(**SMALL | {"n_neurons": 12})
    assert network.types.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
