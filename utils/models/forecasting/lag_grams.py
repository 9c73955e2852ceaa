"""Sums of products over all windows of a split, without ever building a window.

A linear forecaster needs the mean product of any two positions of a window. Stride-1 windows
overlap, so these products are almost constant along the diagonals: the first row and the first
column are correlations, each further entry differs from its upper-left neighbour only by the
frame that leaves and the frame that enters. The results equal the explicit sums over windows to
float64 rounding.

Gaps and missing entries: only complete windows count. Neurons that miss the same frames (those
of one field of view) form a group and are treated together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit

NEURONS_AT_ONCE = 512
DESIGN_SIZE = 2**23  # entries of the pieces that correlations are summed from


class Group(NamedTuple):
    """Neurons that miss the same frames, and where their complete windows start."""

    neurons: Tensor  # (neuron,)
    runs: dict[str, np.ndarray]  # per split, from the first frame of its windows on: (run, 2)

    def chunks(self) -> Iterator[Tensor]:
        """The neurons in portions that keep the matrices small."""
        yield from self.neurons.split(NEURONS_AT_ONCE)


def neuron_groups(data: WindowData, splits: Sequence[WindowSplit]) -> list[Group]:
    """All neurons, by the frames that they miss in ``splits``."""
    if not any(split.has_missing for split in splits):
        whole = {split.name: _runs(_starts(split)) for split in splits}
        return [Group(torch.arange(data.n_neurons), whole)]
    patterns = np.concatenate([_missing_patterns(data, split) for split in splits], axis=1)
    _, examples, group = np.unique(patterns, axis=0, return_index=True, return_inverse=True)
    return [
        Group(
            torch.from_numpy(np.flatnonzero(group.ravel() == index)),
            {split.name: complete_runs(data, split, int(example)) for split in splits},
        )
        for index, example in enumerate(examples)
    ]


def complete_runs(data: WindowData, split: WindowSplit, neuron: int) -> np.ndarray:
    """Runs of windows in which a neuron misses nothing: (run, 2) of first start and past the last.

    Frames are counted from the first one of the windows of ``split``.
    """
    starts = _starts(split)
    missing = ~np.isfinite(data.activity[split_rows(split), neuron].numpy())
    before = np.concatenate([[0], np.cumsum(missing)])
    return _runs(starts[before[starts + data.window] == before[starts]])


def split_rows(split: WindowSplit) -> slice:
    """From the first frame of the windows to the last."""
    if len(split) == 0:
        return slice(0, 0)
    return slice(int(split.starts.min()), int(split.starts.max()) + split.data.window)


def lag_grams(values: Tensor, runs: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
    """Sums and sums of products at the first ``length`` positions of the windows in ``runs``.

    ``values`` (neuron, time) float64 -> (neuron, length), (neuron, length, length).
    """
    n = len(values)
    sums, products = values.new_zeros(n, length), values.new_zeros(n, length, length)
    if len(runs) == 0 or n == 0:
        return sums, products
    for start, stop in runs.tolist():
        sums[:, 0] += values[:, start:stop].sum(dim=1)
        products[:, 0] += _correlation(values[:, start : stop + length - 1], stop - start, length)
    products[:, :, 0] = products[:, 0]
    steps = torch.arange(length - 1)
    leaving, entering = (
        values[:, torch.from_numpy(border)[:, None] + steps] for border in (runs[:, 0], runs[:, 1])
    )  # (neuron, run, step)
    sums[:, 1:] = sums[:, :1] + (entering - leaving).sum(dim=1).cumsum(dim=1)
    change = entering.mT @ entering - leaving.mT @ leaving
    for row in range(1, length):
        products[:, row, 1:] = products[:, row - 1, :-1] + change[:, row - 1]
    return sums, products


def cross_sums(
    left: Tensor, right: Tensor, runs: np.ndarray, n_rows: int, n_columns: int
) -> Tensor:
    """Sums over windows of left at a row's position times right at a column's position.

    ``left`` (series, time), ``right`` (time, component) -> (series, row, column, component).
    """
    a, b = left.numpy(), right.numpy()
    total = np.zeros((len(a), n_rows, n_columns, b.shape[1]))
    if total.size == 0 or len(runs) == 0:
        return torch.from_numpy(total)
    for start, stop in _pieces(runs, max(n_rows, n_columns) * b.shape[1]):
        total[:, 0] += _first_row(a[:, start:stop], b[start:], n_columns)
        column = _first_column(a[:, start : stop + n_rows - 1], b[start:stop], n_rows)
        total[:, 1:, 0] += column[:, 1:]
    borders, signs = np.r_[runs[:, 1], runs[:, 0]], np.repeat([1.0, -1.0], len(runs))
    columns = b[borders[:, None] + np.arange(n_columns - 1)]  # (border, column, component)
    columns = (signs[:, None, None] * columns).reshape(len(borders), -1)
    for row in range(1, n_rows):
        change = a[:, borders + row - 1] @ columns
        change = change.reshape(len(a), n_columns - 1, b.shape[1])
        np.add(total[:, row - 1, :-1], change, out=total[:, row, 1:])
    return torch.from_numpy(total)


def position_sums(values: Tensor, runs: np.ndarray, n_positions: int) -> Tensor:
    """Sums over windows of (time, component) at each position: (position, component)."""
    total = values.new_zeros(n_positions, values.shape[1])
    for start, stop in runs.tolist():
        for position in range(n_positions):
            total[position] += values[start + position : stop + position].sum(dim=0)
    return total


def _correlation(run: Tensor, n_windows: int, n_lags: int) -> Tensor:
    """``sum_s run[s] run[s + lag]`` over the first ``n_windows`` frames: (neuron, lag).

    In blocks of ``n_lags`` frames, each times itself and the next one.
    """
    n, n_blocks = len(run), -(-n_windows // n_lags)
    later = run.new_zeros(n, (n_blocks + 1) * n_lags)
    later[:, : run.shape[1]] = run
    first = later[:, : n_blocks * n_lags].clone()
    first[:, n_windows:] = 0
    first, later = (part.view(n, -1, n_lags) for part in (first, later))
    products = torch.cat([first.mT @ later[:, :-1], first.mT @ later[:, 1:]], dim=2)
    # entry (i, i + lag) of each neuron's (block, two blocks)
    strides = (2 * n_lags**2, 2 * n_lags + 1, 1)
    return products.as_strided((n, n_lags, n_lags), strides).sum(dim=1)


def _first_row(a: np.ndarray, b: np.ndarray, n_columns: int) -> np.ndarray:
    """Product of ``a`` (series, window) with ``b`` at each later column."""
    later = sliding_window_view(b[: a.shape[1] + n_columns - 1], n_columns, axis=0)
    design = later.transpose(0, 2, 1).reshape(a.shape[1], -1)  # (window, column * component)
    return (a @ design).reshape(len(a), n_columns, -1)


def _first_column(a: np.ndarray, b: np.ndarray, n_rows: int) -> np.ndarray:
    """Product of ``a`` at each later row with ``b`` (window, component)."""
    padded = np.pad(b, ((n_rows - 1, n_rows - 1), (0, 0)))
    earlier = sliding_window_view(padded, n_rows, axis=0)[:, :, ::-1]  # row r: r frames before
    design = earlier.transpose(0, 2, 1).reshape(a.shape[1], -1)  # (time, row * component)
    return (a @ design).reshape(len(a), n_rows, -1)


def _pieces(runs: np.ndarray, n_columns: int) -> Iterator[tuple[int, int]]:
    """Runs of window starts cut so that a piece of ``n_columns`` columns needs little memory."""
    size = max(DESIGN_SIZE // n_columns, 1)
    for start, stop in runs.tolist():
        for first in range(start, stop, size):
            yield first, min(first + size, stop)


def _starts(split: WindowSplit) -> np.ndarray:
    return np.sort(np.asarray(split.starts)) - split_rows(split).start


def _missing_patterns(data: WindowData, split: WindowSplit) -> np.ndarray:
    """Which frames each neuron misses, as bits: (neuron, time / 8)."""
    rows = split_rows(split)
    patterns = [
        np.packbits(~np.isfinite(part.numpy()), axis=0).T
        for part in data.activity[rows].split(NEURONS_AT_ONCE, dim=1)
    ]
    return np.concatenate(patterns)


def _runs(starts: np.ndarray) -> np.ndarray:
    """Consecutive integers as ``(n, 2)`` of [start, stop)."""
    if len(starts) == 0:
        return np.empty((0, 2), dtype=np.int64)
    breaks = np.flatnonzero(np.diff(starts) != 1) + 1
    return np.stack(
        [starts[np.r_[0, breaks]], starts[np.r_[breaks - 1, len(starts) - 1]] + 1], axis=1
    )
