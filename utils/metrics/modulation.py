"""By how much does a saccade change a rate, saccade by saccade, though their effects overlap?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from utils.metrics.spikes import valid_bins


def modulation_kernel(
    responses: ArrayLike,
    unmodulated: ArrayLike,
    onsets: ArrayLike,
    lags: ArrayLike,
    mask: ArrayLike | None = None,
    trials: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Relative change of the rate around each saccade (lag, cell), 0 for no change.

    Least squares of ``responses = unmodulated * (b + sum of h[lag] over saccades)``; what is given
    back is h / b. Unlike in an average around saccades, the effect of a saccade is told from those
    of its neighbours, and from what the stimulus does, which ``unmodulated`` knows.

    Parameters
    ----------
    responses : (time, cell), counts or rates that saccades modulate; NaN where missing.
    unmodulated : (time, cell), rates as they were without saccades, up to a factor.
    onsets : (saccade,), bins in which saccades start.
    lags : (lag,), bins after the onset, before it where negative.
    mask : (time,), (time, 1) or (time, cell), true where a response counts.
    trials : (time,), trial numbers; a saccade acts within its trial.

    Returns
    -------
    NaN for a cell without responses, and for all without saccades.
    """
    responses, unmodulated = np.asarray(responses, float), np.asarray(unmodulated, float)
    counted = valid_bins(mask, responses) & np.isfinite(unmodulated)
    y, rate = np.where(counted, responses, 0), np.where(counted, unmodulated, 0)
    design = _design(len(y), np.asarray(onsets, np.intp), np.asarray(lags, np.intp), trials)
    kernels = np.full((len(np.asarray(lags)), y.shape[1]), np.nan)
    for cell in range(y.shape[1]):
        scaled = design.multiply(rate[:, [cell]]).tocsr()
        moments = (scaled.T @ scaled).toarray()
        if np.linalg.matrix_rank(moments, hermitian=True) == len(moments):
            base, *change = np.linalg.solve(moments, scaled.T @ y[:, cell])
            if base > 0:
                kernels[:, cell] = np.array(change) / base
    return kernels


def _design(
    n_bins: int, onsets: NDArray[np.intp], lags: NDArray[np.intp], trials: ArrayLike | None
) -> sparse.csr_array:
    """(time, 1 + lag): ones, and the number of saccades a lag ago."""
    trials = np.zeros(n_bins) if trials is None else np.asarray(trials)
    bins = onsets[:, None] + lags
    inside = (bins >= 0) & (bins < n_bins)
    bins = np.where(inside, bins, 0)
    inside &= (trials[bins] == trials[onsets][:, None]) if n_bins else False
    _, which = np.nonzero(inside)
    rows = np.r_[np.arange(n_bins), bins[inside]]
    columns = np.r_[np.zeros(n_bins, np.intp), 1 + which]
    shape = n_bins, 1 + len(lags)
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape)  # doubles are added up
