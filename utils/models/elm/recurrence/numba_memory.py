"""Compiled loops over time of the memory, forward and backward.

A frame is a chain of small products of vectors and matrices. Several samples go through it side by
side, so that each weight that is fetched serves all of them; their number, vectors and matrices are
padded with zeros to what ``numba_registers`` takes at a time.
"""

from __future__ import annotations

import numpy as np

from utils.models.elm.recurrence.numba_filters import settled
from utils.models.elm.recurrence.numba_registers import (
    LANES,
    NARROWEST,
    ROWS,
    WIDE,
    WIDEST,
    add_narrowest,
    add_vector,
    add_wide,
    add_widest,
)
from utils.models.elm.recurrence.reference import TANH_SLOPE
from utils.models.elm.recurrence.threads import kernel

REGISTER = NARROWEST  # numbers
SIDE_BY_SIDE = 8  # samples
FRAMES = 16  # whose part of the gradient of all weights is one product

# exact in single precision, which compiled sums with doubles widen
ZERO, HALF, ONE, TWO = map(np.float32, (0, 0.5, 1, 2))
P2, P4, Q0, Q2, Q4, Q6 = map(np.float32, (17325, 378, 135135, 62370, 3150, 28))
SIXTEENTH, SMALL, FLAT = np.float32(1 / 16), np.float32(2**-17), np.float32(20)


