"""Fluorescence to dF/F: neuropil correction, noise, and a denominator that cannot vanish.

After F - 0.7 Fneu a mesoscope ROI is often dim or even negative: the neuropil signal (~1000
detector units) is larger than the cell's own baseline (~400), and its true coefficient is known
only to about a tenth. Dividing by such a baseline turns noise into a dF/F of thousands. So the
denominator is floored, per ROI, by what the baseline is uncertain about:

    dF/F = (Fc - F0) / max(F0, noise, 0.1 * median Fneu)

The noise as lower limit follows the Allen Institute's dF/F (AllenSDK, windowed median with noise
floor); the neuropil term is the error of F0 when the coefficient is wrong by 0.1. A floored ROI
is still a faithful trace, only its unit is conservative: the numerator has no floor.

The default percentile of the baseline is 30: a low percentile of a noisy trace lies below its
baseline (the 10th by 1.28 noise units, a third of a typical F0 here), a high one is lifted by
transients. On simulated cells, where F0 is known, the 30th comes closest.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from utils.signals.baselines import maximin_baseline, running_percentile_baseline
from utils.signals.statistics import column_quantiles

BaselineMethod = Literal["running_percentile", "maximin"]
CAUSAL = {"running_percentile": True, "maximin": False}  # does F0 know nothing of the future?
COEFFICIENT_ERROR = 0.1  # how well the neuropil coefficient of a ROI is known


def correct_neuropil(
    fluorescence: np.ndarray, neuropil: np.ndarray, coefficient: float = 0.7
) -> np.ndarray:
    """``F - coefficient * Fneu``, float32. The default 0.7 is that of suite2p."""
    return fluorescence - np.float32(coefficient) * np.asarray(neuropil, dtype=np.float32)


def delta_f_over_f(
    fluorescence: np.ndarray,
    frame_rate: float,
    *,
    good: np.ndarray | None = None,
    method: BaselineMethod = "running_percentile",
    percentile: float = 30.0,
    window_s: float = 60.0,
    warmup_s: float = 10.0,
    floor: np.ndarray | None = None,
) -> np.ndarray:
    """dF/F of (neuropil-corrected) fluorescence, finite for any finite input.

    Parameters
    ----------
    fluorescence : (time, roi).
    frame_rate : frames per second.
    good : (time,) bool; other frames have no influence on the baseline (they get a value too).
    method : ``running_percentile`` (causal, for model inputs) or ``maximin`` (looks into the
        future).
    percentile, window_s, warmup_s : settings of the baseline.
    floor : (roi,) smallest denominator; default :func:`baseline_floor` over the good frames.

    Returns
    -------
    (time, roi) float32; NaN only before the warm-up of the running percentile is over.
    """
    fluorescence = np.asarray(fluorescence, dtype=np.float32)
    if method == "running_percentile":
        baseline = running_percentile_baseline(
            fluorescence,
            frame_rate,
            percentile=percentile,
            window_s=window_s,
            warmup_s=warmup_s,
            good=good,
        )
    elif method == "maximin":
        baseline = maximin_baseline(fluorescence, frame_rate, window_s=window_s, good=good)
    else:
        raise ValueError(f"unknown baseline {method!r}; known: {', '.join(CAUSAL)}")
    if floor is None:
        floor = baseline_floor(fluorescence, good=good)
    change = fluorescence - baseline
    change /= np.maximum(baseline, np.asarray(floor, dtype=np.float32))
    return change


def baseline_floor(
    fluorescence: np.ndarray,
    neuropil: np.ndarray | None = None,
    *,
    good: np.ndarray | None = None,
) -> np.ndarray:
    """Smallest denominator of dF/F per ROI, ``(roi,)`` float32, always positive.

    The larger of the ROI's noise and 0.1 of its median neuropil. A ROI without either (constant
    but for a few jumps) gets its standard deviation, a constant one 1 detector unit.

    Parameters
    ----------
    fluorescence : (time, roi) neuropil-corrected.
    neuropil : (time, roi), or None where it is not known.
    good : (time,) bool, the frames to use: those of the training block.
    """
    used = slice(None) if good is None else good
    floor = noise_std(fluorescence, good=good)
    if neuropil is not None:
        typical = np.nanmedian(np.asarray(neuropil)[used], axis=0)
        floor = np.maximum(floor, COEFFICIENT_ERROR * typical)
    spread = np.nanstd(np.asarray(fluorescence)[used], axis=0, dtype=np.float64)
    floor = np.where(floor > 0, floor, spread)
    return np.where(floor > 0, floor, 1.0).astype(np.float32)


def noise_std(values: np.ndarray, *, good: np.ndarray | None = None) -> np.ndarray:
    """Standard deviation of the measurement noise per ROI, ``(roi,)``.

    From the median absolute difference of neighbouring frames, which slow signals and rare
    transients hardly touch: ``median |x[t+1] - x[t]| / (0.6745 * sqrt(2))``.
    """
    return _median_step(values, good) / (0.6745 * np.sqrt(2))


def noise_level(
    dff: np.ndarray, frame_rate: float, *, good: np.ndarray | None = None
) -> np.ndarray:
    """Shot-noise level per ROI in % / sqrt(Hz), ``(roi,)``; comparable between frame rates.

    ``100 * median |x[t+1] - x[t]| / sqrt(frame rate)`` of dF/F (Rupprecht et al. 2021).
    """
    return 100 * _median_step(dff, good) / np.sqrt(frame_rate)


def _median_step(values: np.ndarray, good: np.ndarray | None) -> np.ndarray:
    """Median absolute difference of neighbouring good frames; NaN where a ROI has none."""
    values = np.asarray(values)
    good = np.ones(len(values), bool) if good is None else np.asarray(good, bool)
    steps = np.abs(np.diff(values, axis=0))[good[1:] & good[:-1]]
    if not len(steps):
        return np.zeros(values.shape[1])
    return column_quantiles(steps, [0.5])[0]
