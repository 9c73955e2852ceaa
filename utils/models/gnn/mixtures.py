"""What tells types apart before they are known: messages as mixtures of a few shapes.

Psi of several types span few dimensions. So let each neuron send each of a few shapes, along edges
with weights of their own: variable projection finds the shapes as it finds a psi, and W of all
shapes and phi in closed form. The weights of an edge are then its message, whatever its ends. All
that a neuron sends (or receives) is made of one curve, the first principal component of its edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from utils.models.gnn.projection import Projection
from utils.models.gnn.splines import Curves
from utils.models.gnn.stream import Batch

ROWS = 20  # of W from which shapes are learned: few of them tell several shapes apart badly
ITERATIONS, TOLERANCE = 60, 0.003  # of steps on the shapes, and relative gain at which they end
WIDTHS = 0.06, 2.0  # of the first and the last sigmoid that shapes start from, in sd of the knots


class Mixtures(NamedTuple):
    """Curves of each neuron.

    Attributes
    ----------
    values : (knot, neuron) values at the knots of what it sends or receives, with variance 1.
    phi : (level, neuron) in units of du/dt.
    strength : of messages in units of du/dt, the median over neurons.
    """

    values: Tensor
    phi: Tensor
    strength: float


def learn_mixtures(
    batches: Sequence[Batch],
    order: Tensor,
    basis: Curves,
    own: Curves,
    levels: Tensor,
    end: Literal["sender", "receiver"],
    *,
    number: int,
    penalty: float,
) -> Mixtures:
    """Messages of all neurons as mixtures, and phi that goes with them.

    Parameters
    ----------
    batches : frames in memory.
    order : (neuron,) all neurons; shapes are learned from the rows of the first.
    basis, own : splines of messages and of phi.
    levels : (level,) of activity, at which curves are compared.
    end : whose curves are asked for: one for all that a sender sends or a receiver receives.
    number : of shapes.
    """
    n_neurons = batches[0].target.shape[1]
    copies = torch.arange(number, device=levels.device).repeat_interleave(n_neurons)
    repeated = [batch._replace(activity=batch.activity.repeat(1, number)) for batch in batches]
    projection = Projection(repeated, order[:ROWS], basis, own, penalty, copies)
    learned = projection.learn(ITERATIONS, TOLERANCE, _sigmoids(basis.knots, number))
    values = _orthonormal(learned.values, basis, levels)
    every = torch.arange(n_neurons, device=levels.device)
    solved = Projection(repeated, every, basis, own, penalty, copies).state(values).rows
    edges = solved.connectivity.unflatten(1, (number, n_neurons)).mT  # (receiver, sender, shape)
    to_itself = edges[every, every]  # a part of phi that was told apart from it by nothing
    phi = own(levels) @ solved.own.mT + basis.mix(values)(levels) @ to_itself.mT
    edges[every, every] = 0
    by_neuron = edges.transpose(0, 1) if end == "sender" else edges
    axes = torch.linalg.svd(by_neuron, full_matrices=False)
    messages = values @ axes.Vh[:, 0].mT  # (knot, neuron)
    rising = (levels - levels.mean()) @ basis.mix(messages)(levels) >= 0
    messages = messages * torch.where(rising, 1.0, -1.0)
    return Mixtures(messages, phi, float(edges.square().sum(dim=(1, 2)).sqrt().median()))


def _sigmoids(knots: Tensor, number: int) -> Tensor:
    """Shapes to start from, (knot, shape): from steep to flat."""
    widths = torch.logspace(*torch.tensor(WIDTHS).log10().tolist(), number).to(knots)
    return torch.tanh(knots[:, None] / (widths * knots.std()))


def _orthonormal(values: Tensor, basis: Curves, levels: Tensor) -> Tensor:
    """Other shapes (knot, shape) with the same span: mean 0, variance 1 and no correlation."""
    curves = basis.mix(values)(levels)
    mean = curves.mean(dim=0)
    axes = torch.linalg.svd(curves - mean, full_matrices=False)
    return (values - mean) @ (axes.Vh.mT / axes.S) * len(levels) ** 0.5
