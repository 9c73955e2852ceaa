"""Make sequences of images and of signals: what a neuron hears in each step, and in which order.

An image is cut into patches (of one pixel by default) that are heard one after the other. The
order decides how far apart in time neighbours lie: a row later for ``"row"``, mostly a few steps
for ``"hilbert"``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils.config import ConfigError, near_matches

Patch = int | tuple[int, int]


def sequentialise(images: Tensor, order: str = "row", patch: Patch = 1) -> Tensor:
    """Images (batch, channel, height, width) -> sequences (batch, time, feature) of their patches.

    Parameters
    ----------
    order : in which patches are heard, one of :data:`ORDERS`: ``"row"`` after row from the top
        left, ``"column"`` after column, ``"snake"`` (rows, every second one backwards),
        ``"hilbert"`` (along a Hilbert curve, of images of any size) or ``"spiral"`` (clockwise
        from the top left to the centre).
    patch : height and width of what is heard in one step, or one number for both. ``1`` is a pixel
        at a time, ``(1, width)`` a row at a time, ``(height, 1)`` a column.

    Returns
    -------
    (batch, patch, channel * patch height * patch width), of the type of the images. Within a step,
    features are ordered by channel, row and column; :func:`desequentialise` gives the images back.

    Raises
    ------
    ConfigError
        Unknown order.
    ValueError
        Images of another number of axes, or that are no whole number of patches high and wide.
    """
    if images.ndim != 4:
        raise ValueError(
            f"images must be (batch, channel, height, width), found {tuple(images.shape)}"
        )
    batch, channel, height, width = images.shape
    high, wide = _checked_patch(height, width, patch)
    patches = images.unflatten(3, (-1, wide)).unflatten(2, (-1, high))
    steps = patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channel * high * wide)
    return steps[:, reading_order(height // high, width // wide, order).to(images.device)]


def desequentialise(
    sequences: Tensor, shape: tuple[int, int, int], order: str = "row", patch: Patch = 1
) -> Tensor:
    """Images (batch, channel, height, width) of ``shape`` = (channel, height, width), from what
    :func:`sequentialise` made of them with the same order and patch."""
    channel, height, width = shape
    high, wide = _checked_patch(height, width, patch)
    rows, columns = height // high, width // wide
    if sequences.shape[1:] != (rows * columns, channel * high * wide):
        raise ValueError(
            f"sequences of images {shape} in patches of {high} x {wide} must be (batch, "
            f"{rows * columns}, {channel * high * wide}), found {tuple(sequences.shape)}"
        )
    moment = reading_order(rows, columns, order).argsort().to(sequences.device)
    patches = sequences[:, moment].view(-1, rows, columns, channel, high, wide)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(-1, channel, height, width)


def reading_order(rows: int, columns: int, order: str) -> Tensor:
    """(rows * columns,) int64: the places ``row * columns + column`` in the order of reading."""
    if order not in ORDERS:
        raise ConfigError(
            f"unknown order '{order}'{near_matches(order, ORDERS)}; expected one of "
            f"{', '.join(ORDERS)}"
        )
    return torch.tensor(_places(rows, columns, order))


def sliding_windows(signals: Tensor, length: int, stride: int = 1) -> Tensor:
    """Signals (batch, time, channel) -> (batch, window, channel * length), without copying where
    that is possible.

    Window w is heard in step w and holds frames ``w * stride`` to ``w * stride + length - 1`` of
    each channel; frames behind the last whole window are left out.
    """
    if signals.ndim != 3 or not 1 <= length <= signals.shape[1] or stride < 1:
        raise ValueError(
            f"windows of {length} frames, every {stride}, need signals (batch, time >= {length}, "
            f"channel), found {tuple(signals.shape)}"
        )
    return signals.unfold(1, length, stride).flatten(2)


def _checked_patch(height: int, width: int, patch: Patch) -> tuple[int, int]:
    high, wide = (patch, patch) if isinstance(patch, int) else patch
    if min(high, wide) < 1 or height % high or width % wide:
        raise ValueError(
            f"images of {height} x {width} pixels cannot be cut into patches of {high} x {wide}"
        )
    return high, wide


@cache
def _places(rows: int, columns: int, order: str) -> tuple[int, ...]:
    grid = np.arange(rows * columns).reshape(rows, columns)
    return tuple(ORDERS[order](grid).tolist())


def _row(grid: NDArray) -> NDArray:
    return grid.ravel()


def _column(grid: NDArray) -> NDArray:
    return grid.T.ravel()


def _snake(grid: NDArray) -> NDArray:
    turned = grid.copy()
    turned[1::2] = turned[1::2, ::-1]
    return turned.ravel()


def _spiral(grid: NDArray) -> NDArray:
    """Take the upper row, turn what is left so that its right column is the next upper row."""
    taken = []
    while grid.size:
        taken.append(grid[0])
        grid = np.rot90(grid[1:])
    return np.concatenate(taken)


def _hilbert(grid: NDArray) -> NDArray:
    rows, columns = grid.shape
    right, down = 1 + 0j, 1j  # a place is column + row * j
    if columns >= rows:
        places = _curve(0j, right, columns, down, rows)
    else:
        places = _curve(0j, down, rows, right, columns)
    return np.array([grid[int(place.imag), int(place.real)] for place in places])


def _curve(
    start: complex, along: complex, length: int, across: complex, width: int
) -> list[complex]:
    """Places of a rectangle from the corner ``start`` to the corner at the other end of ``along``.

    J. Červený's generalisation of the Hilbert curve: a long rectangle is two in a row; another is
    gone through in three parts: away from the side that start and end lie on, along the opposite
    side, and back. Parts of even size can be joined without a diagonal step.
    """
    if width == 1:
        return [start + k * along for k in range(length)]
    if length == 1:
        return [start + k * across for k in range(width)]
    if 2 * length > 3 * width:
        half = _even_half(length)
        return [
            *_curve(start, along, half, across, width),
            *_curve(start + half * along, along, length - half, across, width),
        ]
    half, away = length // 2, _even_half(width)
    back = start + (length - 1) * along + (away - 1) * across
    return [
        *_curve(start, across, away, along, half),
        *_curve(start + away * across, along, length, across, width - away),
        *_curve(back, -across, away, -along, length - half),
    ]


def _even_half(n: int) -> int:
    """Half of ``n``, or one more where that makes it even."""
    return n // 2 + (n // 2 % 2 if n > 2 else 0)


ORDERS: dict[str, Callable[[NDArray], NDArray]] = {
    "row": _row,
    "column": _column,
    "snake": _snake,
    "hilbert": _hilbert,
    "spiral": _spiral,
}
