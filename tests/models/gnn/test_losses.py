"""Penalties against values by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from utils.models.gnn import losses
from utils.models.gnn.config import MessageConfig, Penalties
from utils.models.gnn.messages import MessageModel

WEIGHTS = torch.tensor([[0.0, 2.0, -1.0], [4.0, 0.0, 3.0], [-1.0, 2.0, 0.0]])


class Curve(nn.Module):
    """Stands for psi or phi: any function of the scaled activity."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, scaled, embeddings):
        return self.function(scaled)


def model_with(psi=torch.tanh, phi=torch.neg, weights=WEIGHTS) -> MessageModel:
    model = MessageModel(3, MessageConfig(hidden=4))
    model.psi, model.phi = Curve(psi), Curve(phi)
    model.weights.values.data = weights.clone()
    return model


def total(scaled=(0.0, 0.0, 0.0), epoch=0, model=None, **penalties) -> float:
    model = model or model_with()
    return losses.penalty(model, torch.tensor(scaled), Penalties(**penalties), epoch).item()


def test_error_is_in_units_of_the_scale():
    predicted, true = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0])
    assert float(losses.relative_error(predicted, true, 2.0)) == pytest.approx((1 + 4) / 2 / 4)


def test_size_of_weights():
    assert total(l1=2) == pytest.approx(2 * 13 / 9)
    assert total(l2=3) == pytest.approx(3 * 35 / 9)


def test_no_penalty_by_default():
    assert total() == 0


def test_l1_has_two_phases():
    strengths = {"l1": 1.0, "first_phase_l1": 10.0, "first_phase_epochs": 2}
    found = [total(epoch=epoch, **strengths) for epoch in range(4)]
    assert found == pytest.approx([130 / 9, 130 / 9, 13 / 9, 13 / 9])


def test_mixed_signs_are_those_of_columns():
    # columns: +4 -1, +2 +2, -1 +3; sums of the smaller sign 1, 0, 1, over 3 rows and 3 columns
    assert total(dale=1.0) == pytest.approx((1 + 0 + 1) / 9)
    assert total(dale=1.0, model=model_with(weights=WEIGHTS.abs())) == 0


def test_psi_that_falls():
    # rises by .1 below 0, falls by .2 from 0 on
    bent = model_with(psi=lambda u: torch.where(u < 0, u, -2 * u))
    found = total(scaled=(-1.0, 1.0, 2.0), monotone=6.0, model=bent)
    assert found == pytest.approx(6 * 2 * 0.2**2 / 3, rel=1e-5)
    assert total(scaled=(-1.0, 1.0, 2.0), monotone=6.0) == 0


def test_psi_is_held_to_1_at_the_reference():
    doubled = model_with(psi=lambda u: 2 * u)
    assert total(psi_norm=0.5, reference=3.0, model=doubled) == pytest.approx(0.5 * 25)


def test_phi_without_activity():
    shifted = model_with(phi=lambda u: 3 - u)
    assert total(phi_at_zero=2.0, model=shifted) == pytest.approx(18)
    assert total(phi_at_zero=2.0) == 0


@pytest.mark.parametrize("sees", ["sender", "sender_embedding", "both_ends"])
def test_all_penalties_have_gradients(sees):
    torch.manual_seed(0)
    model = MessageModel(5, MessageConfig(hidden=8, psi_sees=sees))
    nn.init.normal_(model.weights.values)
    everything = {name: 1.0 for name in ("l1", "l2", "monotone", "psi_norm", "phi_at_zero", "dale")}
    losses.penalty(model, torch.randn(5), Penalties(**everything), 0).backward()
    assert model.weights.values.grad.any()
    assert all(p.grad is not None for p in [*model.psi.parameters(), *model.phi.parameters()])
