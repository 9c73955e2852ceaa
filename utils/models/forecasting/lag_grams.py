"""Second moments of all windows of a split, without ever building a window.

A linear forecaster needs, per neuron, the mean product of any two positions of a window of
``length`` = context + horizon frames. Stride-1 windows overlap, so these products are almost
constant along the diagonals of the (length, length) matrix: the first row is a correlation
(one FFT), each further entry differs from its upper-left neighbour by the frame that leaves and
the frame that enters. The result equals the explicit sum over windows to float64 rounding.

Gaps and missing entries: only complete windows count. Neurons that miss the same frames (those
of one field of view) are treated together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit

NEURONS_AT_ONCE = 512


@dataclass
class LagGrams:
    """Sums over the complete windows of each neuron, about ``centre``; float64."""

    count: Tensor  # (neuron,) number of complete windows
    sums: Tensor  # (neuron, length)
    products: Tensor  # (neuron, length, length)

    def pooled(self) -> LagGrams:
        """All neurons as if they were one: ``(1, ...)``."""
        return LagGrams(*(part.sum(dim=0, keepdim=True) for part in self._parts()))

    def __add__(self, other: LagGrams) -> LagGrams:
        return LagGrams(*(a + b for a, b in zip(self._parts(), other._parts())))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.count, self.sums, self.products


def neuron_chunks(n_neurons: int) -> Iterator[slice]:
    """Slices that keep the matrices of one chunk small."""
    for first in range(0, n_neurons, NEURONS_AT_ONCE):
        yield slice(first, min(first + NEURONS_AT_ONCE, n_neurons))


def lag_grams(data: WindowData, split: WindowSplit, neurons: slice, centre: Tensor) -> LagGrams:
    """Sums over all stride-1 windows of ``split`` for some neurons.

    ``centre`` (neuron,) is subtracted first; it keeps the sums well conditioned.
    """
    length = data.context + data.horizon
    n = neurons.stop - neurons.start
    sums = torch.zeros(n, length, dtype=torch.float64)
    grams = LagGrams(sums.new_zeros(n), sums, torch.zeros(n, length, length, dtype=torch.float64))
    starts = np.sort(np.asarray(split.starts))
    if len(starts) == 0:
        return grams
    first = int(starts[0])
    rows = slice(first, int(starts[-1]) + length)
    values = data.activity[rows, neurons].double().T - centre[:, None]  # (neuron, time)
    for members, runs in complete_runs(values.isfinite().numpy(), starts - first, length):
        for start, stop in runs:
            _add_run(grams, members, values[members, start : stop + length - 1], stop - start)
    return grams


def _add_run(grams: LagGrams, members: Tensor, run: Tensor, n_windows: int) -> None:
    """Add the windows that start in the first ``n_windows`` frames of ``run`` (neuron, time)."""
    length = grams.sums.shape[1]
    head, tail = run[:, : length - 1], run[:, n_windows:]  # frames that leave, that enter
    steps = torch.cat([run[:, :n_windows].sum(dim=1, keepdim=True), tail - head], dim=1)
    products = run.new_zeros(len(run), length, length)
    products[:, 0] = _correlation(run, n_windows, length)
    for i in range(1, length):
        entering = tail[:, i - 1, None] * tail[:, i - 1 :]
        leaving = head[:, i - 1, None] * head[:, i - 1 :]
        products[:, i, i:] = products[:, i - 1, i - 1 : -1] + entering - leaving
    upper = products.triu(diagonal=1)
    grams.count[members] += n_windows
    grams.sums[members] += steps.cumsum(dim=1)
    grams.products[members] += products + upper.mT


def _correlation(run: Tensor, n_windows: int, n_lags: int) -> Tensor:
    """``sum_s run[s] run[s + lag]`` over the first ``n_windows`` frames: (neuron, lag)."""
    size = next_fast_len(run.shape[1], real=True)
    left, right = torch.fft.rfft(run[:, :n_windows], size), torch.fft.rfft(run, size)
    return torch.fft.irfft(left.conj() * right, size)[:, :n_lags]


def complete_runs(
    observed: np.ndarray, starts: np.ndarray, length: int
) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Groups of neurons with equal missing frames, and their runs of complete window starts.

    ``observed`` is (neuron, time), ``starts`` are sorted frames in it; runs are [start, stop).
    """
    if observed.all():
        yield torch.arange(len(observed)), _runs(starts)
        return
    patterns, group = np.unique(np.packbits(observed, axis=1), axis=0, return_inverse=True)
    for index in range(len(patterns)):
        members = np.flatnonzero(group.ravel() == index)
        missing = np.concatenate([[0], np.cumsum(~observed[members[0]])])
        complete = missing[starts + length] == missing[starts]
        yield torch.from_numpy(members), _runs(starts[complete])


def _runs(starts: np.ndarray) -> np.ndarray:
    """Consecutive integers as ``(n, 2)`` of [start, stop)."""
    if len(starts) == 0:
        return np.empty((0, 2), dtype=np.int64)
    breaks = np.flatnonzero(np.diff(starts) != 1) + 1
    return np.stack(
        [starts[np.r_[0, breaks]], starts[np.r_[breaks - 1, len(starts) - 1]] + 1], axis=1
    )
