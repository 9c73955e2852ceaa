"""Trained message models as fits of connectivity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.gnn.worlds import small_world
from utils.models.gnn.config import GradientConfig
from utils.models.gnn.conversion import as_connectivity_fit
from utils.models.gnn.gradient import GradientFit, fit_by_gradient


def quick_fit(sees: str) -> tuple[GradientFit, np.ndarray]:
    network = small_world(n_neurons=8, n_runs=10)
    trainer = {"max_epochs": 2, "batches_per_epoch": 30, "progress": False}
    config = GradientConfig(model={"hidden": 16, "psi_sees": sees}, trainer=trainer)
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
