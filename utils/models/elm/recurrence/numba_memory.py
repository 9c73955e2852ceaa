"""Compiled loops over time of the memory, forward and backward.

A step is a chain of small products of vectors and weights. Several samples go through it side by
side, so that each weight that is fetched serves all of them; vectors and weights are padded with
zeros to whole registers of the processor.
"""

from __future__ import annotations

import numpy as np

from utils.models.elm.recurrence.reference import TANH_SLOPE
from utils.models.elm.recurrence.threads import kernel

REGISTER = 8  # numbers
SIDE_BY_SIDE = 8  # samples


@kernel
def memory_forward(
    first, last, inputs, weights, biases, widths, keep, gain, initial, silu, memory, hidden, tanh
):
    """``m_t = keep * m_{t-1} + gain * tanh(2/3 z_t)`` for a range of samples.

    ``weights[l]`` (in, out) and ``biases[l]`` (out,) lead from ``widths[l]`` to ``widths[l + 1]``
    units, padded, and all of them from m_{t-1} to z_t; the bias of the first are the inputs (batch,
    time, unit).
    Writes ``memory`` (batch, time, memory). Where these have room, also ``tanh`` (batch, time,
    memory) and ``hidden`` (layer, batch, time, unit), which are activations for ReLU and what goes
    into the activation for SiLU.
    """
    n_products, room = len(widths) - 1, weights.shape[2]
    slope = inputs.dtype.type(TANH_SLOPE)
    recording = tanh.size > 0
    for start in range(first, last, SIDE_BY_SIDE):
        n = min(SIDE_BY_SIDE, last - start)
        state = np.zeros((n, room), inputs.dtype)
        units = np.zeros((n, room), inputs.dtype)
        spare = np.zeros((n, room), inputs.dtype)
        _load(initial, start, n, state)
        for t in range(inputs.shape[1]):
            source = state
            for layer in range(n_products):
                if layer == 0:
                    _load(inputs[:, t], start, n, units)
                else:
                    _fill(biases[layer], units)
                _add_product(source, weights[layer], widths[layer], widths[layer + 1], units)
                if layer < n_products - 1:
                    if recording and silu:
                        _store(units, hidden[layer, :, t], start)
                    _activate(units, widths[layer + 1], silu)
                    if recording and not silu:
                        _store(units, hidden[layer, :, t], start)
                source, units, spare = units, spare, units
            _tanh(source, widths[0], slope)
            if recording:
                _store(source, tanh[:, t], start)
            for s in range(n):
                for j in range(len(keep)):
                    state[s, j] = keep[j] * state[s, j] + gain[j] * source[s, j]
            _store(state, memory[:, t], start)


@kernel
def memory_backward(
    first,
    last,
    grad_memory,
    weights,
    widths,
    keep,
    gain,
    silu,
    hidden,
    tanh,
    previous,
    grad_hidden,
    grad_z,
    grad_keep,
    grad_gain,
    grad_initial,
):
    """Gradients of a range of samples, from that of the memory (batch, time, memory).

    ``weights[l]`` (out, in) are those of the forward pass transposed, ``gain`` is multiplied by the
    slope, ``previous`` is the memory one frame earlier. Writes the gradients of what each product
    gives, ``grad_hidden`` (layer, batch, time, unit) and ``grad_z`` (batch, time, memory), from
    which those of the weights follow; and per sample those of the rest.
    """
    n_products, room, one = len(widths) - 1, weights.shape[2], tanh.dtype.type(1)
    for start in range(first, last, SIDE_BY_SIDE):
        n = min(SIDE_BY_SIDE, last - start)
        carry = np.zeros((n, room), tanh.dtype)  # gradient of the state
        units = np.zeros((n, room), tanh.dtype)
        spare = np.zeros((n, room), tanh.dtype)
        for t in range(tanh.shape[1] - 1, -1, -1):
            for s in range(n):
                b = start + s
                for j in range(tanh.shape[2]):
                    carry[s, j] += grad_memory[b, t, j]
                for j in range(tanh.shape[2]):
                    grad_keep[b, j] += carry[s, j] * previous[b, t, j]
                for j in range(tanh.shape[2]):
                    grad_gain[b, j] += carry[s, j] * tanh[b, t, j]
                for j in range(tanh.shape[2]):
                    units[s, j] = carry[s, j] * gain[j] * (one - tanh[b, t, j] * tanh[b, t, j])
                for j in range(tanh.shape[2]):
                    carry[s, j] *= keep[j]
            _store(units, grad_z[:, t], start)
            for layer in range(n_products - 1, 0, -1):
                spare[:] = 0
                _add_product(units, weights[layer], widths[layer + 1], widths[layer], spare)
                _deactivate(hidden[layer - 1, :, t], start, silu, spare)
                _store(spare, grad_hidden[layer - 1, :, t], start)
                units, spare = spare, units
            _add_product(units, weights[0], widths[1], widths[0], carry)
        _store(carry, grad_initial, start)


