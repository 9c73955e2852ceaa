"""Where things lie: fields of view, cortical areas, and the ROIs' pixels.

The map of areas is a rough sketch of the right dorsal cortex (nearest centre wins), good enough
to give each ROI a plausible area; it is not an atlas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sparse
from scipy.ndimage import gaussian_filter

IMAGE_SIZE = 512  # pixels
FOV_WIDTH = 690.0  # um
# (layer-1 id in the Allen CCF, centre ML, centre AP in um from bregma)
AREAS: dict[str, tuple[int, float, float]] = {
    "VISp": (593, 2450, -3550),
    "VISl": (421, 3750, -3500),
    "VISal": (1074, 3750, -2750),
    "VISrl": (312782604, 3150, -2300),
    "VISa": (312782550, 2350, -2100),
    "VISam": (281, 1750, -2450),
    "VISpm": (805, 1600, -3150),
    "RSPagl": (671, 1050, -2900),
    "RSPd": (442, 550, -3100),
    "SSp-bfd": (981, 3400, -1500),
    "SSp-tr": (1006, 1950, -1550),
    "SSp-ul": (450, 2450, -250),
    "SSp-ll": (1030, 1950, -750),
    "MOp": (985, 1700, 500),
    "MOs": (656, 950, 800),
}
AREA_NAMES = tuple(AREAS)
AREA_IDS = np.array([row[0] for row in AREAS.values()])
_CENTRES = np.array([row[1:] for row in AREAS.values()], dtype=float)
# centres (ML, AP) of the fields of view, in the order in which they are added
FOV_CENTRES = np.array(
    [
        (2400, -3080),
        (1800, -1200),
        (1700, -3060),
        (3490, -3030),
        (1300, 650),
        (2890, -2290),
        (3500, -1640),
        (1390, -2350),
    ],
    dtype=float,
)


@dataclass(frozen=True)
class FieldOfView:
    """Pixels and ROIs of one FOV; positions in um from bregma, pixels as (row, column)."""

    pixel_mlapdv: np.ndarray  # (512, 512, 3)
    pixel_area: np.ndarray  # (512, 512) index into AREA_NAMES
    pixels: np.ndarray  # (N, 2) int: row, column of each ROI
    is_cell: np.ndarray  # (N,) bool
    parent: np.ndarray  # (N,) index of the cell that a non-cell is a fragment of, else -1

    @property
    def mlapdv(self) -> np.ndarray:
        """Position of each ROI, ``(N, 3)`` um."""
        return self.pixel_mlapdv[self.pixels[:, 0], self.pixels[:, 1]]

    @property
    def area(self) -> np.ndarray:
        """Area of each ROI, ``(N,)`` index into AREA_NAMES."""
        return self.pixel_area[self.pixels[:, 0], self.pixels[:, 1]]


def place_fov(index: int, n_cells: int, n_others: int, rng: np.random.Generator) -> FieldOfView:
    """FOV number ``index`` with its ROIs at random places, cells and others mixed."""
    steps = (np.arange(IMAGE_SIZE) / (IMAGE_SIZE - 1) - 0.5) * FOV_WIDTH
    # rows run towards the midline, columns towards posterior
    ml, ap = np.meshgrid(
        FOV_CENTRES[index, 0] - steps, FOV_CENTRES[index, 1] - steps, indexing="ij"
    )
    dv = 150.0 - 75e-6 * ml**2
    distance = np.hypot(ml[..., None] - _CENTRES[:, 0], ap[..., None] - _CENTRES[:, 1])

    n_rois = n_cells + n_others
    is_cell = rng.permutation(n_rois) < n_cells
    pixels = rng.integers(10, IMAGE_SIZE - 10, (n_rois, 2))
    fragment = ~is_cell & (rng.random(n_rois) < 0.5)
    parent = np.where(fragment, rng.choice(np.flatnonzero(is_cell), n_rois), -1)
    near = pixels[parent[fragment]] + rng.normal(0, 12, (fragment.sum(), 2)).astype(int)
    pixels[fragment] = np.clip(near, 10, IMAGE_SIZE - 11)
    return FieldOfView(np.stack([ml, ap, dv], -1), distance.argmin(-1), pixels, is_cell, parent)


def roi_masks(fov: FieldOfView, rng: np.random.Generator) -> tuple[sparse.GCXS, sparse.GCXS]:
    """Weights of each ROI's pixels (float32) and its neuropil pixels (bool), ``(N, Ly, Lx)``."""
    radius = np.where(fov.is_cell, rng.uniform(4, 6.5, len(fov.pixels)), 3.0)
    masks = _discs(fov.pixels, radius, inner=0.0)
    inside = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=bool)
    inside[masks.coords[1], masks.coords[2]] = True
    rings = _discs(fov.pixels, np.full(len(fov.pixels), 12.0), inner=8.0)
    free = ~inside[rings.coords[1], rings.coords[2]]
    neuropil = sparse.COO(rings.coords[:, free], np.ones(free.sum(), bool), shape=rings.shape)
    return _compress(masks), _compress(neuropil)


def mean_image(fov: FieldOfView, masks: sparse.GCXS, rng: np.random.Generator) -> np.ndarray:
    """Mean image ``(512, 512)`` float64: neuropil and the ROIs."""
    background = gaussian_filter(rng.standard_normal((IMAGE_SIZE, IMAGE_SIZE)), 40)
    texture = gaussian_filter(rng.standard_normal((IMAGE_SIZE, IMAGE_SIZE)), 1.5)
    image = 900 + 60 * background / background.std() + 30 * texture / texture.std()
    brightness = np.where(fov.is_cell, rng.lognormal(10.2, 0.5, len(fov.pixels)), 5000.0)
    coo = masks.tocoo()
    np.add.at(image, (coo.coords[1], coo.coords[2]), coo.data * brightness[coo.coords[0]])
    return gaussian_filter(image, 0.7)


def _discs(centres: np.ndarray, radius: np.ndarray, inner: float) -> sparse.COO:
    reach = int(np.ceil(radius.max()))
    grid = np.stack(np.mgrid[-reach : reach + 1, -reach : reach + 1], -1).reshape(-1, 2)
    distance = np.hypot(*grid.T)  # (pixel of the disc,)
    roi, which = np.nonzero((distance >= inner) & (distance <= radius[:, None]))
    pixel = centres[roi] + grid[which]
    within = ((pixel >= 0) & (pixel < IMAGE_SIZE)).all(1)
    roi, pixel = roi[within], pixel[within]
    weight = np.exp(-0.5 * (distance[which[within]] / radius[roi]) ** 2)
    weight /= np.bincount(roi, weight, minlength=len(centres))[roi]
    coords = np.stack([roi, *pixel.T])
    shape = (len(centres), IMAGE_SIZE, IMAGE_SIZE)
    return sparse.COO(coords, weight.astype(np.float32), shape=shape)


def _compress(masks: sparse.COO) -> sparse.GCXS:
    return sparse.GCXS.from_coo(masks, compressed_axes=(0,))
