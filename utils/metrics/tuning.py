"""What a cell prefers of gratings: orientation, spatial frequency, and how it follows the phase.

Orientations are those of the wave vector in deg, counted anticlockwise from right, and repeat
after 180; spatial frequencies are in c/deg, phases in rad.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.metrics.spikes import valid_bins

Floats = NDArray[np.float64]

ORIENTATIONS = np.arange(0, 180, 2.0)  # deg, at which a peak is looked for
SHARPNESS = (0.5, 1.0, 2.0, 4.0, 8.0)  # kappa of the orientation tuning: half widths 90 .. 17 deg
WIDTHS = (0.15, 0.22, 0.3, 0.45, 0.7)  # standard deviation of the frequency tuning over its peak
STEPS_PER_OCTAVE = 12
BEYOND = 0.5  # octaves outside of the shown range in which a peak may lie


class Preference(NamedTuple):
    """Peaks of fitted tuning, all (cell,); NaN where a cell has no tuning."""

    sf: Floats  # c/deg
    ori: Floats  # deg in [0, 180)
    r2: Floats  # share of the variance over conditions that the fit explains


class PhaseFit(NamedTuple):
    """Response = K cos(phase) + L sin(phase) + C by least squares, all (cell,)."""

    K: Floats
    L: Floats
    C: Floats

    @property
    def f1_f0(self) -> Floats:
        """``2 A / (A + C)`` with the amplitude A = sqrt(K^2 + L^2); NaN without a response.

        The range of the fitted response over its maximum: 0 for a response that ignores the
        phase, 1 for one that the phase just silences, up to 2 for a short discharge.
        """
        amplitude = np.hypot(self.K, self.L)
        peak = amplitude + self.C
        return 2 * amplitude / np.where(peak > 1e-12, peak, np.nan)


def orientation_difference(a: ArrayLike, b: ArrayLike) -> Floats:
    """Smallest angle between two orientations, deg in [0, 90]."""
    return np.abs((np.asarray(a, float) - np.asarray(b, float) + 90) % 180 - 90)


def vector_orientation(tuning: ArrayLike, orientations: ArrayLike) -> tuple[Floats, Floats]:
    """Direction and length of the mean vector over orientations, which must be evenly spread.

    Parameters
    ----------
    tuning : (..., orientation), responses from 0 upwards.
    orientations : (orientation,) deg.

    Returns
    -------
    Preferred orientation (...) in [0, 180) deg, and selectivity (...): 1 for a response to one
    orientation only, 0 for equal ones. Both are NaN where there is no response.
    """
    tuning = np.asarray(tuning, float)
    total = tuning.sum(axis=-1)
    vector = tuning @ np.exp(2j * np.deg2rad(orientations))
    preferred = np.where(total > 0, np.rad2deg(np.angle(vector)) / 2 % 180, np.nan)
    return preferred, np.abs(vector) / np.where(total > 0, total, np.nan)


def condition_means(
    responses: ArrayLike,
    conditions: ArrayLike,
    n_conditions: int,
    lags: ArrayLike,
    mask: ArrayLike | None = None,
    trials: ArrayLike | None = None,
) -> tuple[Floats, NDArray[np.int64]]:
    """Mean response some bins after each condition, and of how many bins: (lag, condition, cell).

    Parameters
    ----------
    responses : (time, cell), counts or rates; NaN where missing.
    conditions : (time,), number of the condition shown, -1 where none is.
    lags : (lag,) bins from the condition to the response.
    mask : (time,), (time, 1) or (time, cell), true where a response counts.
    trials : (time,), trial numbers; condition and response belong to the same one.
    """
    responses, conditions = np.asarray(responses, np.float64), np.asarray(conditions)
    counted = valid_bins(mask, responses)
    known = np.where(counted, responses, 0.0)
    trials = np.zeros(len(responses)) if trials is None else np.asarray(trials)
    shape = (len(np.asarray(lags)), n_conditions, responses.shape[1])
    sums, n = np.zeros(shape), np.zeros(shape, np.int64)
    shown = np.flatnonzero(conditions >= 0)
    for row, lag in enumerate(np.asarray(lags)):
        later = shown + lag
        inside = (later >= 0) & (later < len(responses))
        inside[inside] = trials[later[inside]] == trials[shown[inside]]
        which, later = conditions[shown[inside]], later[inside]
        order = np.argsort(which, kind="stable")
        present, first = np.unique(which[order], return_index=True)
        if len(present):
            sums[row, present] = np.add.reduceat(known[later[order]], first, axis=0)
            n[row, present] = np.add.reduceat(counted[later[order]].astype(np.int64), first, axis=0)
    return sums / np.where(n > 0, n, np.nan), n


def fit_phase(responses: ArrayLike, phases: ArrayLike, mask: ArrayLike | None = None) -> PhaseFit:
    """How responses follow the phase of a grating; NaN with fewer than three different phases.

    Parameters
    ----------
    responses : (sample, cell); NaN where missing.
    phases : (sample,) rad.
    mask : as of :func:`condition_means`.
    """
    responses, phases = np.asarray(responses, np.float64), np.asarray(phases, np.float64)
    counted = valid_bins(mask, responses)
    design = np.column_stack([np.cos(phases), np.sin(phases), np.ones(len(phases))])
    fits = np.full((3, responses.shape[1]), np.nan)
    for cell, used in enumerate(counted.T):
        fit, _, rank, _ = np.linalg.lstsq(design[used], responses[used, cell], rcond=1e-9)
        if rank == 3:
            fits[:, cell] = fit
    return PhaseFit(*fits)


def fit_preference(tuning: ArrayLike, sfs: ArrayLike, orientations: ArrayLike) -> Preference:
    """Peak of a product of tunings: von Mises over orientation, Gaussian over frequency.

    Response = offset + gain * exp(kappa (cos 2(ori - peak) - 1)) * exp(-(sf / peak - 1)^2 / (2
    width^2)) with a gain above 0; a Gabor is Gaussian in frequency. The best of all peaks and
    widths on a fine grid is taken, offset and gain by least squares; a peak lies at most half an
    octave beyond the frequencies shown.

    Parameters
    ----------
    tuning : (sf, orientation, cell) mean responses; NaN for a condition that was not shown.
    sfs, orientations : (sf,) c/deg and (orientation,) deg.
    """
    tuning = np.asarray(tuning, np.float64)
    tuning = tuning.reshape(-1, tuning.shape[2])  # (condition, cell)
    templates, peaks = _templates(np.asarray(sfs, float), np.asarray(orientations, float))
    found = np.full((3, tuning.shape[1]), np.nan)
    shown, pattern = np.unique(~np.isnan(tuning), axis=1, return_inverse=True)
    for place, used in enumerate(shown.T):  # nearly always one: all conditions
        cells = np.flatnonzero(pattern.ravel() == place)
        if used.sum() > 2:
            correlation = _unit(templates[:, used]) @ _unit(tuning[used][:, cells].T).T
            best = correlation.argmax(axis=0)
            r = correlation[best, np.arange(len(cells))]
            found[:2, cells], found[2, cells] = peaks[best].T, r**2
            found[:, cells[~(r > 0)]] = np.nan
    return Preference(*found)


def _templates(sfs: Floats, orientations: Floats) -> tuple[Floats, Floats]:
    """Tuning (template, condition) of every peak and width, and the peaks (template, 2)."""
    low, high = np.log2(sfs.min()) - BEYOND, np.log2(sfs.max()) + BEYOND
    centres = 2 ** np.linspace(low, high, round((high - low) * STEPS_PER_OCTAVE) + 1)
    away = sfs / centres[:, None] - 1
    over_sf = np.exp(-((away / np.asarray(WIDTHS)[:, None, None]) ** 2) / 2)  # (width, peak, sf)
    angles = np.deg2rad(orientations - ORIENTATIONS[:, None])
    over_ori = np.exp(np.asarray(SHARPNESS)[:, None, None] * (np.cos(2 * angles) - 1))
    templates = np.einsum("wps,koc->wkposc", over_sf, over_ori)
    sizes = (len(WIDTHS), len(SHARPNESS), len(centres), len(ORIENTATIONS))
    peaks = np.broadcast_to(
        np.stack(np.meshgrid(centres, ORIENTATIONS, indexing="ij"), axis=-1), (*sizes, 2)
    )
    return templates.reshape(np.prod(sizes), -1), peaks.reshape(-1, 2)


def _unit(rows: Floats) -> Floats:
    """Rows without their mean and of length 1; 0 where nothing is left."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-12)
