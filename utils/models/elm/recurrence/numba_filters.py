"""Compiled exponential filters over time, of dense drives, of events and of single synapses."""

from __future__ import annotations

import numpy as np

from utils.models.elm.recurrence.numba_registers import add_multiple
from utils.models.elm.recurrence.threads import kernel

BLOCK = 8  # entries that are looked at together in the search for events
ZERO, TINY = np.float32(0), np.float32(1e-30)


@kernel
def find_events(first, last, rows, mask, most):
    """Entries other than 0 in a range of rows (row, input), whose bits are read as integers.

    Bits outside of ``mask`` do not count, such as the sign of a zero. Returns how many each row
    has, and inputs and values of all; nothing at all where there are more than ``most``, with
    which the search ends.
    """
    n_inputs, none = rows.shape[1], rows.dtype.type(0)
    room = min(most, (last - first) * n_inputs) + n_inputs
    counts = np.zeros(last - first, np.int64)
    idx, val = np.empty(room, np.int64), np.empty(room, rows.dtype)
    n = 0
    for r in range(first, last):
        row, before = rows[r], n
        for start in range(0, n_inputs - BLOCK + 1, BLOCK):
            found = none
            for i in range(BLOCK):
                found |= row[start + i]
            if found & mask != none:
                for i in range(start, start + BLOCK):
                    idx[n], val[n] = i, row[i]  # overwritten by the next one unless it is an event
                    n += row[i] & mask != none
        for i in range(n_inputs // BLOCK * BLOCK, n_inputs):
            if row[i] & mask != none:
                idx[n], val[n] = i, row[i]
                n += 1
        if n > most:
            return counts[:0], idx[:0], val[:0]
        counts[r - first] = n - before
    return counts, idx[:n], val[:n]


@kernel
def filter_forward(first, last, drive, kappa, initial, filtered):
    """Samples ``first .. last`` of ``y_t = kappa * y_{t-1} + drive_t`` (batch, time, channel)."""
    n_channels = len(kappa)
    for b in range(first, last):
        state = initial[b].copy()
        for t in range(drive.shape[1]):
            for c in range(n_channels):
                state[c] = settled(kappa[c] * state[c] + drive[b, t, c])
            for c in range(n_channels):
                filtered[b, t, c] = state[c]


@kernel
def filter_backward(
    first, last, grad, filtered, kappa, initial, grad_drive, grad_kappa, grad_initial
):
    """Gradients per sample, from that of what :func:`filter_forward` gives."""
    n_channels = len(kappa)
    for b in range(first, last):
        carry = np.zeros_like(kappa)
        for t in range(grad.shape[1] - 1, -1, -1):
            for c in range(n_channels):
                carry[c] = settled(kappa[c] * carry[c] + grad[b, t, c])
            for c in range(n_channels):
                grad_drive[b, t, c] = carry[c]
            before = filtered[b, t - 1] if t else initial[b]
            for c in range(n_channels):
                grad_kappa[b, c] += carry[c] * before[c]
        for c in range(n_channels):
            grad_initial[b, c] = kappa[c] * carry[c]


@kernel
def well_formed(idx, ptr, n_inputs):
    """Whether ``ptr`` rises along time within the events ``idx``, of inputs below ``n_inputs``."""
    fits = True
    for e in range(len(idx)):
        fits &= (idx[e] >= 0) & (idx[e] < n_inputs)
    for b in range(len(ptr)):
        fits &= (ptr[b, 0] >= 0) & (ptr[b, -1] <= len(idx))
        for t in range(ptr.shape[1] - 1):
            fits &= ptr[b, t] <= ptr[b, t + 1]
    return fits


@kernel
def events_forward(first, last, idx, ptr, val, weights, kappa, initial, filtered):
    """As :func:`filter_forward`, the drive being the weights (input, channel) of all events.

    Weights and ``kappa`` have channels that are 0 behind the last, up to whole LANES. Raises
    IndexError before it reads beyond an array.
    """
    n_channels, room = filtered.shape[2], len(kappa)
    for b in range(first, last):
        state = np.zeros((1, room), kappa.dtype)
        for c in range(n_channels):
            state[0, c] = initial[b, c]
        for t in range(filtered.shape[1]):
            if ptr[b, t] < 0 or ptr[b, t + 1] > len(idx):
                raise IndexError("ptr")
            for c in range(room):
                state[0, c] = settled(kappa[c] * state[0, c])
            for e in range(ptr[b, t], ptr[b, t + 1]):
                i = idx[e]
                if i < 0 or i >= len(weights):
                    raise IndexError("idx")
                add_multiple(state, 0, val[e], weights, i)
            for c in range(n_channels):
                filtered[b, t, c] = state[0, c]


@kernel
def events_backward(
    first,
    last,
    grad,
    filtered,
    kappa,
    initial,
    idx,
    ptr,
    val,
    n_samples,
    grad_weights,
    grad_kappa,
    grad_initial,
):
    """Gradients from that of what :func:`events_forward` gives, (batch, time, channel).

    ``n_samples`` neighbouring samples, the same for any number of threads, add theirs up in one
    table of ``grad_weights`` (table, input, channel), of which ``first .. last`` are filled. These
    and ``kappa`` have the room of whole LANES; the rest is as of :func:`filter_backward`, but that
    ``grad_kappa`` may have no channels, where it is not wanted.
    """
    n_channels, room = grad.shape[2], len(kappa)
    for place in range(first, last):
        table = grad_weights[place]
        for b in range(place * n_samples, min((place + 1) * n_samples, len(grad))):
            carry = np.zeros((1, room), kappa.dtype)
            for t in range(grad.shape[1] - 1, -1, -1):
                for c in range(n_channels):
                    carry[0, c] = settled(kappa[c] * carry[0, c] + grad[b, t, c])
                for e in range(ptr[b, t], ptr[b, t + 1]):
                    add_multiple(table, idx[e], val[e], carry, 0)
                before = filtered[b, t - 1] if t else initial[b]
                for c in range(grad_kappa.shape[1]):
                    grad_kappa[b, c] += carry[0, c] * before[c]
            for c in range(n_channels):
                grad_initial[b, c] = kappa[c] * carry[0, c]


@kernel
def synapses_forward(first, last, inputs, index, weights, kappa, initial, sums, final):
    """Samples ``first .. last`` of synapses that each forget in their own time.

    Synapse s hears ``inputs[:, :, index[s]]`` (batch, time, input). Writes their sums over each
    branch (batch, time, branch) and their last state (batch, synapse).
    """
    n_synapses = len(weights)
    per_branch = n_synapses // sums.shape[2]
    heard = np.empty_like(weights)
    for b in range(first, last):
        state = initial[b].copy()
        for t in range(inputs.shape[1]):
            for s in range(n_synapses):
                heard[s] = inputs[b, t, index[s]]
            for s in range(n_synapses):
                state[s] = settled(kappa[s] * state[s] + weights[s] * heard[s])
            for branch in range(sums.shape[2]):
                total = weights.dtype.type(0)
                for s in range(branch * per_branch, (branch + 1) * per_branch):
                    total += state[s]
                sums[b, t, branch] = total
        for s in range(n_synapses):
            final[b, s] = state[s]


@kernel
def synapses_backward(
    first,
    last,
    grad_sums,
    grad_final,
    inputs,
    index,
    weights,
    kappa,
    initial,
    grad_weights,
    grad_kappa,
    grad_initial,
):
    """Gradients per sample (batch, synapse), without any record of the synapses over time.

    The derivatives of a state obey the same recurrence as the state, so that they are carried
    along in a second pass forward in time.
    """
    n_frames, n_synapses = inputs.shape[1], len(weights)
    per_branch = n_synapses // grad_sums.shape[2]
    heard, grad = np.empty_like(weights), np.empty_like(weights)
    for b in range(first, last):
        state = initial[b].copy()
        by_weight, by_kappa = np.zeros_like(weights), np.zeros_like(weights)
        by_initial = np.ones_like(weights)
        for t in range(n_frames):
            for branch in range(grad_sums.shape[2]):
                for s in range(branch * per_branch, (branch + 1) * per_branch):
                    grad[s] = grad_sums[b, t, branch]
            if t == n_frames - 1:
                for s in range(n_synapses):
                    grad[s] += grad_final[b, s]
            for s in range(n_synapses):
                heard[s] = inputs[b, t, index[s]]
            for s in range(n_synapses):
                by_kappa[s] = settled(kappa[s] * by_kappa[s] + state[s])
                state[s] = settled(kappa[s] * state[s] + weights[s] * heard[s])
            for s in range(n_synapses):
                by_weight[s] = settled(kappa[s] * by_weight[s] + heard[s])
                by_initial[s] = settled(kappa[s] * by_initial[s])
            for s in range(n_synapses):
                grad_weights[b, s] += grad[s] * by_weight[s]
            for s in range(n_synapses):
                grad_kappa[b, s] += grad[s] * by_kappa[s]
            for s in range(n_synapses):
                grad_initial[b, s] += grad[s] * by_initial[s]


@kernel
def synapses_to_inputs(first, last, grad_sums, grad_final, index, weights, kappa, grad_inputs):
    """Add the gradient of the inputs (batch, time, input) of a range of samples."""
    n_synapses = len(weights)
    per_branch = n_synapses // grad_sums.shape[2]
    for b in range(first, last):
        carry = grad_final[b].copy()
        for t in range(grad_inputs.shape[1] - 1, -1, -1):
            for branch in range(grad_sums.shape[2]):
                for s in range(branch * per_branch, (branch + 1) * per_branch):
                    carry[s] += grad_sums[b, t, branch]
            for s in range(n_synapses):
                grad_inputs[b, t, index[s]] += weights[s] * carry[s]
            for s in range(n_synapses):
                carry[s] = settled(kappa[s] * carry[s])


@kernel
def settled(x):
    """0 in place of numbers so small that processors take a hundred times as long for them."""
    return ZERO if abs(x) < TINY else x
