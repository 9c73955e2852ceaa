"""Noise of the measurement and of the dynamics: fits against the oracle that knows psi."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from utils.metrics import connectivity_r2
from utils.models.gnn import Bumps, connectivity_oracle, fit_connectivity

DT = 0.01
FAST = {"psi_knots": 16, "phi_knots": 10, "iterations": 8, "n_types": 1, "device": "cpu"}


def driven_network(measured: float, process: float, n: int = 15, n_frames: int = 12_000):
    """Observed activity, input and W of a network whose slow inputs move it everywhere."""
    rng = np.random.default_rng(0)
    weights = 3 * rng.standard_normal((n, n)) / np.sqrt(n) * (1 - np.eye(n))
    inputs = lfilter([1], [1, -0.98], 4 * rng.standard_normal((n_frames, n)), axis=0)
    activity = np.zeros((n_frames, n))
    for t in range(n_frames - 1):
        u = activity[t]
        rate = -u + weights @ np.tanh(u) + inputs[t]
        activity[t + 1] = u + DT * rate + process * rng.standard_normal(n)
    return activity + measured * rng.standard_normal(activity.shape), inputs, weights


def phi_columns(u):
    return torch.stack([torch.ones_like(u), u], dim=2)


@pytest.mark.parametrize("estimate", [Bumps(), "savitzky_golay"])
@pytest.mark.parametrize(("measured", "process"), [(0.0, 0.0), (0.05, 0.0), (0.05, 0.02)])
def test_fit_is_as_good_as_the_oracle(measured, process, estimate):
    activity, inputs, weights = driven_network(measured, process)
    given = {"dt": DT, "inputs": inputs, "estimate": estimate}
    oracle = connectivity_oracle(activity, torch.tanh, phi_columns, **given)
    fit = fit_connectivity(activity, **given, **FAST)
    best = connectivity_r2(oracle, weights)
    assert best > 0.95
    assert connectivity_r2(fit.connectivity, weights) > best - 0.01


def test_averages_of_equations_bear_noise_that_differences_do_not():
    activity, inputs, weights = driven_network(measured=0.1, process=0.0)
    given = {"dt": DT, "inputs": inputs}
    weak, raw = (
        weights - connectivity_oracle(activity, torch.tanh, phi_columns, estimate=estimate, **given)
        for estimate in (Bumps(), "finite_difference")
    )
    assert weak.std() < raw.std() / 2


def test_oracle_is_exact_without_noise():
    activity, inputs, weights = driven_network(0.0, 0.0)
    found = connectivity_oracle(
        activity, torch.tanh, phi_columns, dt=DT, inputs=inputs, estimate="finite_difference"
    )
    np.testing.assert_allclose(found, weights, atol=1e-3)
