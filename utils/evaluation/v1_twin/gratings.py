"""What cells, or their twins, make of gratings: those of a recording, or drifting ones made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from utils.datasets.v1 import V1Recording
from utils.evaluation.v1_twin.predict import Predict, rates_of
from utils.metrics.reverse_correlation import pixel_degrees
from utils.metrics.spikes import valid_bins
from utils.metrics.tuning import (
    condition_means,
    fit_phase,
    fit_preference,
    orientation_difference,
    vector_orientation,
)

Floats = NDArray[np.float64]

LAGS = 16  # bins after a grating in which a response is looked for
GREY, CONTRAST = 127, 0.5
PERIOD = 24  # bins of a cycle of a drifting grating: 5 Hz at 120 Hz
SFS = tuple(np.geomspace(1, 12, 8).round(3))  # c/deg
DIRECTIONS = tuple(range(0, 360, 15))  # deg


@dataclass(frozen=True)
class GratingTuning:
    """Mean responses to gratings, counts per bin.

    Attributes
    ----------
    sfs, orientations : (sf,) c/deg and (orientation,) deg of the gratings shown.
    lags_ms : (lag,) from the grating to the response.
    means : (lag, sf, orientation, cell), NaN for what was not shown.
    n : the same shape, bins behind each mean.
    peak_lags : (cell,) place of the lag at which gratings make the largest difference.
    f1_f0 : (cell,) over the phases of the grating that is nearest to the preferred one.
        Noise adds to it, to about .3 in a complex cell that saw a grating some dozen times.
    """

    sfs: Floats
    orientations: Floats
    lags_ms: Floats
    means: Floats
    n: NDArray[np.int64]
    peak_lags: NDArray[np.intp]
    f1_f0: Floats

    @property
    def at_peak(self) -> Floats:
        """(sf, orientation, cell) at each cell's own lag."""
        return _at_lags(self.means, self.peak_lags)

    def table(self) -> pd.DataFrame:
        """Per cell: sf (c/deg), ori (deg), selectivity (0..1), f1_f0, lag_ms, r2 of the fit."""
        preferred = fit_preference(self.at_peak, self.sfs, self.orientations)
        over_sf = np.nan_to_num(self.at_peak).mean(axis=0)  # (orientation, cell)
        return pd.DataFrame(
            {
                "sf": preferred.sf,
                "ori": preferred.ori,
                "selectivity": vector_orientation(over_sf.T, self.orientations)[1],
                "f1_f0": self.f1_f0,
                "lag_ms": np.where(np.isnan(preferred.r2), np.nan, self.lags_ms[self.peak_lags]),
                "r2": preferred.r2,
            }
        ).rename_axis("cell")


def grating_tuning(
    recording: V1Recording,
    responses: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    n_lags: int = LAGS,
) -> GratingTuning:
    """Tuning from the gratings of a recording, after each lag 0 .. ``n_lags`` - 1.

    Parameters
    ----------
    responses : (time, cell), by default the counts; a model's rates give the tuning of the model.
        NaN where there is no prediction.
    mask : (time,), (time, 1) or (time, cell), true where a response counts; default ``valid``.

    Raises
    ------
    ValueError
        The recording has no gratings.
    """
    responses = np.asarray(recording.robs if responses is None else responses, float)
    counted = valid_bins(recording.valid if mask is None else mask, responses)
    sfs, orientations, conditions = _conditions(recording)
    shape, lags = (len(sfs), len(orientations)), np.arange(n_lags)
    means, n = (
        values.reshape(n_lags, *shape, -1)
        for values in condition_means(
            responses, conditions, np.prod(shape), lags, counted, recording.trial_inds
        )
    )
    peaks = _peak_lags(means)
    preferred = fit_preference(_at_lags(means, peaks), sfs, orientations)
    f1_f0 = np.full(len(peaks), np.nan)
    for cell in np.flatnonzero(~np.isnan(preferred.sf)):
        place = _nearest(sfs, orientations, preferred.sf[cell], preferred.ori[cell])
        frames, bins = _pairs(
            recording, conditions == np.ravel_multi_index(place, shape), peaks[cell]
        )
        after, known = responses[bins, cell, None], counted[bins, cell, None]
        f1_f0[cell] = fit_phase(after, recording.phase[frames], known).f1_f0[0]
    lags_ms = 1000 * lags / recording.metadata["rate_hz"]
    return GratingTuning(sfs, orientations, lags_ms, means, n, peaks, f1_f0)


@dataclass(frozen=True)
class DriftingTuning:
    """Responses to gratings that drift, one cycle after the other.

    Attributes
    ----------
    sfs, directions : (sf,) c/deg and (direction,) deg in which the bars move.
    means : (sf, direction, cell) counts per bin, mean over a cycle.
    f1_f0 : (sf, direction, cell).
    """

    sfs: Floats
    directions: Floats
    means: Floats
    f1_f0: Floats

    def table(self) -> pd.DataFrame:
        """Per cell: sf (c/deg), ori (deg), selectivity (0..1), f1_f0 at the best grating, r2."""
        half = len(self.directions) // 2
        both = (self.means[:, :half] + self.means[:, half:]) / 2  # the two ways of an orientation
        orientations = self.directions[:half]
        preferred = fit_preference(both, self.sfs, orientations)
        best = self.means.reshape(-1, self.means.shape[2]).argmax(axis=0)
        f1_f0 = self.f1_f0.reshape(-1, len(best))[best, np.arange(len(best))]
        return pd.DataFrame(
            {
                "sf": preferred.sf,
                "ori": preferred.ori,
                "selectivity": vector_orientation(both.mean(axis=0).T, orientations)[1],
                "f1_f0": np.where(np.isnan(preferred.r2), np.nan, f1_f0),
                "r2": preferred.r2,
            }
        ).rename_axis("cell")


