"""Reduce activity to the pixels of an image: block means that leave missing values out."""

from __future__ import annotations

import numpy as np
from numba import njit

MAX_ROWS, MAX_COLUMNS = 480, 900  # pixels; more would not be seen on a screen


def block_means(
    activity: np.ndarray,
    order: np.ndarray | None = None,
    *,
    offset: np.ndarray | None = None,
    scale: np.ndarray | None = None,
    max_rows: int = MAX_ROWS,
    max_columns: int = MAX_COLUMNS,
) -> np.ndarray:
    """Image of activity: rows are neurons, columns time, every pixel the mean of its block.

    Parameters
    ----------
    activity : (time, neuron), a memory map is read in one pass.
    order : neurons (columns of ``activity``) from the top row to the bottom; default all.
    offset, scale : (neuron,) taken off and divided by, before the mean.
    max_rows, max_columns : size limits of the image; smaller activity is not enlarged.

    Returns
    -------
    (row, column) float32, NaN where a block has no value.
    """
    n_time, n_neurons = activity.shape
    order = np.arange(n_neurons) if order is None else np.asarray(order, dtype=np.int64)
    n_rows, n_columns = min(len(order), max_rows), min(n_time, max_columns)
    if n_rows == 0 or n_columns == 0:
        return np.full((n_rows, n_columns), np.nan, np.float32)
    row_of = np.full(n_neurons, -1, dtype=np.int64)
    row_of[order] = np.arange(len(order)) * n_rows // len(order)
    column_of = np.arange(n_time) * n_columns // n_time
    offset = np.zeros(n_neurons) if offset is None else offset
    factor = np.ones(n_neurons) if scale is None else 1 / scale
    return _sum_blocks(
        activity,
        row_of,
        column_of,
        n_rows,
        n_columns,
        offset.astype(np.float32),
        factor.astype(np.float32),
    )


@njit(cache=True, nogil=True)
def _sum_blocks(activity, row_of, column_of, n_rows, n_columns, offset, factor):
    n_time, n_neurons = activity.shape
    sums = np.zeros((n_columns, n_rows), dtype=np.float32)
    counts = np.zeros((n_columns, n_rows), dtype=np.float32)
    for t in range(n_time):
        column = column_of[t]
        for n in range(n_neurons):
            row = row_of[n]
            value = (activity[t, n] - offset[n]) * factor[n]
            if row >= 0 and np.isfinite(value):
                sums[column, row] += value
                counts[column, row] += 1
    image = np.full((n_rows, n_columns), np.nan, dtype=np.float32)
    for column in range(n_columns):
        for row in range(n_rows):
            if counts[column, row] > 0:
                image[row, column] = sums[column, row] / counts[column, row]
    return image
