"""From frames to rates: filters, divisive normalisation, and modulation by saccades.

All reach back less than 33 bins, so that a model with 33 lags can be exact.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from utils.simulation.v1.cells import Cells, quadrature_gabors
from utils.simulation.v1.eye import RATE_HZ
from utils.simulation.v1.scenes import GREY, grating_regions

KERNEL_BINS, KERNEL_TAU = 16, 0.0115  # s: the peak is at 45 ms
POOL_DELAY, POOL_BINS, POOL_TAU = 1, 12, 4.0  # bins
SEMISATURATION = 0.7  # sigma^2, where the pool's mean during free viewing is 1
BASELINE = 0.09  # of the mean rate
SACCADE_BINS = 25  # 200 ms
SACCADE_BUMPS = ((-0.35, 0.040, 0.013), (0.45, 0.095, 0.018))  # height, s, width (sd) in s
PHASES = 16  # of the gratings that measure F1/F0
_CHUNK = 4096  # frames filtered at once


def temporal_kernel() -> NDArray[np.float64]:
    """(16,) biphasic weights of the lags 0, 1, ..; as of Adelson and Bergen (1985)."""
    time = np.arange(KERNEL_BINS) / RATE_HZ / KERNEL_TAU
    return (time**5 / factorial(5) - time**7 / factorial(7)) * np.exp(-time)


def saccade_kernel() -> NDArray[np.float64]:
    """(25,) relative change of the rate 0, 1, .. bins after the onset of a saccade."""
    time = np.arange(SACCADE_BINS) / RATE_HZ
    bumps = [h * np.exp(-((time - at) ** 2) / (2 * sd**2)) for h, at, sd in SACCADE_BUMPS]
    return np.sum(bumps, axis=0)


def filtered(stim: NDArray[np.uint8], cells: Cells) -> NDArray[np.float32]:
    """(T, cell, pool orientation, 2) responses of linear filters in space and time."""
    gabors = quadrature_gabors(cells)
    weights = gabors.reshape(-1, gabors.shape[-1]).T
    drive = np.empty((len(stim), weights.shape[1]), np.float32)
    for first in range(0, len(stim), _CHUNK):
        frames = stim[first : first + _CHUNK].reshape(-1, weights.shape[0]).astype(np.float32)
        drive[first : first + _CHUNK] = ((frames - GREY) / GREY) @ weights
    drive = lfilter(temporal_kernel().astype(np.float32), np.float32([1]), drive, axis=0)
    return drive.reshape(len(stim), *gabors.shape[:-1])


def normalised_drive(
    drive: NDArray[np.float32], cells: Cells, reference: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(T, cell) what the cells' own filters pass on, divided by the energy around them.

    ``reference`` (T,) are the bins on whose statistics both are scaled.
    """
    own = drive[:, :, 0] / drive[reference][:, :, 0].std(axis=0)  # (T, cell, 2)
    pool = (drive**2).sum(axis=3).mean(axis=2)  # (T, cell)
    pool /= pool[reference].mean(axis=0)
    return _excitation(own, cells) / (SEMISATURATION + lfilter(_pool_kernel(), [1.0], pool, axis=0))


def modulation(
    saccades: NDArray[np.int64], n_bins: int, weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(T, cell) factor of the rate; the effects of saccades add up."""
    onsets = np.bincount(saccades, minlength=n_bins).astype(float)
    change = lfilter(saccade_kernel(), [1.0], onsets)
    return np.maximum(1 + weight * change[:, None], 0)


def f1_f0(cells: Cells) -> NDArray[np.float64]:
    """(cell,) amplitude of the first harmonic over the mean, of responses to flashed gratings.

    A grating has the cell's frequency and orientation and takes all phases. It is over before the
    pool divides. 2 is the largest value; complex cells are near 0.
    """
    phases = np.arange(PHASES) * 2 * np.pi / PHASES
    sf, ori = cells.frequency.repeat(PHASES), cells.orientation.repeat(PHASES)
    frames = grating_regions(sf, ori, np.tile(phases, len(cells))).astype(np.float32) - GREY
    own = quadrature_gabors(cells)[:, 0]  # (cell, 2, pixel)
    drive = frames.reshape(len(cells), PHASES, -1) @ own.transpose(0, 2, 1)
    response = _excitation(drive.transpose(1, 0, 2), cells)  # (phase, cell)
    harmonic = np.exp(-1j * phases) @ response / PHASES
    return 2 * np.abs(harmonic) / response.mean(axis=0)


def _excitation(own: NDArray[np.floating], cells: Cells) -> NDArray[np.float64]:
    """(T, cell) from the cells' own pairs of filters (T, cell, 2)."""
    energy = (own**2).sum(axis=2)
    linear = np.cos(cells.phase) * own[..., 0] + np.sin(cells.phase) * own[..., 1]
    return np.where(cells.is_complex, energy, np.maximum(linear, 0) ** 2)


def _pool_kernel() -> NDArray[np.float64]:
    smooth = np.exp(-np.arange(POOL_BINS) / POOL_TAU)
    return np.concatenate([np.zeros(POOL_DELAY), smooth / smooth.sum()])
