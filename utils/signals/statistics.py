"""Statistics per ROI of arrays ``(time, roi)`` with missing values."""

from __future__ import annotations

import numpy as np


def column_quantiles(values: np.ndarray, fractions: list[float] | np.ndarray) -> np.ndarray:
    """Quantiles of every column, NaN left out: ``(quantile, roi)`` float64.

    Linear interpolation between ranks, as ``numpy.nanquantile`` but with one sort for all of them,
    and several times faster. A column without any value gives NaN.
    """
    fractions = np.asarray(fractions, dtype=np.float64)
    ranked = np.sort(np.ascontiguousarray(np.asarray(values).T), axis=1)  # NaN last
    counts = (~np.isnan(ranked)).sum(axis=1)
    place = fractions[:, None] * np.maximum(counts - 1, 0)  # (quantile, roi)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0))
    rois = np.arange(len(ranked))
    if not ranked.shape[1]:
        return np.full(place.shape, np.nan)
    below, above = ranked[rois, low].astype(np.float64), ranked[rois, high].astype(np.float64)
    return below + (place - low) * (above - below)
