"""The recurrence of the memory in plain PyTorch, with its gradient derived by hand.

Computes what ``reference`` defines, in a third of its time: autograd would add up the gradients of
all weights frame by frame, where one matrix product over all frames does. Serves where no compiled
backend can.
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
    """Whether this gradient serves these tensors: in one type, and differentiated backwards."""
    is_mixed = len({tensor.dtype for tensor in tensors}) > 1
    return not (is_mixed or torch.is_autocast_enabled(tensors[0].device.type)) and not transformed(
        *tensors
    )


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


class _Memory(Function):
    """Tensors as of :func:`memory_recurrence`, the layers' last."""

    @staticmethod
    def forward(ctx: Any, activation: str, *parts: Tensor) -> Tensor:
        inputs, recurrent, keep, gain, state, *layers = parts
        gain, activate = TANH_SCALE * gain, ACTIVATIONS[activation]
        first, *weights = (matrix.mT.contiguous() for matrix in (recurrent, *layers[::2]))
        frames = []
        for frame in _time_first(inputs).unbind():
            sums = [torch.addmm(frame, state, first)]  # what goes into each activation
            for weight, bias in zip(weights, layers[1::2]):
                sums.append(torch.addmm(bias, activate(sums[-1]), weight))
            tanh = sums.pop().mul_(TANH_SLOPE).tanh_()
            state = torch.addcmul(keep * state, gain, tanh)
            frames.append((state, tanh, *sums))
        memory, tanh, *hidden = (torch.stack(values) for values in zip(*frames))
        ctx.activation = activation
        ctx.save_for_backward(*parts, memory, tanh, *hidden)
        return memory.transpose(0, 1)

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
        return None, *_gradients(ctx.activation, parts, *kept, grad=grad)


def _gradients(
    activation: str,
    parts: tuple[Tensor, ...],
    memory: Tensor,
    tanh: Tensor,
    *hidden: Tensor,
    grad: Tensor,
) -> list[Tensor | None]:
    """Of ``parts``, for ``grad`` (batch, time, memory); what was kept is (time, batch, unit)."""
    _, recurrent, keep, gain, initial, *layers = parts
    bend = TANH_SCALE * TANH_SLOPE * gain * (1 - tanh.square())
    slopes = [SLOPES[activation](sums) for sums in hidden]
    carry, frames = torch.zeros_like(initial), []
    columns = (values.unbind() for values in (_time_first(grad), bend, *slopes))
    for now, bend_now, *slopes_now in reversed(list(zip(*columns))):
        adjoint = carry + now  # gradient of the memory
        signals = [adjoint * bend_now]  # of what goes into tanh and, from the last, activations
        for weight, slope in zip(layers[-2::-2], reversed(slopes_now)):
            signals.append((signals[-1] @ weight).mul_(slope))
        carry = torch.addmm(keep * adjoint, signals[-1], recurrent)
        frames.append((adjoint, *reversed(signals)))
    adjoint, *signals = (torch.stack(values[::-1]) for values in zip(*frames))
    before = torch.cat([initial[None], memory[:-1]])
    learns = keep.requires_grad or gain.requires_grad
    of_weights = weight_gradients(
        activation, before, tanh, hidden, adjoint if learns else None, signals
    )
    return [signals[0].transpose(0, 1), *of_weights[:3], carry, *of_weights[3:]]


def _time_first(values: Tensor) -> Tensor:
    """(batch, time, unit) -> (time, batch, unit), whose frames lie in one piece."""
    return values.transpose(0, 1).contiguous()


def _slope_of_silu(sums: Tensor) -> Tensor:
    sigmoid = sums.sigmoid()
    return sigmoid * (1 + sums * (1 - sigmoid))


SLOPES = {"relu": lambda sums: (sums > 0).to(sums.dtype), "silu": _slope_of_silu}
