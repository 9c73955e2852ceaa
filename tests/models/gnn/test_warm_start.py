"""Message models that begin at another fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.gnn.worlds import World, small_world
from utils.models.gnn.config import MessageConfig
from utils.models.gnn.warm_start import model_from_fit


class Truth:
    """A network as if it had been fitted."""

    def __init__(self, network: World) -> None:
        self.network, self.connectivity = network, network.connectivity

    def psi(self, u, sender):
        return np.tanh(u)

    def phi(self, u, i):
        return -(1.0 + self.network.types[i]) * u


@pytest.fixture(scope="module")
def network() -> World:
    return small_world(n_neurons=16, n_runs=10)


@pytest.mark.parametrize("sees", ["sender", "sender_embedding"])
def test_predicts_as_the_fit_does(network, sees):
    model = model_from_fit(Truth(network), network.activity, MessageConfig(psi_sees=sees))
    error = model(torch.from_numpy(network.activity)).detach().numpy() - network.derivative
    assert np.nanstd(error) < 0.03 * np.nanstd(network.derivative)
    embeddings = model.embeddings.detach().numpy()
    within = max(embeddings[network.types == kind].std(axis=0).max() for kind in (0, 1))
    assert within < 1e-3  # neurons of a type begin alike


def test_full_rank_keeps_the_connectivity(network, monkeypatch):
    monkeypatch.setattr("utils.models.gnn.warm_start.STEPS", 1)
    for rank in (None, 16):
        model = model_from_fit(Truth(network), network.activity, MessageConfig(rank=rank))
        found = (model.connectivity * model.rate_scale).detach().numpy()
        np.testing.assert_allclose(found, network.connectivity, atol=1e-4)


def test_one_type_and_one_neuron(monkeypatch):
    monkeypatch.setattr("utils.models.gnn.warm_start.STEPS", 1)
    single = small_world(n_neurons=1, n_runs=3)
    model = model_from_fit(Truth(single), single.activity, MessageConfig(one_type=True))
    assert model(torch.ones(5, 1)).isfinite().all()


def test_both_ends_need_a_fresh_start(network):
    with pytest.raises(ValueError, match="fresh start"):
        model_from_fit(Truth(network), network.activity, MessageConfig(psi_sees="both_ends"))