@kernel
def _load(source, start, n, block):
    for s in range(n):
        for j in range(source.shape[1]):
            block[s, j] = source[start + s, j]
        for j in range(source.shape[1], block.shape[1]):
            block[s, j] = 0


@kernel
def _fill(row, block):
    for s in range(len(block)):
        for j in range(len(row)):
            block[s, j] = row[j]


@kernel
def _store(block, target, start):
    for s in range(len(block)):
        for j in range(target.shape[1]):
            target[start + s, j] = block[s, j]


@kernel
def _add_product(vectors, weights, n_in, n_out, total):
    """Add ``vectors @ weights``, eight rows of weights at a time."""
    for k in range(0, n_in, REGISTER):
        for s in range(len(vectors)):
            x0, x1, x2, x3 = vectors[s, k], vectors[s, k + 1], vectors[s, k + 2], vectors[s, k + 3]
            x4, x5, x6, x7 = (
                vectors[s, k + 4],
                vectors[s, k + 5],
                vectors[s, k + 6],
                vectors[s, k + 7],
            )
            for j in range(n_out):
                total[s, j] += (
                    x0 * weights[k, j]
                    + x1 * weights[k + 1, j]
                    + x2 * weights[k + 2, j]
                    + x3 * weights[k + 3, j]
                ) + (
                    x4 * weights[k + 4, j]
                    + x5 * weights[k + 5, j]
                    + x6 * weights[k + 6, j]
                    + x7 * weights[k + 7, j]
                )


@kernel
def _activate(block, width, silu):
    """ReLU or SiLU in place; NaN stays NaN."""
    zero = block.dtype.type(0)
    if silu:
        sigmoid = block.copy()
        _sigmoid(sigmoid, width)
        for s in range(len(block)):
            for j in range(width):
                block[s, j] *= sigmoid[s, j]
    else:
        for s in range(len(block)):
            for j in range(width):
                block[s, j] = zero if block[s, j] < zero else block[s, j]


@kernel
def _deactivate(hidden, start, silu, grads):
    """Multiply by the slope of the activation."""
    width, zero, one = hidden.shape[1], grads.dtype.type(0), grads.dtype.type(1)
    if silu:
        sigmoid = np.zeros_like(grads)
        _load(hidden, start, len(grads), sigmoid)
        _sigmoid(sigmoid, width)
        for s in range(len(grads)):
            for j in range(width):
                p = sigmoid[s, j]
                grads[s, j] *= p * (one + hidden[start + s, j] * (one - p))
    else:
        for s in range(len(grads)):
            for j in range(width):
                grads[s, j] = zero if hidden[start + s, j] <= zero else grads[s, j]


@kernel
def _sigmoid(block, width):
    """In place, ``(1 + tanh(x / 2)) / 2``."""
    half = block.dtype.type(0.5)
    _tanh(block, width, half)
    for s in range(len(block)):
        for j in range(width):
            block[s, j] = half + half * block[s, j]


@kernel
def _tanh(block, width, slope):
    """``tanh(slope * x)`` in place: Padé approximant at 1 / 16 of the angle, doubled four times.

    Exact to a few units in the last place in both precisions, and without branches, so that the
    compiler works on whole registers.
    """
    number = block.dtype.type
    limit = number(20)
    for s in range(len(block)):
        for j in range(width):
            x = slope * block[s, j]
            x = limit if x > limit else x
            x = -limit if x < -limit else x
            x *= number(1 / 16)
            square = x * x
            p = number(378) + square
            p = number(17325) + square * p
            p = x * (number(1) + square * p * number(1 / 135135))
            q = number(3150) + square * number(28)
            q = number(62370) + square * q
            q = number(1) + square * q * number(1 / 135135)
            for _ in range(4):
                p, q = number(2) * p * q, p * p + q * q
            block[s, j] = p / q
