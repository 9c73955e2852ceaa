"""Regularisers by hand: what they add, what they change, and in which epochs."""

from __future__ import annotations

import pytest
import torch
from pydantic import BaseModel
from torch import nn

from utils.config import ConfigError, validate_config
from utils.models.v1_twin.regularise import Regulariser, Regularisers


class Holder(BaseModel):
    regularisers: list[Regulariser]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.core = nn.Linear(2, 1)
        self.readouts = nn.ModuleDict({"a": nn.Module(), "b": nn.Module()})
        for readout in self.readouts.values():
            readout.features = nn.Parameter(torch.tensor([[3.0, -4.0], [0.0, 1.0]]))


@pytest.fixture
def network():
    return Network()


def regularisers(network, **settings) -> Regularisers:
    settings = {"parameters": "readouts.*.features"} | settings
    found = validate_config(Holder, {"regularisers": [settings]}, where="test")
    return Regularisers(found.regularisers, network)


def added(held: Regularisers, epoch: int = 0) -> float:
    with torch.no_grad():
        return float(held.penalty(epoch))


@pytest.mark.parametrize(
    ("settings", "by_hand"),
    [
        ({"type": "l1"}, 8),
        ({"type": "l2"}, 26),
        ({"type": "group_lasso"}, 5 + 1),
        ({"type": "group_lasso", "axis": 1}, 3 + 17**0.5),
        ({"type": "proximal_l1"}, 0),
    ],
)
def test_penalties_are_those_computed_by_hand(network, settings, by_hand):
    held = regularisers(network, strength=0.5, **settings)
    assert added(held) == pytest.approx(2 * 0.5 * by_hand)  # two readouts


def test_gradients_reach_the_held_parameters_only(network):
    regularisers(network, type="l1", strength=2.0, parameters="readouts.a.*").penalty(0).backward()
    expected = [[2.0, -2.0], [0.0, 2.0]]
    assert network.readouts["a"].features.grad.tolist() == expected
    assert network.readouts["b"].features.grad is None
    assert network.core.weight.grad is None


def test_a_penalty_comes_rises_and_goes_by_epoch(network):
    held = regularisers(
        network, type="l1", strength=1.0, from_epoch=3, ramp_epochs=4, until_epoch=9
    )
    shares = [added(held, epoch) / 16 for epoch in range(11)]
    assert shares == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 0, 0]
    flagship = regularisers(network, type="l1", strength=1e-7, from_epoch=30)
    values = [added(flagship, epoch) for epoch in (0, 29, 30, 200)]
    assert values == pytest.approx([0, 0, 16e-7, 16e-7])


def test_the_proximal_step_gives_exact_zeros(network):
    weights = network.readouts["a"].features
    optimizer = torch.optim.SGD([{"params": [weights], "lr": 0.5}])
    regularisers(network, type="proximal_l1", strength=6.0).correct(0, optimizer)
    assert weights.tolist() == [[0.0, -1.0], [0.0, 0.0]]
    untrained = network.readouts["b"].features
    assert untrained.tolist() == [[3.0, -4.0], [0.0, 1.0]]


def test_bounds_move_over_epochs(network):
    weights = network.readouts["a"].features
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    held = regularisers(network, type="clamp", upper=[10.0, 1.5], ramp_epochs=50)
    for epoch, bound in ((0, 10), (25, 5.75), (50, 1.5), (80, 1.5)):
        weights.data.fill_(20)
        held.correct(epoch, optimizer)
        assert weights.unique().item() == bound
    both = regularisers(network, type="clamp", lower=[-2.0, -2.0], upper=[1.0, 1.0])
    weights.data = torch.tensor([[3.0, -4.0], [0.0, 0.5]])
    both.correct(0, optimizer)
    assert weights.tolist() == [[1.0, -2.0], [0.0, 0.5]]


def test_frozen_parameters_are_left_alone(network):
    for weights in network.parameters():
        weights.requires_grad = False
    held = regularisers(network, type="clamp", upper=[1.0, 1.0])
    held.correct(0, torch.optim.SGD(network.parameters(), 0.1))
    assert network.readouts["a"].features.max() == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "l3", "strength": 1}, "l1.*l2.*group_lasso.*proximal_l1.*clamp"),
        ({"type": "l1"}, "strength.*required"),
        ({"type": "l1", "strength": -1}, "strength' = -1"),
        ({"type": "clamp"}, "needs 'lower' or 'upper'"),
        ({"type": "l1", "strength": 1, "from_epoch": 5, "until_epoch": 5}, "must be later"),
        ({"type": "l1", "strength": 1, "parameters": "readouts.*.feature"}, "no parameter.*mean"),
    ],
)
def test_wrong_settings_are_named(network, settings, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        regularisers(network, **settings)
