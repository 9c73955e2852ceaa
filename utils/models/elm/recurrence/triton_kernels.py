"""GPU kernels of the recurrence; ``triton_backend`` launches them and says what they compute.

A program owns one sample and runs through all its frames, so that none waits for another. Arrays
are contiguous; blocks are padded to powers of two, and what is padded stays zero.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["n_frames"])
def filter_kernel(
    drive,  # (batch, time, channel)
    kappa,  # (channel,)
    initial,  # (batch, channel)
    filtered,  # (batch, time, channel), written
    n_frames,
    n_channels,
    BACKWARDS: tl.constexpr,  # in time
    FRAMES: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """``filter_dense`` of one sample and CHANNELS of its channels, FRAMES at a time."""
    sample = tl.program_id(0).to(tl.int64)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < n_channels
    decay = tl.load(kappa + channel, mask=known, other=0.0)
    state = tl.load(initial + sample * n_channels + channel, mask=known, other=0.0)
    in_tile = tl.arange(0, FRAMES)
    for start in range(0, n_frames, FRAMES):
        step = start + in_tile
        frame = n_frames - 1 - step if BACKWARDS else step
        place = (sample * n_frames + frame)[:, None] * n_channels + channel[None, :]
        mask = (step < n_frames)[:, None] & known[None, :]
        tile = tl.load(drive + place, mask=mask, other=0.0)
        decays = tl.broadcast_to(decay[None, :], (FRAMES, CHANNELS))
        decays, tile = tl.associative_scan((decays, tile), 0, _one_after_another)
        tile += decays * state[None, :]
        tl.store(filtered + place, tile, mask=mask)
        state = tl.sum(tl.where((in_tile == FRAMES - 1)[:, None], tile, 0.0), axis=0)


@triton.jit(do_not_specialize=["n_frames"])
def memory_kernel(
    inputs,  # (batch, time, hidden)
    recurrent,  # (hidden, memory)
    middle,  # (layer, hidden, hidden): layers from hidden to hidden units
    middle_bias,  # (layer, hidden)
    last,  # (hidden, memory): the last layer's weight, transposed
    last_bias,  # (memory,)
    keep,  # (memory,)
    gain,  # (memory,)
    initial,  # (batch, memory)
    memory,  # (batch, time, memory), written
    tanh,  # (batch, time, memory), written where KEPT
    hidden,  # (layer, batch, time, hidden) before the activation, written where KEPT
    n_frames,
    DEPTH: tl.constexpr,  # layers behind the first
    SILU: tl.constexpr,  # relu otherwise
    SLOPE: tl.constexpr,
    KEPT: tl.constexpr,  # what the gradient needs
    REREAD: tl.constexpr,  # the last layer in every frame, as registers cannot hold it as well
    N_MEMORY: tl.constexpr,
    N_HIDDEN: tl.constexpr,
    MEMORY: tl.constexpr,  # padded
    HIDDEN: tl.constexpr,  # padded
):
    """``memory_recurrence`` of one sample.

    Weights from and to the memory both lie as (hidden, memory): sums run over the memory on the
    way in and over the hidden units on the way out, so that no vector moves between threads.
    """
    sample, n_samples = tl.program_id(0).to(tl.int64), tl.num_programs(0).to(tl.int64)
    start = sample * n_frames
    d, h = tl.arange(0, MEMORY), tl.arange(0, HIDDEN)
    m = _row(initial, sample, d, N_MEMORY)
    m_keep, m_gain = _row(keep, 0, d, N_MEMORY), _row(gain, 0, d, N_MEMORY)
    w_in = _matrix(recurrent, h, d, N_HIDDEN, N_MEMORY)
    if DEPTH > 0:
        bias = _row(last_bias, 0, d, N_MEMORY)
        if not REREAD:
            w_out = _matrix(last, h, d, N_HIDDEN, N_MEMORY)
    frame = _row(inputs, start, h, N_HIDDEN)
    for t in range(n_frames):
        row = start + t
        z = frame + tl.sum(w_in * m[None, :], axis=1)
        after = start + tl.minimum(t + 1, n_frames - 1)  # read long before it is needed
        frame = _row(inputs, after, h, N_HIDDEN)
        for layer in tl.static_range(DEPTH):
            if KEPT:
                _store_row(hidden, layer * n_samples * n_frames + row, h, N_HIDDEN, z)
            if layer < DEPTH - 1:
                w = _matrix(middle + layer * N_HIDDEN * N_HIDDEN, h, h, N_HIDDEN, N_HIDDEN)
                z = tl.sum(w * _activate(z, SILU)[None, :], axis=1)
                z += _row(middle_bias, layer, h, N_HIDDEN)
        if DEPTH > 0:
            if REREAD:
                w_out = _matrix(last, h, d, N_HIDDEN, N_MEMORY)
            y = bias + tl.sum(w_out * _activate(z, SILU)[:, None], axis=0)
        else:
            y = z
        y = _tanh(SLOPE * y)
        m = m_keep * m + m_gain * y
        _store_row(memory, row, d, N_MEMORY, m)
        if KEPT:
            _store_row(tanh, row, d, N_MEMORY, y)


@triton.jit(do_not_specialize=["n_frames"])
def memory_gradient_kernel(
    grad_memory,  # (batch, time, memory)
    recurrent,
    middle,
    last,
    keep,
    gain,
    tanh,
    hidden,
    adjoint,  # (batch, time, memory), written: gradient at the memory through all later frames
    grad_hidden,  # (layer, batch, time, hidden), written: gradient before the activation
    grad_initial,  # (batch, memory), written
    n_frames,
    DEPTH: tl.constexpr,
    SILU: tl.constexpr,
    SLOPE: tl.constexpr,
    REREAD: tl.constexpr,
    N_MEMORY: tl.constexpr,
    N_HIDDEN: tl.constexpr,
    MEMORY: tl.constexpr,
    HIDDEN: tl.constexpr,
):
    """Gradients of one sample, from its last frame to its first; arrays as of the other kernel."""
    sample, n_samples = tl.program_id(0).to(tl.int64), tl.num_programs(0).to(tl.int64)
    start = sample * n_frames
    d, h = tl.arange(0, MEMORY), tl.arange(0, HIDDEN)
    m_keep, m_gain = _row(keep, 0, d, N_MEMORY), _row(gain, 0, d, N_MEMORY)
    w_in = _matrix(recurrent, h, d, N_HIDDEN, N_MEMORY)
    if DEPTH > 0 and not REREAD:
        w_out = _matrix(last, h, d, N_HIDDEN, N_MEMORY)
    from_later = tl.zeros([MEMORY], dtype=grad_memory.dtype.element_ty)
    from_output = _row(grad_memory, start + n_frames - 1, d, N_MEMORY)
    y = _row(tanh, start + n_frames - 1, d, N_MEMORY)
    for t in range(n_frames - 1, -1, -1):
        row = start + t
        g_m = from_output + from_later
        _store_row(adjoint, row, d, N_MEMORY, g_m)
        g = g_m * m_gain * SLOPE * (1.0 - y * y)
        before = start + tl.maximum(t - 1, 0)  # read long before it is needed
        from_output = _row(grad_memory, before, d, N_MEMORY)
        y = _row(tanh, before, d, N_MEMORY)
        if DEPTH > 0:
            if REREAD:
                w_out = _matrix(last, h, d, N_HIDDEN, N_MEMORY)
            g = tl.sum(w_out * g[None, :], axis=1)
        for layer in tl.static_range(DEPTH - 1, -1, -1):
            g *= _slope(_row(hidden, layer * n_samples * n_frames + row, h, N_HIDDEN), SILU)
            if layer > 0:
                _store_row(grad_hidden, layer * n_samples * n_frames + row, h, N_HIDDEN, g)
                w = _matrix(middle + (layer - 1) * N_HIDDEN * N_HIDDEN, h, h, N_HIDDEN, N_HIDDEN)
                g = tl.sum(w * g[:, None], axis=0)
        _store_row(grad_hidden, row, h, N_HIDDEN, g)
        from_later = m_keep * g_m + tl.sum(w_in * g[:, None], axis=0)
    _store_row(grad_initial, sample, d, N_MEMORY, from_later)


@triton.jit
def _one_after_another(decay, value, later_decay, later_value):
    """Two stretches of an exponential filter as one."""
    return decay * later_decay, later_decay * value + later_value


@triton.jit
def _row(array, row, column, N_COLUMNS: tl.constexpr):
    return tl.load(array + row * N_COLUMNS + column, mask=column < N_COLUMNS, other=0.0)


@triton.jit
def _store_row(array, row, column, N_COLUMNS: tl.constexpr, values):
    tl.store(array + row * N_COLUMNS + column, values, mask=column < N_COLUMNS)


@triton.jit
def _matrix(array, row, column, N_ROWS: tl.constexpr, N_COLUMNS: tl.constexpr):
    mask = (row < N_ROWS)[:, None] & (column < N_COLUMNS)[None, :]
    return tl.load(array + row[:, None] * N_COLUMNS + column[None, :], mask=mask, other=0.0)


@triton.jit
def _activate(x, SILU: tl.constexpr):
    return x * _sigmoid(x) if SILU else tl.where(x < 0, 0.0, x)


@triton.jit
def _slope(x, SILU: tl.constexpr):
    """Derivative of the activation."""
    if SILU:
        s = _sigmoid(x)
        return s * (1.0 + x * (1.0 - s))
    else:
        return tl.where(x > 0, 1.0, 0.0)


@triton.jit
def _sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def _tanh(x):
    """To full precision: near 0 Lambert's continued fraction, as the other form cancels there."""
    s = x * x
    above = 2027025.0 + s * (270270.0 + s * (6930.0 + s * 36.0))
    below = 2027025.0 + s * (945945.0 + s * (51975.0 + s * (630.0 + s)))
    e = tl.exp(-2.0 * tl.abs(x))
    far = (1.0 - e) / (1.0 + e)
    return tl.where(s < 0.4, x * above / below, tl.where(x < 0, -far, far))
