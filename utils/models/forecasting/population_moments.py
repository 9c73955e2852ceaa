"""Second moments of own lags, future and shared component lags, streamed without a design matrix.

Per neuron, the window part that counts is its last ``own_lags`` frames and all frames ahead; the
shared part is the last ``shared_lags`` frames of a few component series. As in
:mod:`~utils.models.forecasting.lag_grams` a product of two positions of all stride-1 windows
differs from its upper-left neighbour only by the frame that leaves and the frame that enters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from utils.models.forecasting.lag_grams import complete_runs, lag_grams

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit


WINDOWS_AT_ONCE = 4096


@dataclass
class Moments:
    """Means and covariances over the complete windows of neurons that miss the same frames.

    ``part`` is a neuron's own lags, then its frames ahead; ``feature`` is (lag, component), the
    component fastest. Float64.
    """

    members: Tensor  # (neuron,) places in the chunk
    count: int  # windows
    mean: Tensor  # (neuron, part)
    covariance: Tensor  # (neuron, part, part)
    shared_mean: Tensor  # (feature,)
    shared: Tensor  # (feature, feature)
    cross: Tensor  # (neuron, part, feature)
    shared_lags: int

    def leading(self, n_components: int) -> Tensor:
        """Places of the features of the first components."""
        n = len(self.shared_mean)
        return (
            torch.arange(n)
            .view(self.shared_lags, n // self.shared_lags)[:, :n_components]
            .flatten()
        )


@dataclass
class Projection:
    """From activity to component series: ``(values - centre) @ weights``."""

    centre: Tensor  # (neuron,)
    weights: Tensor  # (neuron, component)

    def __call__(self, values: Tensor) -> Tensor:
        """(..., neuron) with NaN where missing -> (..., component); missing counts as centre."""
        return (values - self.centre).nan_to_num(0.0) @ self.weights


def component_series(data: WindowData, split: WindowSplit, projection: Projection) -> Tensor:
    """(time, component) from the first to the last frame of the windows of ``split``."""
    rows = _rows(data, split)
    pieces = data.activity[rows].split(1024)
    return torch.cat([projection(piece.double()) for piece in pieces])


def population_moments(
    data: WindowData,
    split: WindowSplit,
    neurons: slice,
    centre: Tensor,
    series: Tensor,
    own_lags: int,
    shared_lags: int,
) -> list[Moments]:
    """Moments of some neurons with the component ``series`` of the same split.

    Values are measured from ``centre`` (neuron,). Neurons with equal missing frames share an
    entry; without a complete window its moments are 0.
    """
    context, rows = data.context, _rows(data, split)
    grams = lag_grams(data, split, neurons, centre)
    values = data.activity[rows, neurons].double().T - centre[:, None]  # (neuron, time)
    starts = np.sort(np.asarray(split.starts)) - rows.start
    part = slice(context - own_lags, data.window)
    lags = slice(context - shared_lags, context)
    found = []
    for members, runs in complete_runs(values.isfinite().numpy(), starts, data.window):
        windows = int((runs[:, 1] - runs[:, 0]).sum())
        count = max(windows, 1)
        own = values[members]
        mean = grams.sums[members, part] / count
        shared_mean = _position_sums(series, runs, lags).flatten() / count
        covariance = grams.products[members, part, part] / count - _outer(mean, mean)
        cross = _cross_sums(own, series, runs, part, lags) / count
        shared = _cross_sums(series.T, series, runs, lags, lags) / count
        shared = shared.transpose(0, 1).flatten(0, 1) - _outer(shared_mean, shared_mean)
        cross -= mean[:, :, None] * shared_mean
        found.append(
            Moments(members, windows, mean, covariance, shared_mean, shared, cross, shared_lags)
        )
    return found


def _cross_sums(
    left: Tensor, right: Tensor, runs: np.ndarray, rows: slice, columns: slice
) -> Tensor:
    """Sums over windows of left at a row's position times right at a column's position.

    ``left`` (series, time), ``right`` (time, component) -> (series, row, column * component).
    """
    n_rows, n_columns = rows.stop - rows.start, columns.stop - columns.start
    a, b = left.numpy()[:, rows.start :], right.numpy()[columns.start :]
    total = np.zeros((len(a), n_rows, n_columns, b.shape[1]))
    sums = np.empty_like(total)
    for start, stop in _pieces(runs):
        sums[:, 0] = _first_row(a[:, start:stop], b[start:], n_columns)
        sums[:, :, 0] = _first_column(a[:, start : stop + n_rows - 1], b[start:stop], n_rows)
        entering, leaving = (b[at : at + n_columns - 1] for at in (stop, start))
        for row in range(1, n_rows):
            np.multiply(a[:, stop + row - 1, None, None], entering, out=sums[:, row, 1:])
            sums[:, row, 1:] -= a[:, start + row - 1, None, None] * leaving
            sums[:, row, 1:] += sums[:, row - 1, :-1]
        total += sums
    return torch.from_numpy(total).flatten(2)


def _first_row(a: np.ndarray, b: np.ndarray, n_columns: int) -> np.ndarray:
    """Product of ``a`` (series, window) with ``b`` at each later column."""
    later = sliding_window_view(b[: a.shape[1] + n_columns - 1], n_columns, axis=0)
    design = later.transpose(0, 2, 1).reshape(
        a.shape[1], n_columns * b.shape[1]
    )  # (window, column * component)
    return (a @ design).reshape(len(a), n_columns, b.shape[1])


def _first_column(a: np.ndarray, b: np.ndarray, n_rows: int) -> np.ndarray:
    """Product of ``a`` at each later row with ``b`` (window, component)."""
    padded = np.pad(b, ((n_rows - 1, n_rows - 1), (0, 0)))
    earlier = sliding_window_view(padded, n_rows, axis=0)[:, :, ::-1]  # row r: r frames before
    design = earlier.transpose(0, 2, 1).reshape(a.shape[1], n_rows * b.shape[1])
    return (a @ design).reshape(len(a), n_rows, b.shape[1])


def _pieces(runs: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of window starts cut so that their products need little memory."""
    for start, stop in runs.tolist():
        for first in range(start, stop, WINDOWS_AT_ONCE):
            yield first, min(first + WINDOWS_AT_ONCE, stop)


def _position_sums(series: Tensor, runs: np.ndarray, positions: slice) -> Tensor:
    """Sums over windows of a series (time, component) at each position: (position, component)."""
    total = series.new_zeros(positions.stop - positions.start, series.shape[1])
    for start, stop in runs.tolist():
        for row, at in enumerate(range(positions.start, positions.stop)):
            total[row] += series[start + at : stop + at].sum(dim=0)
    return total


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return left[..., :, None] * right[..., None, :]


def _rows(data: WindowData, split: WindowSplit) -> slice:
    """From the first frame of the windows to the last."""
    if len(split) == 0:
        return slice(0, 0)
    return slice(int(split.starts.min()), int(split.starts.max()) + data.window)
