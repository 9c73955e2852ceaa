"""Scores of predicted rates against spike counts, and responses around saccades.

Rates and counts are per bin, arrays (time, cell). What is not defined is NaN, never 0: a mean over
cells has to leave such cells out, and say so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

Floats = NDArray[np.float64]


def bits_per_spike(
    counts: ArrayLike, rates: ArrayLike, mean_rate: ArrayLike, mask: ArrayLike | None = None
) -> Floats:
    """Gain in Poisson log-likelihood over the mean rate, in bits per spike (cell,).

    0 is as good as the mean rate, below 0 worse; nothing is clamped, and a rate of 0 where a spike
    fell scores minus infinity. If ``counts`` are the true rates themselves, the score is the one
    that predictions can expect of Poisson counts with these rates.

    Parameters
    ----------
    counts : (time, cell), spikes; NaN where missing.
    rates : (time, cell), predicted spikes per bin; NaN in a bin that counts makes the score NaN.
    mean_rate : (cell,), or one number: mean spikes per bin **of the training data**.
    mask : (time,), (time, 1) or (time, cell), true where a bin counts; default: everywhere.

    Returns
    -------
    NaN for a cell without valid bins, without spikes in them, or without spikes in training.

    Raises
    ------
    ValueError
        Shapes do not belong together, or a rate that counts is negative.
    """
    counts, rates = np.asarray(counts, np.float64), np.asarray(rates, np.float64)
    if counts.ndim != 2 or counts.shape != rates.shape:
        raise ValueError(f"counts {counts.shape} and rates {rates.shape} must both be (time, cell)")
    counted = valid_bins(mask, counts)
    mean_rate = np.asarray(mean_rate, np.float64)
    mean_rate = np.where(mean_rate > 0, mean_rate, np.nan)
    counts = np.where(counted, counts, 0.0)
    rates = np.where(counted, rates, mean_rate)  # gains nothing
    if (rates < 0).any():
        raise ValueError(
            f"rates are spikes per bin and not negative; found {np.nanmin(rates):.3g} in cell "
            f"{np.flatnonzero((rates < 0).any(axis=0))[0]}"
        )
    gain = (xlogy(counts, rates / mean_rate) - (rates - mean_rate)).sum(axis=0)
    spikes = counts.sum(axis=0)
    return gain / (np.log(2) * np.where(spikes > 0, spikes, np.nan))


def oracle_bits_per_spike(rates: ArrayLike, mask: ArrayLike | None = None) -> Floats:
    """What the true rates score on average: mean(l log2(l / mean l)) / mean l, (cell,).

    Parameters
    ----------
    rates : (time, cell), true spikes per bin.
    mask : as of :func:`bits_per_spike`.
    """
    rates = np.asarray(rates, np.float64)
    return bits_per_spike(rates, rates, mean_rates(rates, mask), mask)


def mean_rates(counts: ArrayLike, mask: ArrayLike | None = None) -> Floats:
    """Mean over the bins that count (cell,), NaN for a cell without any."""
    counts = np.asarray(counts, np.float64)
    counted = valid_bins(mask, counts)
    n = counted.sum(axis=0)
    return np.where(counted, counts, 0.0).sum(axis=0) / np.where(n > 0, n, np.nan)


def valid_bins(mask: ArrayLike | None, counts: NDArray) -> NDArray[np.bool_]:
    """What counts of (time, cell): the mask says so, and there is a number."""
    present = ~np.isnan(counts)
    if mask is None:
        return present
    mask = np.asarray(mask)
    if mask.ndim == 1:
        mask = mask[:, None]
    if mask.shape not in {counts.shape, (len(counts), 1)}:
        raise ValueError(
            f"expected a mask of shape {(len(counts),)}, {(len(counts), 1)} or {counts.shape}; "
            f"found {mask.shape}"
        )
    return present & (mask > 0)


def saccade_triggered_average(
    responses: ArrayLike,
    onsets: ArrayLike,
    lags: ArrayLike,
    mask: ArrayLike | None = None,
    trials: ArrayLike | None = None,
) -> Floats:
    """Mean response around saccades (lag, cell); NaN where no saccade has a valid bin.

    Parameters
    ----------
    responses : (time, cell), counts or rates; NaN where missing.
    onsets : (saccade,), bins in which saccades start.
    lags : (lag,), bins after the onset, before it where negative.
    mask : as of :func:`bits_per_spike`.
    trials : (time,), trial numbers; a lag that leaves the saccade's trial does not count.
    """
    responses = np.asarray(responses, np.float64)
    onsets, lags = np.asarray(onsets, np.intp), np.asarray(lags, np.intp)
    counted = valid_bins(mask, responses)
    trials = np.zeros(len(responses)) if trials is None else np.asarray(trials)
    average = np.full((len(lags), responses.shape[1]), np.nan)
    for row, lag in zip(average, lags):
        bins = onsets + lag
        inside = (bins >= 0) & (bins < len(responses))
        inside[inside] = trials[bins[inside]] == trials[onsets[inside]]
        row[:] = mean_rates(responses[bins[inside]], counted[bins[inside]])
    return average
