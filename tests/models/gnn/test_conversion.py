"""Trained message models as fits of connectivity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.gnn.worlds import small_world
from utils.config import ConfigError
from utils.models.gnn import fit_connectivity
from utils.models.gnn.config import GradientConfig
from utils.models.gnn.connectivity_fit import ConnectivityFit
from utils.models.gnn.conversion import as_connectivity_fit
from utils.models.gnn.gradient import GradientFit, fit_by_gradient
from utils.signals import derivative

TRAINER = {"max_epochs": 2, "batches_per_epoch": 30, "progress": False}


def quick_fit(sees: str) -> tuple[GradientFit, np.ndarray]:
    network = small_world(n_neurons=8, n_runs=10)
    config = GradientConfig(model={"hidden": 16, "psi_sees": sees}, trainer=TRAINER)
    fit = fit_by_gradient(network.activity, network.derivative, dt=network.dt, config=config)
    return fit, network.activity[np.isfinite(network.activity[:, 0])]


@pytest.mark.parametrize("sees", ["sender", "sender_embedding"])
def test_has_the_rates_of_the_model(sees):
    fit, activity = quick_fit(sees)
    found = as_connectivity_fit(fit)
    expected = fit.model(torch.from_numpy(activity)).detach().numpy()
    assert (found.rate(activity) - expected).std() < 0.02 * expected.std()
    for neuron in (0, 5):
        u = np.linspace(-2, 2, 11)
        np.testing.assert_allclose(found.psi(u, neuron), fit.normalised.psi(u, neuron), atol=0.03)
    assert found.dt == fit.dt
    assert found.n_frames == 594


def test_psi_of_both_ends_is_no_curve():
    with pytest.raises(ValueError, match="both ends"):
        as_connectivity_fit(quick_fit("both_ends")[0])


def by_gradient(derivative: np.ndarray | None, **settings: object) -> ConnectivityFit:
    network = small_world(n_neurons=8, n_runs=10)
    gradient = {"model": {"hidden": 16}, "trainer": TRAINER} | settings.pop("gradient", {})
    return fit_connectivity(
        network.activity,
        dt=network.dt,
        derivative=derivative,
        method="gradient",
        gradient=gradient,
        **settings,
    )


def test_gradient_is_a_method_of_fits():
    network = small_world(n_neurons=8, n_runs=10)
    expected = as_connectivity_fit(quick_fit("sender")[0])
    found = by_gradient(network.derivative, device="cpu")
    np.testing.assert_array_equal(found.connectivity, expected.connectivity)
    assert found.settings.method == "gradient"
    types = by_gradient(network.derivative, types=[5, 5, 5, 5, 7, 7, 7, 7]).types
    assert types.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_gradient_trains_on_derivatives_that_are_estimated():
    network = small_world(n_neurons=8, n_runs=10)
    estimated = derivative(network.activity, network.dt, "finite_difference")
    found = by_gradient(None, estimate="finite_difference")
    expected = by_gradient(estimated).connectivity
    np.testing.assert_allclose(found.connectivity, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"messages": "sender_type"}, "psi_sees"),
        ({"estimate": {"width": 8}}, "savitzky_golay"),
        ({"gradient": {"model": {"psi_sees": "both_ends"}}}, "both ends"),
    ],
)
def test_what_a_gradient_cannot_do_is_said_at_once(settings, message):
    with pytest.raises(ConfigError, match=message):
        by_gradient(None, **settings)
