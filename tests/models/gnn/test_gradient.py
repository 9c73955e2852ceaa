"""Training by gradient: what it recovers, and that it can be stopped and gone on with."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from tests.models.gnn.worlds import World, small_world
from utils.metrics import connectivity_r2
from utils.models.gnn.config import GradientConfig, NeuralODE, OdeMethod, Recurrent
from utils.models.gnn.gradient import GradientFit, fit_by_gradient

FAST = {"learning_rate": 1e-2, "connectivity_learning_rate": 1e-2, "progress": False}
QUICK = FAST | {
    "max_epochs": 3, "batches_per_epoch": 8, "validation_batches": 2, "batch_size": 4,
}  # fmt: skip
LONG = FAST | {"max_epochs": 4, "batches_per_epoch": 100, "validation_batches": 2, "batch_size": 16}
GENTLE = QUICK | {"learning_rate": 1e-4, "connectivity_learning_rate": 1e-4}
SMALL = {"hidden": 16}


@pytest.fixture(scope="module")
def network() -> World:
    return small_world()


def fit(network: World, trainer: dict = QUICK, **settings: object) -> GradientFit:
    extra = {name: settings.pop(name) for name in ("start", "folder", "resume") if name in settings}
    config = GradientConfig(trainer=trainer, **({"model": SMALL} | settings))
    return fit_by_gradient(
        network.activity, network.derivative, dt=network.dt, config=config, **extra
    )


@pytest.fixture(scope="module")
def trained(network) -> GradientFit:
    return fit(network, LONG, model={})


def test_recovers_connectivity_and_curves(network, trained):
    losses = trained.training.curves["validation_loss"]
    assert losses.iloc[-1] < losses.iloc[0] / 10
    assert connectivity_r2(trained.normalised.connectivity, network.connectivity) > 0.95
    u = np.linspace(-3, 3, 50)
    assert np.corrcoef(trained.normalised.psi(u), np.tanh(u))[0, 1] > 0.99


@pytest.mark.parametrize("steps", [1, 4, 16, 32, 64])
def test_recurrent_training_from_a_trained_model(network, trained, steps):
    scheme = Recurrent(steps=steps, noise=0.01, intermediate=0.1, aligned=steps < 64)
    found = fit(network, GENTLE, scheme=scheme, start=trained.model)
    assert found.training.best_loss < 0.1
    assert connectivity_r2(found.normalised.connectivity, network.connectivity) > 0.9


def test_recurrent_training_from_scratch(network):
    trainer = LONG | {"max_epochs": 2, "batches_per_epoch": 50}
    found = fit(network, trainer, scheme=Recurrent(steps=2))
    losses = found.training.curves["validation_loss"]
    assert losses.iloc[-1] < losses.iloc[0]
    assert found.training.best_loss < 0.3  # 1 is what a constant reaches
    assert connectivity_r2(found.normalised.connectivity, network.connectivity) > 0.5


@pytest.mark.parametrize("method", get_args(OdeMethod))
def test_neural_odes_from_scratch(network, method):
    scheme = NeuralODE(steps=2, method=method, adjoint=method == "dopri5", clamp=100.0)
    found = fit(network, scheme=scheme)
    losses = found.training.curves["validation_loss"]
    assert losses.iloc[-1] < losses.iloc[0]
    assert found.training.best_loss < 0.9  # 1 is what a constant reaches


def test_single_derivatives_come_before_the_start_epoch(network, monkeypatch):
    calls = []

    def watched(*arguments: object, **settings: object) -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        return torch.zeros(4, settings["steps"], 20, requires_grad=True)  # (batch, step, neuron)

    monkeypatch.setattr("utils.models.gnn.task.euler_steps", watched)
    fit(network, scheme=Recurrent(steps=2, start_epoch=2))
    assert sum(calls) == QUICK["batches_per_epoch"]  # of the last epoch; others validate


def test_both_ends_and_low_rank_train(network):
    for model in ({"psi_sees": "both_ends"}, {"psi_sees": "sender_embedding"}, {"rank": 3}):
        losses = fit(network, model=SMALL | model).training.curves["validation_loss"]
        assert losses.iloc[-1] < losses.iloc[0]


@pytest.mark.parametrize("from_epoch", [1, 100])
def test_signs_of_senders_hold(network, from_epoch):
    found = fit(network, dale={"from_epoch": from_epoch})
    weights = found.model.connectivity.detach().numpy()
    assert weights.any()
    assert not ((weights > 0).any(axis=0) & (weights < 0).any(axis=0)).any()


def test_dale_needs_single_weights():
    with pytest.raises(ValueError, match="rank=None"):
        GradientConfig(model={"rank": 2}, dale={})


def test_embeddings_are_clustered(network):
    clustering = {"every": 2, "n_types": 2}
    still = QUICK | {"embedding_learning_rate": 1e-12}
    found = fit(network, still, clustering=clustering)
    assert len(np.unique(found.model.embeddings.detach().numpy().round(4), axis=0)) == 2


def test_strong_l1_makes_weights_small(network):
    free, held = fit(network), fit(network, penalties={"l1": 100.0})
    sizes = [found.model.connectivity.abs().mean().item() for found in (free, held)]
    assert sizes[1] < sizes[0] / 3


def test_the_same_seed_gives_the_same_fit(network):
    first, second = fit(network), fit(network)
    assert np.array_equal(first.normalised.connectivity, second.normalised.connectivity)


@pytest.mark.parametrize(
    "settings",
    [
        {"clustering": {"every": 2, "n_types": 2}, "dale": {"from_epoch": 1}},
        {"scheme": Recurrent(steps=2, noise=0.1)},
    ],
)
def test_resuming_is_exact(network, tmp_path, settings):
    constant = QUICK | {"schedule": "constant"}  # a cosine depends on the number of epochs
    whole = fit(network, constant, **settings)
    fit(network, constant | {"max_epochs": 2}, folder=tmp_path / "run", **settings)
    resumed = fit(network, constant, folder=tmp_path / "run", resume=True, **settings)
    for name, values in whole.model.state_dict().items():
        assert torch.equal(values, resumed.model.state_dict()[name]), name


def test_start_is_not_changed(network, trained):
    before = trained.model.connectivity.detach().clone()
    fit(network, start=trained.model)
    assert torch.equal(trained.model.connectivity, before)


@pytest.mark.parametrize("n_neurons", [1, 2])
def test_few_neurons_one_of_them_constant(n_neurons):
    activity = np.zeros((200, n_neurons), np.float32)
    activity[:, 0] = np.sin(np.arange(200) / 10)
    derivative = np.gradient(activity, axis=0) / 0.1
    config = GradientConfig(model=SMALL, trainer=QUICK)
    found = fit_by_gradient(activity, derivative, dt=0.1, config=config)
    assert np.isfinite(found.normalised.connectivity).all()
    assert found.normalised.connectivity.shape == (n_neurons, n_neurons)


def test_wrong_arrays_are_named(network):
    u, rates = network.activity, network.derivative
    with pytest.raises(
        ValueError, match=r"activity must be \(time, neuron\), found shape \(3960,\)"
    ):
        fit_by_gradient(u[:, 0], rates, dt=0.01)
    with pytest.raises(ValueError, match=r"derivative has shape \(3959, 20\)"):
        fit_by_gradient(u, rates[:-1], dt=0.01)
    start = fit(network, QUICK | {"max_epochs": 1}).model
    with pytest.raises(ValueError, match="start is a model of 20 neurons, activity has 19"):
        fit_by_gradient(u[:, :19], rates[:, :19], dt=0.01, start=start)
    config = GradientConfig(scheme=Recurrent(steps=16))
    with pytest.raises(ValueError, match="10 frames cannot hold a training and a validation"):
        fit_by_gradient(u[:10], rates[:10], dt=0.01, config=config)
    with pytest.raises(ValueError, match="no frame is without a missing value"):
        fit_by_gradient(u * np.nan, rates, dt=0.01)
