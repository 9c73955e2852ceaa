"""The recurrence on NVIDIA GPUs: launches the kernels of ``triton_kernels``, and its gradients.

Kernels write gradients at every frame; those of weights are sums over samples and frames, left to
matrix products in PyTorch, so that no two programs add to the same number and runs repeat exactly.
With ``TRITON_INTERPRET=1`` in the environment the kernels run, slowly, on CPU tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd import Function

from utils.models.elm.recurrence import reference, triton_kernels
from utils.models.elm.recurrence.events import Events
from utils.models.elm.recurrence.fallback import differentiable_gradients
from utils.models.elm.recurrence.reference import TANH_SCALE, TANH_SLOPE, Layers
from utils.models.elm.recurrence.weight_gradients import weight_gradients

DEVICE = "cpu" if triton.knobs.runtime.interpret else "cuda"
FRAMES, CHANNELS = 64, 16  # that a program filters at once
COMPILER = {"enable_fp_fusion": True}  # a product and a sum are one step; Triton 3.10 asks for it
TWO_FIT, ONE_FITS = 2**16, 2**17  # bytes of a padded matrix: how many registers can hold


def why_not(primitive: str, *tensors: Tensor) -> str | None:
    """Why these tensors, in the order of :mod:`recurrence`, are left to the reference, if so."""
    if primitive == "filter_synapses":
        return "has no kernel for it"
    devices = {tensor.device for tensor in tensors}
    if {device.type for device in devices} != {DEVICE} or len(devices) > 1:
        return f"takes tensors of one {DEVICE} device only"
    types = {tensor.dtype for tensor in tensors}
    if types not in ({torch.float32}, {torch.float64}):
        return f"takes tensors that are all float32 or all float64, found {sorted(map(str, types))}"
    if not all(tensor.numel() for tensor in tensors):
        return "takes no empty tensors"
    if primitive == "memory_recurrence" and (reason := _too_large(tensors[1], tensors[2:-3:2])):
        return reason
    return _failure(*devices)


def filter_dense(drive: Tensor, kappa: Tensor, initial: Tensor) -> Tensor:
    """See :func:`utils.models.elm.recurrence.reference.filter_dense`."""
    return _Filter.apply(drive, kappa, initial, False)


def filter_events(events: Events, weights: Tensor, kappa: Tensor, initial: Tensor) -> Tensor:
    """See :func:`utils.models.elm.recurrence.reference.filter_events`."""
    return filter_dense(reference.sum_events(events, weights), kappa, initial)


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
    parts = inputs, recurrent, keep, gain, initial, *(part for layer in layers for part in layer)
    if torch.is_grad_enabled() and any(part.requires_grad for part in parts):
        return _Memory.apply(activation, *parts)
    return _run(activation, parts, kept=False)[0]


class _Filter(Function):
    """Its gradient is made of differentiable steps, hence so are all higher ones."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, kappa: Tensor, initial: Tensor, backwards: bool) -> Tensor:
        drive = drive.contiguous()
        batch, n_frames, n_channels = drive.shape
        filtered = torch.empty_like(drive)
        channels = min(CHANNELS, triton.next_power_of_2(n_channels))
        grid = batch, triton.cdiv(n_channels, channels)
        with torch.cuda.device_of(drive):
            triton_kernels.filter_kernel[grid](
                drive,
                kappa.contiguous(),
                initial.contiguous(),
                filtered,
                n_frames,
                n_channels,
                BACKWARDS=backwards,
                FRAMES=FRAMES,
                CHANNELS=channels,
                **COMPILER,
            )
        ctx.backwards = backwards
        ctx.save_for_backward(filtered, kappa, initial)
        return filtered

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        filtered, kappa, initial = ctx.saved_tensors
        adjoint = _Filter.apply(grad, kappa, torch.zeros_like(initial), not ctx.backwards)
        if ctx.backwards:
            before = torch.cat([filtered[:, 1:], initial[:, None]], dim=1)
            first = adjoint[:, -1]
        else:
            before = torch.cat([initial[:, None], filtered[:, :-1]], dim=1)
            first = adjoint[:, 0]
        return adjoint, (adjoint * before).sum((0, 1)), kappa * first, None


class _Memory(Function):
    """Tensors as of :func:`memory_recurrence`, the layers' last."""

    @staticmethod
    def forward(ctx: Any, activation: str, *parts: Tensor) -> Tensor:
        memory, tanh, hidden = _run(activation, parts, kept=True)
        ctx.activation = activation
        ctx.save_for_backward(memory, tanh, hidden, *parts)
        return memory

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        memory, tanh, hidden, *parts = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient will be differentiated
            again = partial(_reference, ctx.activation)
            return None, *differentiable_gradients(again, parts, grad)
        return None, *_gradients(ctx.activation, parts, memory, tanh, hidden, grad)


