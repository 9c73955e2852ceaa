"""Compiled exponential filters over time, of dense drives, of events and of single synapses."""

from __future__ import annotations

import numpy as np

from utils.models.elm.recurrence.threads import kernel

BLOCK = 8  # entries that are looked at together in the search for events


@kernel
def find_events(first, last, rows, most):
    """Entries other than 0 in a range of rows (row, input), which are bits of any integer type.

    Returns how many each row has, and inputs and values of all; nothing at all where there are more
    than ``most``, with which the search ends.
    """
    n_inputs, none = rows.shape[1], rows.dtype.type(0)
    room = min(most, (last - first) * n_inputs) + n_inputs
    counts = np.zeros(last - first, np.int64)
    idx, val = np.empty(room, np.int32), np.empty(room, rows.dtype)
    n = 0
    for r in range(first, last):
        row, before = rows[r], n
        for start in range(0, n_inputs - BLOCK + 1, BLOCK):
            found = none
            for i in range(BLOCK):
                found |= row[start + i]
            if found != none:
                for i in range(start, start + BLOCK):
                    idx[n], val[n] = i, row[i]  # overwritten by the next one unless it is an event
                    n += row[i] != none
        for i in range(n_inputs // BLOCK * BLOCK, n_inputs):
            if row[i] != none:
                idx[n], val[n] = i, row[i]
                n += 1
        if n > most:
            return counts[:0], idx[:0], val[:0]
        counts[r - first] = n - before
    return counts, idx[:n], val[:n]


@kernel
def filter_forward(first, last, drive, kappa, initial, filtered):
    """Samples ``first .. last`` of ``y_t = kappa * y_{t-1} + drive_t`` (batch, time, channel)."""
    for b in range(first, last):
        before = initial[b]
        for t in range(drive.shape[1]):
            now = filtered[b, t]
            for c in range(len(now)):
                now[c] = kappa[c] * before[c] + drive[b, t, c]
            before = now


@kernel
def filter_backward(
    first, last, grad, filtered, kappa, initial, grad_drive, grad_kappa, grad_initial
):
    """Gradients per sample, from that of what :func:`filter_forward` gives."""
    n_frames, n_channels = grad.shape[1:]
    for b in range(first, last):
        carry = np.zeros(n_channels, grad.dtype)
        for t in range(n_frames - 1, -1, -1):
            before = filtered[b, t - 1] if t else initial[b]
            for c in range(n_channels):
                carry[c] = kappa[c] * carry[c] + grad[b, t, c]
            for c in range(n_channels):
                grad_drive[b, t, c] = carry[c]
            for c in range(n_channels):
                grad_kappa[b, c] += carry[c] * before[c]
        for c in range(n_channels):
            grad_initial[b, c] = kappa[c] * carry[c]


@kernel
def events_forward(first, last, idx, ptr, val, weights, kappa, initial, filtered):
    """As :func:`filter_forward`, the drive being the weights (input, channel) of all events.

    ``val`` is empty where all values are 1. Raises IndexError before it reads beyond an array.
    """
    n_channels = weights.shape[1]
    for b in range(first, last):
        before = initial[b]
        for t in range(filtered.shape[1]):
            now = filtered[b, t]
            for c in range(n_channels):
                now[c] = kappa[c] * before[c]
            if ptr[b, t] < 0 or ptr[b, t + 1] > len(idx):
                raise IndexError("ptr")
            for e in range(ptr[b, t], ptr[b, t + 1]):
                i = idx[e]
                if i < 0 or i >= len(weights):
                    raise IndexError("idx")
                if len(val):
                    for c in range(n_channels):
                        now[c] += val[e] * weights[i, c]
                else:
                    for c in range(n_channels):
                        now[c] += weights[i, c]
            before = now


@kernel
def events_backward(first, last, idx, ptr, val, grad_drive, grad_weights):
    """Add up the gradient of the weights of inputs ``first .. last``, over all samples.

    Each thread passes over all events and leaves those of other inputs out: sums come in the same
    order for any number of threads, and need no room per thread.
    """
    n_channels = grad_weights.shape[1]
    for b in range(len(grad_drive)):
        for t in range(grad_drive.shape[1]):
            for e in range(ptr[b, t], ptr[b, t + 1]):
                i = idx[e]
                if first <= i < last:
                    if len(val):
                        for c in range(n_channels):
                            grad_weights[i, c] += val[e] * grad_drive[b, t, c]
                    else:
                        for c in range(n_channels):
                            grad_weights[i, c] += grad_drive[b, t, c]


@kernel
def synapses_forward(first, last, inputs, index, weights, kappa, initial, sums, final):
    """Samples ``first .. last`` of synapses that each forget in their own time.

    Synapse s hears ``inputs[:, :, index[s]]`` (batch, time, input). Writes their sums over each
    branch (batch, time, branch) and their last state (batch, synapse).
    """
    per_branch = len(weights) // sums.shape[2]
    for b in range(first, last):
        state = final[b]
        state[:] = initial[b]
        for t in range(inputs.shape[1]):
            frame = inputs[b, t]
            for s in range(len(state)):
                state[s] = kappa[s] * state[s] + weights[s] * frame[index[s]]
            for branch in range(sums.shape[2]):
                total = state[branch * per_branch]
                for s in range(branch * per_branch + 1, (branch + 1) * per_branch):
                    total += state[s]
                sums[b, t, branch] = total


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
    n_synapses = len(weights)
    per_branch = n_synapses // grad_sums.shape[2]
    for b in range(first, last):
        state = initial[b].copy()
        by_weight, by_kappa = np.zeros_like(state), np.zeros_like(state)
        by_initial = np.ones_like(state)
        grad = np.zeros_like(state)  # of each synapse's state in this frame
        for t in range(inputs.shape[1]):
            frame = inputs[b, t]
            for s in range(n_synapses):
                by_kappa[s] = kappa[s] * by_kappa[s] + state[s]
            for s in range(n_synapses):
                by_weight[s] = kappa[s] * by_weight[s] + frame[index[s]]
            for s in range(n_synapses):
                state[s] = kappa[s] * state[s] + weights[s] * frame[index[s]]
            for s in range(n_synapses):
                by_initial[s] *= kappa[s]
            for branch in range(grad_sums.shape[2]):
                for s in range(branch * per_branch, (branch + 1) * per_branch):
                    grad[s] = grad_sums[b, t, branch]
            if t == inputs.shape[1] - 1:
                for s in range(n_synapses):
                    grad[s] += grad_final[b, s]
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
                carry[s] *= kappa[s]
