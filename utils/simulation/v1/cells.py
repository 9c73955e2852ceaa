"""Cells of V1: Gabor receptive fields of a few families, half of them simple and half complex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.simulation.v1.scenes import SIZE, degrees

FREQUENCIES = (1.5, 8.0)  # c/deg
WIDTH = 0.4  # standard deviation of the envelope in periods: 1.5 octaves
CENTRE_SPREAD = 0.2  # deg
CENTRE_LIMIT = 0.4  # deg: the receptive field lies inside the region
MEDIAN_RATE, RATE_SPREAD = 15.0, 0.5  # Hz during free viewing; of its logarithm
SACCADE_WEIGHT, SACCADE_WEIGHT_SPREAD = 1.1, 0.4
POOL_ORIENTATIONS = 4  # the cell's own is the first


@dataclass(frozen=True)
class Families:
    """What cells of several sessions share."""

    frequency: NDArray[np.float64]  # (family,) c/deg
    orientation: NDArray[np.float64]  # (family,) deg of the wave vector, from right towards up


@dataclass(frozen=True)
class Cells:
    """Cells of one session; each array (cell,) unless said otherwise."""

    family: NDArray[np.int64]
    is_complex: NDArray[np.bool_]
    centre: NDArray[np.float64]  # (cell, 2) deg
    frequency: NDArray[np.float64]  # c/deg
    orientation: NDArray[np.float64]  # deg
    phase: NDArray[np.float64]  # rad at the centre; only simple cells depend on it
    mean_rate: NDArray[np.float64]  # Hz during free viewing
    saccade_weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.family)


def make_families(n_families: int, rng: np.random.Generator) -> Families:
    """Frequencies evenly spread in octaves, orientations evenly over 180 deg and unrelated."""
    orientation = (180 * np.arange(n_families) / n_families + rng.uniform(0, 180)) % 180
    return Families(np.geomspace(*FREQUENCIES, n_families), rng.permutation(orientation))


def make_cells(family: NDArray[np.int64], families: Families, rng: np.random.Generator) -> Cells:
    """One cell for each entry of ``family``; every other one is complex."""
    n_cells = len(family)
    return Cells(
        family=family,
        is_complex=rng.permutation(np.arange(n_cells) % 2 == 1),
        centre=(CENTRE_SPREAD * rng.standard_normal((n_cells, 2))).clip(
            -CENTRE_LIMIT, CENTRE_LIMIT
        ),
        frequency=families.frequency[family],
        orientation=families.orientation[family],
        phase=rng.uniform(0, 2 * np.pi, n_cells),
        mean_rate=MEDIAN_RATE * np.exp(RATE_SPREAD * rng.standard_normal(n_cells)),
        saccade_weight=SACCADE_WEIGHT + SACCADE_WEIGHT_SPREAD * rng.standard_normal(n_cells),
    )


def quadrature_gabors(cells: Cells) -> NDArray[np.float32]:
    """(cell, pool orientation, 2, 51 * 51) pairs of phase 0 and 90 deg, without mean.

    ``cos(phase) * pair[0] + sin(phase) * pair[1]`` is the Gabor of that phase, whose wave is
    ``cos(2 pi f u + phase)`` with ``u`` the distance from the centre along the orientation.
    """
    turn = 180 * np.arange(POOL_ORIENTATIONS) / POOL_ORIENTATIONS
    angle = np.deg2rad(cells.orientation[:, None] + turn)[:, :, None, None]
    axis = degrees()
    x = (axis[None, :] - cells.centre[:, 0, None])[:, None, None, :]
    y = (axis[::-1][None, :] - cells.centre[:, 1, None])[:, None, :, None]
    frequency = cells.frequency[:, None, None, None]
    envelope = np.exp(-(x**2 + y**2) * frequency**2 / (2 * WIDTH**2))
    wave = np.exp(-2j * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)))
    envelope = envelope[:, :, None]  # (cell, 1, 1, row, column)
    pair = np.stack([wave.real, wave.imag], axis=2) * envelope
    pixels = (3, 4)
    pair -= pair.sum(pixels, keepdims=True) * envelope / envelope.sum(pixels, keepdims=True)
    return pair.reshape(len(cells), POOL_ORIENTATIONS, 2, SIZE * SIZE).astype(np.float32)