def _run(
    activation: str, parts: Sequence[Tensor], kept: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The memory (batch, time, memory) and, where ``kept``, what its gradient needs: the tanh of
    the same shape and the hidden units (layer, batch, time, hidden) before their activation."""
    inputs, recurrent, keep, gain, initial, *layers = (part.contiguous() for part in parts)
    batch, n_frames = inputs.shape[:2]
    memory = inputs.new_empty(batch, n_frames, recurrent.shape[1])
    tanh = torch.empty_like(memory) if kept else None
    hidden = inputs.new_empty(len(layers) // 2, *inputs.shape) if kept else None
    middle, middle_bias, last, last_bias = _packed(layers)
    with torch.cuda.device_of(inputs):
        triton_kernels.memory_kernel[(batch,)](
            inputs,
            recurrent,
            middle,
            middle_bias,
            last,
            last_bias,
            keep,
            TANH_SCALE * gain,
            initial,
            memory,
            tanh,
            hidden,
            n_frames,
            KEPT=kept,
            **_settings(activation, recurrent, len(layers) // 2),
        )
    return memory, tanh, hidden


def _gradients(
    activation: str,
    parts: Sequence[Tensor],
    memory: Tensor,
    tanh: Tensor,
    hidden: Tensor,
    grad: Tensor,
) -> list[Tensor | None]:
    """Gradients of ``parts``, for one at the memory."""
    _, recurrent, keep, gain, initial, *layers = (part.contiguous() for part in parts)
    depth, gain = len(layers) // 2, TANH_SCALE * gain
    adjoint, grad_initial = torch.empty_like(memory), torch.empty_like(initial)
    grad_hidden = memory.new_empty(max(depth, 1), *memory.shape[:2], len(recurrent))
    middle, _, last, _ = _packed(layers)
    with torch.cuda.device_of(memory):
        triton_kernels.memory_gradient_kernel[(len(memory),)](
            grad.contiguous(),
            recurrent,
            middle,
            last,
            keep,
            gain,
            tanh,
            hidden,
            adjoint,
            grad_hidden,
            grad_initial,
            memory.shape[1],
            **_settings(activation, recurrent, depth),
        )
    before = torch.cat([initial[:, None], memory[:, :-1]], dim=1)
    signals = [*grad_hidden, adjoint * gain * TANH_SLOPE * (1 - tanh.square())][: depth + 1]
    learns = any(part.requires_grad for part in parts[2:4])  # keep and gain
    of_weights = weight_gradients(
        activation, before, tanh, hidden, adjoint if learns else None, signals
    )
    return [grad_hidden[0], *of_weights[:3], grad_initial, *of_weights[3:]]


def _reference(activation: str, *parts: Tensor) -> Tensor:
    inputs, recurrent, keep, gain, initial, *layers = parts
    layers = list(zip(layers[::2], layers[1::2]))
    return reference.memory_recurrence(inputs, recurrent, layers, keep, gain, initial, activation)


@cache
def _failure(device: torch.device) -> str | None:
    """Why kernels cannot be launched, if so: no C compiler, or a GPU that Triton does not know."""
    one = torch.ones(1, 1, 1)
    try:
        one = one.to(device)
        filter_dense(one, one[0, 0], one[0])
    except Exception as error:
        return f"cannot launch its kernels here ({error})"
    return None


def _packed(layers: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Weights and biases between hidden layers, stacked, and of the last layer, transposed."""
    middle, middle_bias = layers[:-2:2], layers[1:-2:2]
    return (
        torch.stack(middle) if middle else None,
        torch.stack(middle_bias) if middle else None,
        layers[-2].mT.contiguous() if layers else None,
        layers[-1] if layers else None,
    )


def _settings(activation: str, recurrent: Tensor, depth: int) -> dict[str, int | float]:
    """Constants and options of the compiled kernels."""
    n_hidden, n_memory = recurrent.shape
    size = _padded_bytes(recurrent, depth)
    return {
        "DEPTH": depth,
        "SILU": activation == "silu",
        "SLOPE": TANH_SLOPE,
        "REREAD": size > TWO_FIT,
        "N_MEMORY": n_memory,
        "N_HIDDEN": n_hidden,
        "MEMORY": triton.next_power_of_2(n_memory),
        "HIDDEN": triton.next_power_of_2(n_hidden),
        "num_warps": 8 if size > TWO_FIT else max(size // 2**12, 1),
        **COMPILER,
    }


def _padded_bytes(recurrent: Tensor, depth: int) -> int:
    """Of the largest matrix: hidden by memory, or between two hidden layers."""
    n_hidden, n_memory = map(triton.next_power_of_2, recurrent.shape)
    return n_hidden * (max(n_hidden, n_memory) if depth > 1 else n_memory) * recurrent.itemsize


def _too_large(recurrent: Tensor, weights: Sequence[Tensor]) -> str | None:
    """Why weights do not fit into the kernels, if so."""
    n_hidden = len(recurrent)
    if any(weight.shape != (n_hidden, n_hidden) for weight in weights[:-1]):
        return "takes hidden layers of one width only"
    if _padded_bytes(recurrent, len(weights)) > ONE_FITS:
        sizes = f"{recurrent.shape[1]} memory and {n_hidden} hidden units"
        return f"has no room for {sizes} in {recurrent.dtype}"
    return None
