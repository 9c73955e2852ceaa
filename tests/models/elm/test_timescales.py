"""Time constants of the memory: start, bounds, and values that stay finite."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from utils.models.elm import ELMv2
from utils.models.elm.timescales import bounded_tau, decay, finite_proto_tau, initial_proto_tau


def test_start_equals_the_reference(reference):
    expected = np.load(reference / "elm" / "tau_init.npz")
    cases = [name.partition(":")[2] for name in expected if name.startswith("v2_tau_m")]
    assert len(cases) == 5
    for case in cases:
        lowest, highest, n = (int(part) for part in case.split(":"))
        neuron = ELMv2(3, 1, num_memory=n, memory_tau_min=lowest, memory_tau_max=highest)
        tau, proto = expected[f"v2_tau_m:{case}"], expected[f"v2_proto_tau_m:{case}"]
        # processors round a logarithm differently in its last bit
        np.testing.assert_allclose(neuron.tau_m.numpy(), tau, rtol=3e-7)
        found, finite = neuron._proto_tau_m.numpy(), np.isfinite(proto)
        np.testing.assert_allclose(found[finite], proto[finite], rtol=3e-7, atol=1e-7)
        neuron.load_state_dict({"_proto_tau_m": torch.from_numpy(proto)}, strict=False)
        np.testing.assert_array_equal(neuron.tau_m.numpy(), tau)


def test_one_unit_has_the_shortest_time_constant():
    tau = bounded_tau(initial_proto_tau(1, 2.0, 500.0), 2.0, 500.0)
    torch.testing.assert_close(tau, torch.tensor([2.0]), atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "bounds", [(0, 1), (1, 1000), (32, 1000), (1000, 1000 + 3e-6), (1e5, 1e6), (0, 3e-6)]
)
@pytest.mark.parametrize("n", [1, 2, 100])
def test_start_is_finite_rising_and_inside_the_bounds(n, bounds):
    proto = initial_proto_tau(n, *bounds)
    assert proto.isfinite().all()
    tau = bounded_tau(proto, *bounds)
    lowest, highest = torch.tensor(bounds, dtype=torch.float32)
    assert (tau >= lowest).all()
    assert (tau <= highest).all()
    assert (tau.diff() >= 0).all()


@pytest.mark.parametrize("bounds", [(1.0, 1000.0), (32.0, 1000.0), (5e4, 1e6), (0.0, 10.0)])
def test_finite_stand_ins_for_infinity_are_the_bounds(bounds):
    proto = torch.tensor([-math.inf, math.inf])
    assert finite_proto_tau(proto).isfinite().all()
    found = bounded_tau(finite_proto_tau(proto), *bounds)
    torch.testing.assert_close(found, bounded_tau(proto, *bounds), rtol=0, atol=1e-12)


def test_finite_values_and_nan_stay_what_they_are():
    proto = torch.tensor([-50.0, 0.3, 30.0, math.nan])
    torch.testing.assert_close(finite_proto_tau(proto), proto, rtol=0, atol=0, equal_nan=True)


def test_decay_has_its_closed_form_and_is_zero_without_a_time_constant():
    tau = torch.tensor([5.0, 1e-7, 0.0, -3.0])
    expected = torch.tensor([math.exp(-2 / 5), 0.0, 0.0, 0.0])
    torch.testing.assert_close(decay(tau, 2.0), expected)


@pytest.mark.parametrize("bounds", [(1.0, 1000.0), (32.0, 1000.0), (1000.0, 1000.0)])
def test_weight_decay_leaves_time_constants_finite(bounds):
    lowest, highest = bounds
    neuron = ELMv2(
        3, 1, 6, memory_tau_min=lowest, memory_tau_max=highest, learn_memory_tau=True,
        backend="reference",
    )  # fmt: skip
    optimizer = torch.optim.SGD([neuron._proto_tau_m], lr=0.1, weight_decay=0.5)
    for _ in range(20):
        optimizer.zero_grad()
        neuron(torch.ones(2, 8, 3)).square().sum().backward()
        optimizer.step()
    assert neuron._proto_tau_m.isfinite().all()
    assert neuron.tau_m.isfinite().all()