@kernel
def memory_forward(
    first, last, inputs, weights, biases, widths, keep, gain, initial, silu, memory, hidden, tanh
):
    """``m_t = keep * m_{t-1} + gain * tanh(2/3 z_t)`` for a range of samples.

    ``weights[l]`` (in, out) and ``biases[l]`` (out,) lead from ``widths[l]`` to ``widths[l + 1]``
    units, padded, and all of them from m_{t-1} to z_t; the inputs (batch, time, unit) are the bias
    of the first. Writes ``memory`` (batch, time, memory) and, unless these are empty, ``tanh`` of
    the same shape and ``hidden`` (layer, batch, time, unit), what goes into each activation.
    """
    n_products, n_memory, room = len(widths) - 1, len(keep), weights.shape[2]
    slope = inputs.dtype.type(TANH_SLOPE)
    recording = tanh.size > 0
    for start in range(first, last, SIDE_BY_SIDE):
        n = min(SIDE_BY_SIDE, last - start)
        n_rows = -(-n // ROWS) * ROWS
        state = np.zeros((n_rows, room), inputs.dtype)
        units = np.zeros((n_rows, room), inputs.dtype)
        spare = np.zeros((n_rows, room), inputs.dtype)
        _load(initial, start, n, 0, state)
        for t in range(inputs.shape[1]):
            source = state
            for layer in range(n_products):
                if layer == 0:
                    _load(inputs, start, n, t, units)
                else:
                    _repeat(biases, layer, units)
                _add_product(source, weights[layer], widths[layer], widths[layer + 1], units)
                if layer < n_products - 1:
                    if recording:
                        _store(units, hidden[layer], start, n, t)
                    for s in range(n):
                        for j in range(widths[layer + 1]):
                            units[s, j] = _activation(units[s, j], silu)
                source, units, spare = units, spare, units
            for s in range(n):
                for j in range(widths[0]):
                    source[s, j] = _tanh(slope * source[s, j])
                for j in range(n_memory):
                    state[s, j] = keep[j] * state[s, j] + gain[j] * source[s, j]
            _store(state, memory, start, n, t)
            if recording:
                _store(source, tanh, start, n, t)


@kernel
def memory_backward(
    first,
    last,
    grad,
    weights,
    widths,
    keep,
    gain,
    initial,
    silu,
    memory,
    hidden,
    tanh,
    n_samples,
    grad_inputs,
    grad_weights,
    grad_keep,
    grad_gain,
    grad_initial,
):
    """Gradients from ``grad`` (batch, time, memory) for a range of groups of ``n_samples``.

    ``weights[l]`` (out, in) are those of the forward pass transposed; ``gain`` is multiplied by the
    slope of tanh at 0. Each group has sums of its own: ``grad_weights`` (group, layer, out, in),
    with the gradient of the bias in the column behind the last, added up over FRAMES at a time;
    ``grad_keep`` and ``grad_gain`` (group, memory), or without units where they are not wanted.
    """
    n_products, n_memory, room = len(widths) - 1, len(keep), weights.shape[2]
    n_frames, n_hidden = grad.shape[1], hidden.shape[3]
    for group in range(first, last):
        start = group * n_samples
        n = min(n_samples, len(grad) - start)
        n_rows = -(-n // ROWS) * ROWS
        carry = np.zeros((n_rows, room), grad.dtype)
        units = np.zeros((n_rows, room), grad.dtype)
        spare = np.zeros((n_rows, room), grad.dtype)
        # of FRAMES: what goes into each matrix, and the gradient at what comes out of it
        sources = np.zeros((n_products, FRAMES * n_rows, room), grad.dtype)
        signals = np.zeros((n_products, FRAMES * n_rows, room), grad.dtype)
        for layer in range(1, n_products):
            sources[layer, :, n_hidden] = ONE
        filled = 0
        for t in range(n_frames - 1, -1, -1):
            now = slice(filled, filled + n_rows)
            filled += n_rows
            for s in range(n):
                for j in range(n_memory):
                    carry[s, j] += grad[start + s, t, j]
            before = sources[0, now]
            if t:
                _load(memory, start, n, t - 1, before)
            else:
                _load(initial, start, n, 0, before)
            _load(tanh, start, n, t, units)
            for s in range(n):
                for j in range(grad_keep.shape[1]):
                    grad_keep[group, j] += carry[s, j] * before[s, j]
                for j in range(grad_gain.shape[1]):
                    grad_gain[group, j] += carry[s, j] * units[s, j]
            signal = signals[n_products - 1, now]
            for s in range(n):
                for j in range(n_memory):
                    signal[s, j] = gain[j] * carry[s, j] * (ONE - units[s, j] * units[s, j])
                for j in range(n_memory):
                    carry[s, j] = settled(keep[j] * carry[s, j])
            for layer in range(n_products - 1, 0, -1):
                spare[:] = ZERO
                _add_product(signal, weights[layer], widths[layer + 1], widths[layer], spare)
                source, signal = sources[layer, now], signals[layer - 1, now]
                _load(hidden[layer - 1], start, n, t, units)
                for s in range(n):
                    for j in range(n_hidden):
                        source[s, j] = _activation(units[s, j], silu)
                    for j in range(n_hidden):
                        signal[s, j] = spare[s, j] * _slope(units[s, j], silu)
            _store(signal, grad_inputs, start, n, t)
            _add_product(signal, weights[0], widths[1], widths[0], carry)
            if filled == signals.shape[1] or t == 0:
                _add_weight_gradients(
                    signals, sources, filled, widths, n_hidden, grad_weights[group]
                )
                filled = 0
        _store(carry, grad_initial, start, n, 0)


@kernel
def _add_weight_gradients(signals, sources, n_rows, widths, n_hidden, total):
    """Add the products of the first ``n_rows`` of both, behind the first layer with the bias."""
    with_bias = (n_hidden // REGISTER + 1) * REGISTER
    for layer in range(len(signals)):
        signal = signals[layer, :, : widths[layer + 1]]
        n_columns = with_bias if layer else widths[0]
        _add_product(signal.T, sources[layer], n_rows, n_columns, total[layer])


@kernel
def _load(source, start, n, t, block):
    """Frame t of ``n`` samples of (batch, time, unit), with zeros beyond both."""
    n_units = source.shape[2]
    for s in range(n):
        for j in range(n_units):
            block[s, j] = source[start + s, t, j]
        for j in range(n_units, min(n_units + REGISTER - 1, block.shape[1])):
            block[s, j] = ZERO
    block[n:] = ZERO


@kernel
def _store(block, target, start, n, t):
    for s in range(n):
        for j in range(target.shape[2]):
            target[start + s, t, j] = block[s, j]


@kernel
def _repeat(rows, row, block):
    for s in range(len(block)):
        for j in range(block.shape[1]):
            block[s, j] = rows[row, j]


@kernel
def _add_product(vectors, weights, n_in, n_out, total):
    """Add ``vectors @ weights``, which are 0 in the columns from ``n_out`` on to whole LANES."""
    for j in range(0, n_out, WIDEST):
        left = n_out - j
        for s in range(0, len(vectors), ROWS):
            if left > WIDE:
                add_widest(total, vectors, weights, s, j, n_in)
            elif left > LANES:
                add_wide(total, vectors, weights, s, j, n_in)
            elif left > NARROWEST:
                add_vector(total, vectors, weights, s, j, n_in)
            else:
                add_narrowest(total, vectors, weights, s, j, n_in)


@kernel
def _activation(x, silu):
    """SiLU or ReLU; NaN stays NaN."""
    if silu:
        return x * _sigmoid(x)
    return ZERO if x < ZERO else x


@kernel
def _slope(x, silu):
    """Derivative of the activation."""
    if silu:
        p = _sigmoid(x)
        return p * (ONE + x * (ONE - p))
    return ZERO if x <= ZERO else ONE


@kernel
def _sigmoid(x):
    return HALF + HALF * _tanh(HALF * x)


@kernel
def _tanh(x):
    """Padé approximant at 1 / 16 of the angle, as a fraction, whose angle is doubled four times.

    Exact to a few units in the last place in both precisions, and without branches, so that the
    compiler computes whole registers of it.
    """
    x = FLAT if x > FLAT else x
    x = -FLAT if x < -FLAT else x
    x *= SIXTEENTH
    square = x * x
    p = SMALL * x * (Q0 + square * (P2 + square * (P4 + square)))
    q = SMALL * (Q0 + square * (Q2 + square * (Q4 + square * Q6)))
    for _ in range(4):
        p, q = TWO * p * q, p * p + q * q
    return p / q
