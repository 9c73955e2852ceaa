"""Images as sequences: every order visits each place once, as written down, and can be undone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from utils.config import ConfigError
from utils.models.elm.sequences import (
    ORDERS,
    desequentialise,
    reading_order,
    sequentialise,
    sliding_windows,
)

SIZES = list(product(range(1, 14), repeat=2))
FOUR_BY_FOUR = {
    "row": "0123 4567 89ab cdef",
    "column": "048c 159d 26ae 37bf",
    "snake": "0123 7654 89ab fedc",
    "hilbert": "0154 8cd9 aefb 7623",
    "spiral": "0123 7bfe dc84 56a9",
}


def steps(rows: int, columns: int, order: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that are gone from one place to the next."""
    row, column = np.divmod(reading_order(rows, columns, order).numpy(), columns)
    return np.abs(np.diff(row)), np.abs(np.diff(column))


@pytest.mark.parametrize("order", ORDERS)
def test_four_by_four_pixels(order):
    wanted = [int(place, 16) for place in FOUR_BY_FOUR[order].replace(" ", "")]
    assert reading_order(4, 4, order).tolist() == wanted


@pytest.mark.parametrize("order", ORDERS)
def test_every_place_is_read_once(order):
    for rows, columns in SIZES:
        assert sorted(reading_order(rows, columns, order).tolist()) == list(range(rows * columns))


def test_rows_columns_and_snakes_are_sorted_places():
    keys = {
        "row": lambda row, column: (row, column),
        "column": lambda row, column: (column, row),
        "snake": lambda row, column: (row, -column if row % 2 else column),
    }
    for (rows, columns), (order, key) in product(SIZES, keys.items()):
        wanted = sorted(range(rows * columns), key=lambda place: key(*divmod(place, columns)))
        assert reading_order(rows, columns, order).tolist() == wanted


def walk_in_a_spiral(rows: int, columns: int) -> list[int]:
    """Go straight on, and turn right before a wall or a place that was visited."""
    row, column, down, right, visited = 0, 0, 0, 1, []
    free = set(product(range(rows), range(columns)))
    while free:
        free.discard((row, column))
        visited.append(row * columns + column)
        if (row + down, column + right) not in free:
            down, right = right, -down
        row, column = row + down, column + right
    return visited


def test_a_spiral_turns_right_before_walls():
    for rows, columns in SIZES:
        assert reading_order(rows, columns, "spiral").tolist() == walk_in_a_spiral(rows, columns)


def hilbert_place(moment: int, side: int) -> tuple[int, int]:
    """Column and row in closed form for powers of two, from the lowest bits of ``moment`` on."""
    x = y = 0
    size = 1
    while size < side:
        right, upper = (moment // 2) % 2, (moment // 2 + moment) % 2
        if not upper:
            if right:
                x, y = size - 1 - x, size - 1 - y
            x, y = y, x
        x, y = x + size * right, y + size * upper
        moment, size = moment // 4, 2 * size
    return x, y


@pytest.mark.parametrize("side", [2, 4, 8, 16, 32])
def test_hilbert_is_the_classic_curve_for_powers_of_two(side):
    points = [hilbert_place(moment, side) for moment in range(side**2)]
    lying = [y * side + x for x, y in points]
    standing = [x * side + y for x, y in points]
    assert reading_order(side, side, "hilbert").tolist() in (lying, standing)


def test_hilbert_goes_from_neighbour_to_neighbour_in_images_of_any_size():
    for rows, columns in [*SIZES, (28, 28), (32, 32), (31, 50), (100, 3)]:
        down, right = steps(rows, columns, "hilbert")
        diagonal = down + right > 1
        assert max([0, *down, *right]) <= 1
        longer, shorter = max(rows, columns), min(rows, columns)
        assert diagonal.sum() <= (longer % 2 == 1 and shorter % 2 == 0)


def test_hilbert_keeps_neighbourhoods_together():
    """A window of 64 steps covers a compact part of 32 x 32 pixels, one of rows does not."""

    def extent(order: str) -> float:
        row, column = np.divmod(reading_order(32, 32, order).numpy(), 32)
        windows = [slice(start, start + 64) for start in range(0, 1024, 64)]
        return max(np.ptp(row[w]) + np.ptp(column[w]) for w in windows)

    assert extent("hilbert") == 14
    assert extent("row") == 32


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("patch", [1, 2, (1, 6), (4, 1), (2, 3)])
def test_images_come_back(order, patch):
    images = torch.arange(2 * 3 * 4 * 6).view(2, 3, 4, 6)
    sequences = sequentialise(images, order, patch)
    assert sequences.dtype == images.dtype
    assert not torch.equal(sequences.flatten(), images.flatten())
    assert torch.equal(desequentialise(sequences, (3, 4, 6), order, patch), images)


@pytest.mark.parametrize("order", ORDERS)
def test_every_step_hears_one_patch(order):
    images = torch.rand(2, 3, 6, 8)
    sequences = sequentialise(images, order, (2, 4))
    assert sequences.shape == (2, 6, 24)
    for moment, place in enumerate(reading_order(3, 2, order).tolist()):
        row, column = divmod(place, 2)
        patch = images[:, :, 2 * row : 2 * row + 2, 4 * column : 4 * column + 4]
        assert torch.equal(sequences[:, moment], patch.flatten(1))


def test_gradients_reach_every_pixel():
    images = torch.rand(1, 1, 5, 7, requires_grad=True)
    sequentialise(images, "hilbert").sum().backward()
    assert torch.equal(images.grad, torch.ones_like(images))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: sequentialise(x, "spirl"), ConfigError, "unknown order 'spirl'.*spiral"),
        (lambda x: sequentialise(x[0]), ValueError, r"height, width\), found \(3, 4, 6\)"),
        (lambda x: sequentialise(x, patch=4), ValueError, "4 x 6 pixels .* patches of 4 x 4"),
        (lambda x: sequentialise(x, patch=0), ValueError, "patches of 0 x 0"),
        (
            lambda x: desequentialise(x.flatten(2), (3, 4, 6)),
            ValueError,
            r"must be \(batch, 24, 3\), found \(2, 3, 24\)",
        ),
    ],
)
def test_what_is_no_image_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.zeros(2, 3, 4, 6))


def test_sliding_windows_hold_frames_of_each_channel():
    signals = torch.arange(2 * 11 * 3).view(2, 11, 3)
    windows = sliding_windows(signals, length=4, stride=3)
    assert windows.shape == (2, 3, 12)
    for window in range(3):
        part = signals[:, 3 * window : 3 * window + 4]
        assert torch.equal(windows[:, window], part.transpose(1, 2).flatten(1))
    assert torch.equal(sliding_windows(signals, 1), signals)
    assert sliding_windows(signals, 11).shape == (2, 1, 33)


@pytest.mark.parametrize(("length", "stride"), [(12, 1), (0, 1), (4, 0)])
def test_windows_that_do_not_fit_are_refused(length, stride):
    with pytest.raises(ValueError, match=f"windows of {length} frames, every {stride}"):
        sliding_windows(torch.zeros(2, 11, 3), length, stride)
