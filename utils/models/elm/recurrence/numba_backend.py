"""The recurrence on CPUs: compiled loops over time, with gradients derived by hand.

A gradient that is to be differentiated again comes from the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import Parameter
from torch.nn.functional import pad

from utils.models.elm.recurrence import numba_filters, numba_memory, reference
from utils.models.elm.recurrence.events import Events
from utils.models.elm.recurrence.fallback import differentiable_gradients
from utils.models.elm.recurrence.numba_registers import LANES
from utils.models.elm.recurrence.reference import TANH_SCALE, TANH_SLOPE, Layers
from utils.models.elm.recurrence.threads import over_threads

LARGEST = 2**18  # numbers in a matrix that stays in a core's cache from frame to frame
SAMPLES = 4  # or more, whose gradients add up in one table of weights
Grads = tuple[Tensor | None, ...]


def why_not(primitive: str, *tensors: Tensor) -> str | None:
    """Why this backend cannot compute ``primitive`` for these tensors; None if it can."""
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return "runs on CPUs only"
    if any(type(tensor) not in (Tensor, Parameter) for tensor in tensors):
        return "takes no subclasses of tensors"
    types = {tensor.dtype for tensor in tensors}
    if types not in ({torch.float32}, {torch.float64}):
        return f"takes tensors that are all float32 or all float64, found {sorted(map(str, types))}"
    if primitive == "memory_recurrence":
        inputs, recurrent, *layers = tensors[:-3]
        if recurrent.numel() > LARGEST:
            return f"leaves matrices of more than {LARGEST} numbers to PyTorch's own products"
        if any(len(weight) != inputs.shape[2] for weight in layers[:-2:2]):
            return "takes hidden layers of one width only"
    return None


def filter_dense(drive: Tensor, kappa: Tensor, initial: Tensor) -> Tensor:
    """See :func:`utils.models.elm.recurrence.reference.filter_dense`."""
    return _FilterDense.apply(drive, kappa, initial)


def filter_events(events: Events, weights: Tensor, kappa: Tensor, initial: Tensor) -> Tensor:
    """See :func:`utils.models.elm.recurrence.reference.filter_events`.

    Raises
    ------
    ValueError
        An event of an input, or of a place in the list, that does not exist.
    """
    return _FilterEvents.apply(events, weights, kappa, initial)


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
    return _remember(activation, parts, recording=False)[0]


def filter_synapses(
    inputs: Tensor,
    index: Tensor,
    weights: Tensor,
    kappa: Tensor,
    initial: Tensor,
    n_branches: int,
) -> tuple[Tensor, Tensor]:
    """See :func:`utils.models.elm.recurrence.reference.filter_synapses`."""
    return _FilterSynapses.apply(index, n_branches, inputs, weights, kappa, initial)


class _FilterDense(Function):
    @staticmethod
    def forward(ctx: Any, drive: Tensor, kappa: Tensor, initial: Tensor) -> Tensor:
        filtered = _empty_like(drive)
        arrays = _arrays(drive, kappa, initial, filtered)
        over_threads(numba_filters.filter_forward, len(drive), *arrays)
        ctx.save_for_backward(filtered, drive, kappa, initial)
        return filtered

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Grads:
        filtered, *parts = ctx.saved_tensors
        if torch.is_grad_enabled():
            return tuple(differentiable_gradients(reference.filter_dense, parts, grad))
        return _filter_gradients(grad, filtered, *parts[1:])


class _FilterEvents(Function):
    @staticmethod
    def forward(
        ctx: Any, events: Events, weights: Tensor, kappa: Tensor, initial: Tensor
    ) -> Tensor:
        events = _typed(events, weights)
        batch, n_frames = events.ptr.shape[0], events.ptr.shape[1] - 1
        filtered = weights.new_empty(batch, n_frames, weights.shape[1])
        behind = 0, _whole_registers(len(kappa), LANES) - len(kappa)
        arrays = _arrays(*events, pad(weights, behind), pad(kappa, behind), initial, filtered)
        try:
            over_threads(numba_filters.events_forward, batch, *arrays)
        except IndexError:
            events.check(len(weights))
            raise
        ctx.events = events
        ctx.save_for_backward(filtered, weights, kappa, initial)
        return filtered

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Grads:
        filtered, *parts = ctx.saved_tensors
        if torch.is_grad_enabled():

            def again(*parts: Tensor) -> Tensor:
                return reference.filter_events(ctx.events, *parts)

            return None, *differentiable_gradients(again, parts, grad)
        return None, *_event_gradients(ctx.events, grad, filtered, *parts)


class _Memory(Function):
    """Tensors as of :func:`memory_recurrence`, the layers' last."""

    @staticmethod
    def forward(ctx: Any, activation: str, *parts: Tensor) -> Tensor:
        memory, hidden, tanh = _remember(activation, parts, recording=True)
        ctx.activation = activation
        ctx.save_for_backward(memory, hidden, tanh, *parts)
        return memory

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Grads:
        memory, hidden, tanh, *parts = ctx.saved_tensors
        if torch.is_grad_enabled():

            def again(*parts: Tensor) -> Tensor:
                first, layers = parts[:5], list(zip(parts[5::2], parts[6::2]))
                inputs, recurrent, *rest = first
                return reference.memory_recurrence(inputs, recurrent, layers, *rest, ctx.activation)

            return None, *differentiable_gradients(again, parts, grad)
        return None, *_memory_gradients(ctx.activation, parts, memory, hidden, tanh, grad)


