"""What the recurrence of an ELM neuron is, in plain PyTorch: every backend must equal it.

Differentiable any number of times, on any device and in any floating type.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from utils.models.elm.recurrence.events import Events

TANH_SCALE, TANH_SLOPE = 1.7159, 2 / 3  # LeCun's scaled tanh
ACTIVATIONS = {"relu": functional.relu, "silu": functional.silu}
SYNAPSES_AT_ONCE = 256

Layers = Sequence[tuple[Tensor, Tensor]]  # weight (out, in) and bias (out,)


def filter_dense(drive: Tensor, kappa: Tensor, initial: Tensor) -> Tensor:
    """Causal exponential filter, ``y_t = kappa * y_{t-1} + drive_t`` with ``y_{-1} = initial``.

    Parameters
    ----------
    drive : (batch, time, channel).
    kappa : (channel,) what is left of a state after a step, 0 .. 1.
    initial : (batch, channel).

    Returns
    -------
    (batch, time, channel). Sums of ever longer stretches are combined, ``log2(time)`` passes.
    """
    first = drive[:, :1] + (kappa * initial)[:, None]
    filtered = torch.cat([first, drive[:, 1:]], dim=1)
    reach = 1  # frames that each entry sums over
    while reach < filtered.shape[1]:
        later = filtered[:, reach:] + kappa * filtered[:, :-reach]
        filtered = torch.cat([filtered[:, :reach], later], dim=1)
        reach, kappa = 2 * reach, kappa.square()
    return filtered


def filter_events(events: Events, weights: Tensor, kappa: Tensor, initial: Tensor) -> Tensor:
    """:func:`filter_dense` of :func:`sum_events`."""
    return filter_dense(sum_events(events, weights), kappa, initial)


def sum_events(events: Events, weights: Tensor) -> Tensor:
    """Sum of the weights of all events that fall into the same frame.

    Parameters
    ----------
    events : of (batch, time, input).
    weights : (input, channel).

    Returns
    -------
    (batch, time, channel).
    """
    batch, time = events.ptr.shape[0], events.ptr.shape[1] - 1
    place, row = events.rows()
    values = weights[events.idx[place].long()]  # (event, channel)
    if events.val is not None:
        values = values * events.val[place, None].to(weights.dtype)
    # index_add would sum in another order every time on a GPU
    total = weights.new_zeros(batch * time, weights.shape[1])
    return total.index_put((row,), values, accumulate=True).unflatten(0, (batch, time))


def memory_recurrence(
    inputs: Tensor,
    recurrent: Tensor,
    layers: Layers,
    keep: Tensor,
    gain: Tensor,
    initial: Tensor,
    activation: str,
) -> Tensor:
    """The part of an ELM neuron that is not linear in time.

    ``m_t = keep * m_{t-1} + gain * 1.7159 tanh(2/3 z_t)``, where ``z_t`` is the output of a
    multilayer perceptron whose first layer gives ``inputs_t + recurrent @ m_{t-1}``.

    Parameters
    ----------
    inputs : (batch, time, hidden) the first layer's part that does not depend on the memory.
    recurrent : (hidden, memory) its part that does.
    layers : weights and biases of the layers behind it, the last one to (memory,); without any,
        the first layer's output is ``z_t``.
    keep, gain : (memory,).
    initial : (batch, memory) the memory before the first frame.
    activation : ``"relu"`` or ``"silu"``, before each of ``layers``.

    Returns
    -------
    (batch, time, memory).
    """
    activate = ACTIVATIONS[activation]
    gain, recurrent = TANH_SCALE * gain, recurrent.mT
    layers = [(weight.mT, bias) for weight, bias in layers]
    memory, memories = initial, []
    for frame in inputs.unbind(1):
        z = torch.addmm(frame, memory, recurrent)
        for weight, bias in layers:
            z = torch.addmm(bias, activate(z), weight)
        memory = torch.addcmul(keep * memory, gain, torch.tanh(TANH_SLOPE * z))
        memories.append(memory)
    return torch.stack(memories, dim=1)


def filter_synapses(
    inputs: Tensor,
    index: Tensor,
    weights: Tensor,
    kappa: Tensor,
    initial: Tensor,
    n_branches: int,
) -> tuple[Tensor, Tensor]:
    """Synapses with a time constant of their own, summed over each branch.

    Parameters
    ----------
    inputs : (batch, time, input).
    index : (synapse,) the input of each synapse.
    weights, kappa : (synapse,).
    initial : (batch, synapse).
    n_branches : neighbouring synapses belong to the same branch, equally many to each.

    Returns
    -------
    Branch sums (batch, time, branch) and the synapses' last state (batch, synapse). A gradient
    filters again instead of keeping the traces of all synapses.
    """
    per_branch = weights.shape[0] // n_branches
    step = max(1, SYNAPSES_AT_ONCE // per_branch) * per_branch  # whole branches
    keeps_nothing = partial(checkpoint, _sum_of_synapses, use_reentrant=False)
    transformed = torch._C._are_functorch_transforms_active()  # these cannot filter again
    sum_up = _sum_of_synapses if transformed else keeps_nothing
    sums, last = [], []
    for start in range(0, weights.shape[0], step):
        part = slice(start, start + step)
        arguments = index[part], weights[part], kappa[part], initial[:, part], per_branch
        found = sum_up(inputs, *arguments)
        sums.append(found[0])
        last.append(found[1])
    return torch.cat(sums, dim=2), torch.cat(last, dim=1)


def _sum_of_synapses(
    inputs: Tensor,
    index: Tensor,
    weights: Tensor,
    kappa: Tensor,
    initial: Tensor,
    per_branch: int,
) -> tuple[Tensor, Tensor]:
    traces = filter_dense(inputs[:, :, index] * weights, kappa, initial)
    return traces.unflatten(2, (-1, per_branch)).sum(dim=3), traces[:, -1]
