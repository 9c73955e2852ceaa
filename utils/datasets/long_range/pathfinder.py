"""Pathfinder: are two dots joined by a dashed path, among other paths?

Linsley et al., "Learning long-range spatial dependencies with horizontal gated recurrent units",
NeurIPS 2018; the Long Range Arena has images of 32 x 32 pixels, and of 128 x 128 (Path-X).

Each image has two long paths and some short ones. The dots lie at both ends of a long path, or at
one end of each, equally far apart. Paths keep clear of each other by more than the gaps between
dashes, so an image has one answer. Who sees only where the dots lie is right in 57 % of the images
of 32 x 32 pixels (random forest of 4,000 images, cross-validated).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from tqdm.auto import tqdm

from utils.datasets.examples import Examples, ExampleSets

DASH, GAP = 3, 1  # pixels
CLEARANCE = 4  # pixels between paths that stay free
LONG, SHORT = 0.8, 0.25  # length of paths over the size of the image
SAME_PLACE = 1 / 32  # by how much of the size the places of dots may differ between the classes
BEND = 1.3  # radians by which a long path changes its direction, standard deviation
CANDIDATES = 64  # paths that are tried at once


def draw_pathfinder(
    n_train: int = 160_000,
    n_validation: int = 20_000,
    n_test: int = 20_000,
    *,
    size: int = 32,
    n_distractors: int = 4,
    seed: int = 0,
) -> ExampleSets:
    """Draw images (1, size, size) uint8, in half of which the dots are joined.

    Defaults are the numbers of the Long Range Arena; an image of 32 x 32 pixels takes a few ms.

    Parameters
    ----------
    size : height and width, at least 24 pixels.
    n_distractors : short paths, where there is room for them.
    """
    if size < 24:
        raise ValueError(f"images of {size} x {size} pixels have no room for paths; use >= 24")
    rng, counts = np.random.default_rng(seed), (n_train, n_validation, n_test)
    images = np.zeros((sum(counts), 1, size, size), np.uint8)
    labels = np.concatenate([rng.permutation(np.arange(n) % 2) for n in counts])
    for image, joined in zip(tqdm(images, desc="Pathfinder", leave=False, delay=1), labels):
        _draw_scene(image[0], bool(joined), n_distractors, rng)
    borders = np.cumsum(counts)[:2]
    parts = map(Examples, np.split(images, borders), np.split(labels, borders))
    return ExampleSets(*parts, ("apart", "joined"), "simulated", white=255)


def _draw_scene(image: NDArray, joined: bool, n_distractors: int, rng: np.random.Generator) -> None:
    """Draw paths and dots into an image (row, column) of zeros."""
    size, dots = len(image), None
    while dots is None:
        image[:] = 0
        first, second = (_add_path(image, LONG * size, rng) for _ in range(2))
        if first is not None and second is not None:
            dots = _places_of_dots(first[[0, -1]], second[[0, -1]], size)
    for _ in range(n_distractors):
        _add_path(image, SHORT * size, rng)
    for row, column in dots[int(joined)]:
        image[row - 1 : row + 2, column - 1 : column + 2] = 255


def _places_of_dots(first: NDArray, second: NDArray, size: int) -> tuple[NDArray, NDArray] | None:
    """Where dots (dot, 2) may lie that are apart, and joined, given the ends of two paths.

    Dots of both classes are equally far from one another, and from the centre of the image on
    average, so that where they lie does not give the answer away; None if there are no such places.
    """
    joined = [first, second]
    apart = [np.stack([one, other]) for one in first for other in second]
    away = [np.array([_distances(dots, size) for dots in pairs]) for pairs in (apart, joined)]
    differences = np.abs(away[0][:, None] - away[1]).max(axis=-1)  # (apart, joined)
    one, other = np.unravel_index(differences.argmin(), differences.shape)
    return (apart[one], joined[other]) if differences[one, other] <= SAME_PLACE * size else None


def _distances(dots: NDArray, size: int) -> tuple[float, float]:
    """Of two dots from one another, and on average from the centre of the image."""
    from_centre = np.linalg.norm(dots + 0.5 - size / 2, axis=1).mean()
    return float(np.linalg.norm(dots[0] - dots[1])), float(from_centre)


def _add_path(image: NDArray, length: float, rng: np.random.Generator) -> NDArray | None:
    """Draw a path where it touches no other one; (point, 2), or None where none was found."""
    blocked = maximum_filter(image > 0, 2 * CLEARANCE + 1, mode="constant")
    n_points = (DASH + GAP) * round(length / (DASH + GAP)) - GAP  # begins and ends with a dash
    paths = _candidates(len(image), n_points, BEND / np.sqrt(LONG * len(image)), rng)
    inside = ((paths >= 2) & (paths < len(image) - 2)).all(axis=(1, 2))
    paths = paths[inside]
    rows, columns = paths[..., 0], paths[..., 1]
    free = ~blocked[rows, columns].any(axis=1)
    for path in paths[free]:
        if not _meets_itself(path):
            drawn = path[np.arange(n_points) % (DASH + GAP) < DASH]
            image[drawn[:, 0], drawn[:, 1]] = 255
            return path
    return None


def _candidates(
    size: int, n_points: int, bend: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """(path, point, 2) rows and columns of smooth walks from anywhere, a pixel per step."""
    bends = rng.normal(0, bend, (CANDIDATES, n_points))
    heading = rng.uniform(0, 2 * np.pi, (CANDIDATES, 1)) + bends.cumsum(axis=1)
    steps = np.stack([np.sin(heading), np.cos(heading)], axis=-1)
    starts = rng.uniform(2, size - 2, (CANDIDATES, 1, 2))
    return np.floor(starts + steps.cumsum(axis=1)).astype(np.int64)


def _meets_itself(path: NDArray[np.int64]) -> bool:
    """Whether points come near one another that are far apart along the path."""
    near = np.abs(path[:, None] - path).max(axis=-1) <= CLEARANCE
    return bool(np.triu(near, 3 * CLEARANCE).any())
