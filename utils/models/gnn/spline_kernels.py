"""Piecewise cubic functions on CPUs, one pass over their arguments; float64 arrays throughout.

``knots`` and ``pieces`` are those of :class:`~utils.models.gnn.splines.Curves`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def fill_curves(u: Floats, knots: Floats, pieces: Floats, values: Floats) -> None:
    """All curves at all arguments: (argument,) -> values (argument, curve)."""
    for i in range(len(u)):
        piece, x = _locate(u[i], knots)
        for curve in range(values.shape[1]):
            values[i, curve] = _cubic(pieces, piece, curve, x)


@njit(cache=True, nogil=True)
def fill_columns(
    u: Floats, knots: Floats, pieces: Floats, labels: NDArray[np.int64], values: Floats
) -> None:
    """Curve ``labels[column]`` at the arguments of a column, (row, column) -> values, the same."""
    for row in range(u.shape[0]):
        for column in range(u.shape[1]):
            piece, x = _locate(u[row, column], knots)
            values[row, column] = _cubic(pieces, piece, labels[column], x)


@njit(cache=True, nogil=True)
def add_moments(u: Floats, knots: Floats, weights: Floats, moments: Floats) -> None:
    """Powers of the distance in each piece, summed over columns with weights (column, sum).

    (row, column) is added to moments (row, piece, power, sum).
    """
    for row in range(u.shape[0]):
        for column in range(u.shape[1]):
            piece, x = _locate(u[row, column], knots)
            factor = 1.0
            for power in range(moments.shape[2]):
                for i in range(weights.shape[1]):
                    moments[row, piece, power, i] += factor * weights[column, i]
                factor *= x


@njit(cache=True, nogil=True, inline="always")
def _locate(u: float, knots: Floats) -> tuple[int, float]:
    """Number of knots at or below ``u``, and the distance from the last of them, or the first."""
    low, high = 0, len(knots)
    while low < high:
        middle = (low + high) // 2
        if knots[middle] <= u:
            low = middle + 1
        else:
            high = middle
    return low, u - knots[max(low - 1, 0)]


@njit(cache=True, nogil=True, inline="always")
def _cubic(pieces: Floats, piece: int, curve: int, x: float) -> float:
    square = pieces[piece, 2, curve] + x * pieces[piece, 3, curve]
    return pieces[piece, 0, curve] + x * (pieces[piece, 1, curve] + x * square)
