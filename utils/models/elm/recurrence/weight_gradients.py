"""Gradients of weights from those at every frame: each is one matrix product over all frames.

Everywhere the first two axes are batch and time, in either order.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from utils.models.elm.recurrence.reference import ACTIVATIONS, TANH_SCALE


def weight_gradients(
    activation: str,
    before: Tensor,
    tanh: Tensor,
    hidden: Sequence[Tensor],
    adjoint: Tensor | None,
    signals: Sequence[Tensor],
) -> list[Tensor | None]:
    """Of ``recurrent``, ``keep``, ``gain``, and of weight and bias of each layer behind.

    Parameters
    ----------
    before : (batch, time, memory) the memory before each frame.
    tanh : (batch, time, memory).
    hidden : (batch, time, unit) of each layer behind the first, before the activation.
    adjoint : (batch, time, memory) gradient at the memory, through all later frames; None where
        neither ``keep`` nor ``gain`` wants a gradient.
    signals : (batch, time, unit) gradient at what each matrix gives, the recurrent one first.
    """
    of_layers = [
        found
        for signal, sums in zip(signals[1:], hidden, strict=True)
        for found in (summed_products(signal, ACTIVATIONS[activation](sums)), signal.sum((0, 1)))
    ]
    grad_keep = grad_gain = None
    if adjoint is not None:
        grad_keep = (adjoint * before).sum((0, 1))
        grad_gain = TANH_SCALE * (adjoint * tanh).sum((0, 1))
    return [summed_products(signals[0], before), grad_keep, grad_gain, *of_layers]


def summed_products(left: Tensor, right: Tensor) -> Tensor:
    """(batch, time, i) and (batch, time, j) -> (i, j)."""
    return left.flatten(0, 1).mT @ right.flatten(0, 1)
