"""Simulated images of digits, in the seven strokes of a pocket calculator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CORNERS = {"a": (0, 0), "b": (1, 0), "c": (0, 1), "d": (1, 1), "e": (0, 2), "f": (1, 2)}
STROKES = ("ab", "ac", "bd", "cd", "ce", "df", "ef")
STROKES_OF_DIGITS = (  # which strokes are drawn, 0 to 9
    *("1110111", "0010010", "1011101", "1011011", "0111010"),
    *("1101011", "1101111", "1010010", "1111111", "1111011"),
)


def draw_digits(digits: NDArray, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(image, size, size) from 0 to 1, each at a random place, size, slant and stroke width."""
    ends = np.array([[CORNERS[corner] for corner in stroke] for stroke in STROKES], float)
    pixels = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1) + 0.5  # x, y
    images = np.empty((len(digits), size, size))
    for image, digit in zip(images, digits):
        shown = ends[[stroke == "1" for stroke in STROKES_OF_DIGITS[digit]]] - [0.5, 1]
        shown[..., 0] += rng.uniform(-0.3, 0.3) * shown[..., 1]  # slant
        shown = size * (rng.uniform(0.16, 0.28) * shown + rng.uniform(0.36, 0.64, 2))
        away = _distances(pixels, shown).min(axis=-1)
        image[:] = np.exp(-((away / (size * rng.uniform(0.03, 0.06))) ** 2))
    noisy = images + rng.normal(0, 0.05, images.shape)
    return noisy.clip(0, 1)


def draw_tints(tints: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
    """(image, 3, 1, 1) red, green and blue from 0.3 to 1, of ten tints that vary a little."""
    angle = 2 * np.pi * (tints + rng.uniform(-0.2, 0.2, len(tints))) / 10
    waves = np.cos(angle[:, None] - 2 * np.pi * np.arange(3) / 3)
    return (0.65 + 0.35 * waves)[:, :, None, None]


def _distances(points: NDArray, strokes: NDArray) -> NDArray[np.float64]:
    """(..., stroke) of points (..., 2) from strokes (stroke, end, 2)."""
    begin, along = strokes[:, 0], strokes[:, 1] - strokes[:, 0]
    offset = points[..., None, :] - begin
    share = (offset * along).sum(-1) / (along**2).sum(-1)
    return np.linalg.norm(offset - share.clip(0, 1)[..., None] * along, axis=-1)
