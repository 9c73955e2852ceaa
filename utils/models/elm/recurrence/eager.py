"""The recurrence in plain PyTorch, with gradients derived by hand.

Computes what ``reference`` defines in less than half its time: autograd would add up the gradients
of all weights frame by frame, where one matrix product over all frames does. Serves where no
compiled backend can.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from utils.models.elm.recurrence import reference
from utils.models.elm.recurrence.fallback import differentiable_gradients, transformed
from utils.models.elm.recurrence.reference import ACTIVATIONS, TANH_SCALE, TANH_SLOPE, Layers
from utils.models.elm.recurrence.weight_gradients import weight_gradients


def can(*tensors: Tensor) -> bool:
    """Whether these gradients serve these tensors: in one type, and differentiated backwards."""
    is_mixed = len({tensor.dtype for tensor in tensors}) > 1
    return not (is_mixed or torch.is_autocast_enabled(tensors[0].device.type)) and not transformed(
        *tensors
    )


def filter_dense(drive: Tensor, kappa: Tensor, initial: Tensor) -> Tensor:
    """See :func:`utils.models.elm.recurrence.reference.filter_dense`."""
    return _Filter.apply(drive, kappa, initial)


def memory_recurrence(
    inputs: Tensor,
    recurrent: Tensor,
    layers: Layers,
    keep: Tensor,
    gain: Tensor,
    initial: Tensor,
    activation: str,
) -> Tensor:
    """See :func:`utils.models.elm.recurrence.reference.memory_recurrence`."""
    of_layers = (tensor for layer in layers for tensor in layer)
    return _Memory.apply(activation, inputs, recurrent, keep, gain, initial, *of_layers)


class _Filter(Function):
    """Its gradient is the same filter backwards in time, hence differentiable as often."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, kappa: Tensor, initial: Tensor) -> Tensor:
        filtered = reference.filter_dense(drive, kappa, initial)
        ctx.save_for_backward(filtered, kappa, initial)
        return filtered

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        filtered, kappa, initial = ctx.saved_tensors
        adjoint = _Filter.apply(grad.flip(1), kappa, torch.zeros_like(initial)).flip(1)
        grad_kappa = None
        if ctx.needs_input_grad[1]:
            before = torch.cat([initial[:, None], filtered[:, :-1]], dim=1)
            grad_kappa = (adjoint * before).sum((0, 1))
        return adjoint, grad_kappa, kappa * adjoint[:, 0]


class _Memory(Function):
    """Tensors as of :func:`memory_recurrence`, the layers' last.

    All over time are (time, batch, unit), whose frames lie in one piece.
    """

    @staticmethod
    def forward(ctx: Any, activation: str, *parts: Tensor) -> Tensor:
        inputs, recurrent, keep, gain, initial, *layers = parts
        gain, activate = TANH_SCALE * gain, ACTIVATIONS[activation]
        frames = inputs.transpose(0, 1).contiguous()
        first, *weights = (matrix.mT.contiguous() for matrix in (recurrent, *layers[::2]))
        biases = list(layers[1::2])
        if weights:  # one operation less in each frame
            weights[-1], biases[-1] = TANH_SLOPE * weights[-1], TANH_SLOPE * biases[-1]
        else:
            first, frames = TANH_SLOPE * first, TANH_SLOPE * frames
        n_frames, batch, _ = frames.shape
        memory = initial.new_empty(n_frames + 1, batch, len(keep))
        memory[0] = initial
        # what goes into each activation; the last goes into tanh, whose result replaces it
        sums = [frames.new_empty(n_frames, batch, len(w)) for w in (recurrent, *layers[::2])]
        for frame, before, now, *totals in zip(frames, memory, memory[1:], *sums):
            torch.addmm(frame, before, first, out=totals[0])
            for units, total, weight, bias in zip(totals, totals[1:], weights, biases):
                torch.addmm(bias, activate(units), weight, out=total)
            tanh = totals[-1].tanh_()
            torch.mul(keep, before, out=now).addcmul_(gain, tanh)
        ctx.activation = activation
        ctx.save_for_backward(*parts, memory, *sums)
        return memory[1:].transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        n_parts = len(ctx.needs_input_grad) - 1
        parts, kept = ctx.saved_tensors[:n_parts], ctx.saved_tensors[n_parts:]
        if torch.is_grad_enabled():  # this gradient will be differentiated

            def again(*parts: Tensor) -> Tensor:
                inputs, recurrent, keep, gain, initial, *layers = parts
                layers = list(zip(layers[::2], layers[1::2]))
                rest = keep, gain, initial, ctx.activation
                return reference.memory_recurrence(inputs, recurrent, layers, *rest)

            return None, *differentiable_gradients(again, parts, grad)
        return None, *_memory_gradients(ctx.activation, parts, *kept, grad=grad)


def _memory_gradients(
    activation: str,
    parts: tuple[Tensor, ...],
    memory: Tensor,
    *sums: Tensor,
    grad: Tensor,
) -> list[Tensor | None]:
    """Of ``parts``, for ``grad`` (batch, time, memory)."""
    _, recurrent, keep, gain, initial, *layers = parts
    *hidden, tanh = sums
    # one frame more at the start: the gradient at what the memory began with
    adjoints = torch.cat([torch.zeros_like(initial)[None], grad.transpose(0, 1)])
    # the slope of each activation, which becomes the gradient at what goes into it
    signals = [SLOPES[activation](units) for units in hidden]
    signals.append(TANH_SCALE * TANH_SLOPE * gain * (1 - tanh.square()))
    for before, adjoint, *slopes in reversed(list(zip(adjoints, adjoints[1:], *signals))):
        slopes[-1] *= adjoint
        for weight, signal, slope in zip(layers[-2::-2], slopes[::-1], slopes[-2::-1]):
            slope *= signal @ weight
        before.addcmul_(keep, adjoint).addmm_(slopes[0], recurrent)
    learns = keep.requires_grad or gain.requires_grad
    of_weights = weight_gradients(
        activation, memory[:-1], tanh, hidden, adjoints[1:] if learns else None, signals
    )
    return [signals[0].transpose(0, 1), *of_weights[:3], adjoints[0], *of_weights[3:]]


def _slope_of_silu(sums: Tensor) -> Tensor:
    sigmoid = sums.sigmoid()
    return sigmoid * (1 + sums * (1 - sigmoid))


SLOPES = {"relu": lambda sums: (sums > 0).to(sums.dtype), "silu": _slope_of_silu}
