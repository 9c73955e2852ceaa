"""What a message model is held to in training, beside the error of its predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.models.gnn.config import Penalties
from utils.models.gnn.messages import EdgeNetwork, MessageModel

STEP = 0.1  # du of the monotonicity, in sd of the activity


def relative_error(predicted: Tensor, true: Tensor, scale: float) -> Tensor:
    """Mean squared error in units of ``scale``."""
    return ((predicted - true) / scale).square().mean()


def penalty(model: MessageModel, scaled: Tensor, penalties: Penalties, epoch: int) -> Tensor:
    """Sum of all terms of ``penalties``; ``scaled`` (neuron,) is where psi is looked at."""
    in_first_phase = epoch < penalties.first_phase_epochs
    terms = {
        l1: penalties.first_phase_l1 if in_first_phase else penalties.l1,
        l2: penalties.l2,
        mixed_signs: penalties.dale,
    }
    weights = model.connectivity
    total = weights.new_zeros(())
    for term, strength in terms.items():
        if strength:
            total = total + strength * term(weights)
    if penalties.monotone:
        total = total + penalties.monotone * falling_psi(model, scaled)
    if penalties.psi_norm:
        total = total + penalties.psi_norm * psi_norm(model, penalties.reference)
    if penalties.phi_at_zero:
        total = total + penalties.phi_at_zero * phi_at_zero(model)
    return total


def l1(weights: Tensor) -> Tensor:
    """Mean absolute entry."""
    return weights.abs().mean()


def l2(weights: Tensor) -> Tensor:
    """Mean squared entry."""
    return weights.square().mean()


def mixed_signs(weights: Tensor) -> Tensor:
    """Mean over columns of the smaller of their positive and negative sums, per entry."""
    positive, negative = weights.relu().mean(dim=0), (-weights).relu().mean(dim=0)
    return torch.minimum(positive, negative).mean()


def falling_psi(model: MessageModel, scaled: Tensor) -> Tensor:
    """Mean square of how much psi falls over ``STEP``, at activities (neuron,)."""
    here, there = _psi(model, scaled), _psi(model, scaled + STEP)
    return (here - there).relu().square().mean()


def psi_norm(model: MessageModel, reference: float) -> Tensor:
    """Mean squared distance of psi from 1 where all activities are ``reference`` (in sd)."""
    everywhere = model.embeddings.new_full((model.n_neurons,), reference)
    return (_psi(model, everywhere) - 1).square().mean()


def phi_at_zero(model: MessageModel) -> Tensor:
    """Mean square of phi without activity."""
    silent = model.embeddings.new_zeros(model.n_neurons)
    return model.phi(silent, model.embeddings).square().mean()


def _psi(model: MessageModel, scaled: Tensor) -> Tensor:
    """psi of each neuron as a sender; where it sees both ends, to a receiver like itself."""
    if isinstance(model.psi, EdgeNetwork):
        return model.psi(*model.psi.ends(scaled, model.embeddings))
    return model.psi(scaled, model.embeddings)