class _FilterSynapses(Function):
    @staticmethod
    def forward(
        ctx: Any,
        index: Tensor,
        n_branches: int,
        inputs: Tensor,
        weights: Tensor,
        kappa: Tensor,
        initial: Tensor,
    ) -> tuple[Tensor, Tensor]:
        sums, last = inputs.new_empty(*inputs.shape[:2], n_branches), _empty_like(initial)
        arrays = _arrays(inputs, index, weights, kappa, initial, sums, last)
        over_threads(numba_filters.synapses_forward, len(inputs), *arrays)
        ctx.n_branches = n_branches
        ctx.save_for_backward(index, inputs, weights, kappa, initial)
        return sums, last

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Grads:
        index, *parts = ctx.saved_tensors
        if torch.is_grad_enabled():

            def again(inputs: Tensor, *parts: Tensor) -> tuple[Tensor, Tensor]:
                return reference.filter_synapses(inputs, index, *parts, ctx.n_branches)

            return None, None, *differentiable_gradients(again, parts, grads)
        inputs, weights, kappa, initial = parts
        found = [_zeros_like(initial) for _ in range(3)]  # of each sample
        arrays = _arrays(*grads, inputs, index, weights, kappa, initial, *found)
        over_threads(numba_filters.synapses_backward, len(inputs), *arrays)
        grad_inputs = None
        if ctx.needs_input_grad[2]:
            grad_inputs = _zeros_like(inputs)
            arrays = _arrays(*grads, index, weights, kappa, grad_inputs)
            over_threads(numba_filters.synapses_to_inputs, len(inputs), *arrays)
        grad_weights, grad_kappa, grad_initial = found
        return None, None, grad_inputs, grad_weights.sum(0), grad_kappa.sum(0), grad_initial