def show_gratings(
    predict: Predict,
    grid: tuple[int, int],
    px_per_deg: float,
    n_lags: int,
    sfs: Sequence[float] = SFS,
    directions: Sequence[float] = DIRECTIONS,
    behavior: NDArray | None = None,
) -> DriftingTuning:
    """Tuning of a model for gratings of half contrast that drift over all of its region.

    They move for a cycle and the model's memory before responses count, and for one cycle (24 bins)
    while they do.

    Parameters
    ----------
    grid, px_per_deg : rows and columns of a frame, pixels per degree.
    n_lags : frames that a prediction looks back.
    directions : deg, evenly spread over a whole turn, an even number of them.
    behavior : (D,) that the model is given all the time; None for a model without.
    """
    sfs, directions = np.asarray(sfs, float), np.asarray(directions, float)
    half = len(directions) // 2
    if len(directions) % 2 or not np.allclose(directions[half:], directions[:half] + 180):
        raise ValueError(
            "directions must be an even number, evenly spread over 360 deg; found "
            + ", ".join(f"{to:g}" for to in directions)
        )
    n_frames = n_lags - 1 + 2 * PERIOD
    phases = -2 * np.pi * np.arange(n_frames) / PERIOD  # along the wave vector
    means, f1_f0 = [], []
    for sf in sfs:
        frames = np.stack([grating_frames(sf, to, phases, grid, px_per_deg) for to in directions])
        cycle = rates_of(predict, frames, behavior)[:, -PERIOD:]  # (direction, bin, cell)
        means.append(cycle.mean(axis=1))
        f1_f0.append([fit_phase(rates, phases[-PERIOD:]).f1_f0 for rates in cycle])
    return DriftingTuning(sfs, directions, np.array(means, float), np.array(f1_f0))


def grating_frames(
    sf: float, direction: float, phases: ArrayLike, grid: tuple[int, int], px_per_deg: float
) -> NDArray[np.uint8]:
    """Frames (frame, H, W) of a grating, ``cos(2 pi sf u + phase)`` along the direction (deg)."""
    azimuth, elevation = pixel_degrees(*grid, px_per_deg)
    angle = np.deg2rad(direction)
    along = azimuth * np.cos(angle) + elevation[:, None] * np.sin(angle)
    wave = np.cos(2 * np.pi * sf * along + np.asarray(phases)[:, None, None])
    return np.rint(GREY * (1 + CONTRAST * wave)).astype(np.uint8)


def _conditions(recording: V1Recording) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Frequencies and orientations shown, and which pair each bin has (-1: none)."""
    shown = np.isfinite(recording.sf) & np.isfinite(recording.ori)
    if not shown.any():
        raise ValueError(
            f"recording {recording.metadata['name']} shows no gratings (sf and ori are NaN "
            "throughout); tuning can be had from a model by show_gratings"
        )
    sfs, which_sf = np.unique(recording.sf[shown].round(4), return_inverse=True)
    orientations, which_ori = np.unique(recording.ori[shown].round(2) % 180, return_inverse=True)
    conditions = np.full(recording.n_bins, -1, np.intp)
    conditions[shown] = which_sf * len(orientations) + which_ori
    return sfs.astype(float), orientations.astype(float), conditions


def _pairs(
    recording: V1Recording, shown: NDArray[np.bool_], lag: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Frames that are shown, and the bins ``lag`` later, where both are of one trial."""
    frames = np.flatnonzero(shown)
    frames = frames[frames + lag < recording.n_bins]
    frames = frames[recording.trial_inds[frames] == recording.trial_inds[frames + lag]]
    return frames, frames + lag


def _peak_lags(means: Floats) -> NDArray[np.intp]:
    """(cell,) lag at which the variance over conditions is largest."""
    flat = means.reshape(len(means), -1, means.shape[-1])  # (lag, condition, cell)
    n = np.maximum((~np.isnan(flat)).sum(axis=1), 1)
    centred = flat - (np.nansum(flat, axis=1) / n)[:, None]
    return (np.nansum(centred**2, axis=1) / n).argmax(axis=0)


def _at_lags(means: Floats, lags: NDArray[np.intp]) -> Floats:
    """(sf, orientation, cell) at one lag per cell."""
    return means[lags, :, :, np.arange(len(lags))].transpose(1, 2, 0)


def _nearest(sfs: Floats, orientations: Floats, sf: float, ori: float) -> tuple[int, int]:
    """Place of the grating shown that is nearest to a preference."""
    return (
        int(np.abs(np.log(sfs / sf)).argmin()),
        int(orientation_difference(orientations, ori).argmin()),
    )