def _filter_gradients(
    grad: Tensor, filtered: Tensor, kappa: Tensor, initial: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the drive, kappa and the initial state."""
    grad_drive, grad_initial = _empty_like(filtered), _empty_like(initial)
    grad_kappa = _zeros_like(initial)  # of each sample
    arrays = _arrays(grad, filtered, kappa, initial, grad_drive, grad_kappa, grad_initial)
    over_threads(numba_filters.filter_backward, len(filtered), *arrays)
    return grad_drive, grad_kappa.sum(0), grad_initial


def _event_gradients(
    events: Events, grad: Tensor, filtered: Tensor, weights: Tensor, kappa: Tensor, initial: Tensor
) -> Grads:
    """Of the weights, kappa and the initial state."""
    (n_inputs, n_channels), batch = weights.shape, len(filtered)
    # as many events in a table as it has inputs
    n_samples = max(SAMPLES, batch * n_inputs // max(len(events.idx), 1))
    n_tables = -(-batch // n_samples)
    room = _whole_registers(n_channels, LANES)
    grad_weights = weights.new_zeros(n_tables, n_inputs, room)
    learns = kappa.requires_grad
    grad_kappa, grad_initial = weights.new_zeros(batch, n_channels * learns), _empty_like(initial)
    over_threads(
        numba_filters.events_backward,
        n_tables,
        *_arrays(grad, filtered, pad(kappa, (0, room - n_channels)), initial, *events),
        n_samples,
        *_arrays(grad_weights, grad_kappa, grad_initial),
    )
    total, *others = grad_weights
    for table in others:  # in less than half the time of a sum
        total += table
    return total[:, :n_channels], grad_kappa.sum(0) if learns else None, grad_initial


def _typed(events: Events, weights: Tensor) -> Events:
    """In the types that kernels know."""
    idx, ptr, val = events
    val = weights.new_ones(len(idx)) if val is None else val.to(weights.dtype)
    return Events(idx.long(), ptr.long().contiguous(), val)


def _remember(
    activation: str, parts: Sequence[Tensor], recording: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The memory, and what its gradient needs, see :func:`numba_memory.memory_forward`."""
    inputs, recurrent, keep, gain, initial, *layers = parts
    matrices = [recurrent, *layers[::2]]
    weights = _padded([matrix.mT for matrix in matrices])
    biases = np.zeros(weights.shape[:2], weights.dtype)
    for row, bias in zip(biases[1:], layers[1::2]):
        row[: len(bias)] = bias.detach()
    batch, n_frames, n_hidden = inputs.shape
    n_recorded = batch if recording else 0
    memory = inputs.new_empty(batch, n_frames, len(keep))
    hidden = inputs.new_empty(len(layers) // 2, n_recorded, n_frames, n_hidden)
    tanh = inputs.new_empty(n_recorded, n_frames, len(keep))
    over_threads(
        numba_memory.memory_forward,
        batch,
        *_arrays(inputs),
        weights,
        biases,
        _padded_widths(matrices),
        *_arrays(keep, TANH_SCALE * gain, initial[:, None]),
        activation == "silu",
        *_arrays(memory, hidden, tanh),
    )
    return memory, hidden, tanh


def _memory_gradients(
    activation: str,
    parts: Sequence[Tensor],
    memory: Tensor,
    hidden: Tensor,
    tanh: Tensor,
    grad: Tensor,
) -> list[Tensor | None]:
    """Gradients of ``parts``."""
    inputs, recurrent, keep, gain, initial, *layers = parts
    matrices = [recurrent, *layers[::2]]
    weights, n_memory = _padded(matrices), len(keep)
    n_samples = SAMPLES if len(inputs) <= SAMPLES**2 else numba_memory.SIDE_BY_SIDE
    n_groups = -(-len(inputs) // n_samples)
    grad_inputs, grad_initial = _empty_like(inputs), _empty_like(initial)
    of_weights = inputs.new_zeros(n_groups, *weights.shape)
    learns = keep.requires_grad or gain.requires_grad
    of_keep, of_gain = inputs.new_zeros(2, n_groups, n_memory * learns)
    over_threads(
        numba_memory.memory_backward,
        n_groups,
        *_arrays(grad),
        weights,
        _padded_widths(matrices),
        *_arrays(keep, TANH_SCALE * TANH_SLOPE * gain, initial[:, None]),
        activation == "silu",
        *_arrays(memory, hidden, tanh),
        n_samples,
        *_arrays(grad_inputs, of_weights, of_keep, of_gain, grad_initial[:, None]),
    )
    of_layers = []
    first, *others = of_weights.sum(0)
    for found, weight in zip(others, layers[::2]):
        n_out, n_in = weight.shape
        of_layers += found[:n_out, :n_in], found[:n_out, n_in]
    grad_recurrent = first[: len(recurrent), :n_memory]
    return [
        grad_inputs,
        grad_recurrent,
        of_keep.sum(0) if learns else None,
        TANH_SCALE * of_gain.sum(0) if learns else None,
        grad_initial,
        *of_layers,
    ]


def _padded(matrices: Sequence[Tensor]) -> np.ndarray:
    """(matrix, row, column) with zeros around, of whole registers, and room for a bias."""
    arrays = [matrix.detach().numpy() for matrix in matrices]
    room = max(_whole_registers(n + 1, LANES) for array in arrays for n in array.shape)
    padded = np.zeros((len(arrays), room, room), arrays[0].dtype)
    for target, array in zip(padded, arrays):
        target[: array.shape[0], : array.shape[1]] = array
    return padded


def _padded_widths(matrices: Sequence[Tensor]) -> np.ndarray:
    """Of what goes into the first matrix (out, in) and what comes out of each."""
    widths = [matrices[0].shape[1], *map(len, matrices)]
    return np.array([_whole_registers(width) for width in widths])


def _whole_registers(n: int, size: int = numba_memory.REGISTER) -> int:
    return -(-n // size) * size


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _empty_like(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def _zeros_like(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor, memory_format=torch.contiguous_format)
