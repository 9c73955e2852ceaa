"""How well the heads of a network say one parameter each, as a class and as a physical value.

All arrays are (sample,), but for probabilities (sample, class). Values that are NaN in the truth
do not count; what cannot be computed is NaN.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

BINS = 10  # of confidence


def mean_absolute_error(predicted: ArrayLike, true: ArrayLike) -> float:
    """Mean distance of values, in their own unit."""
    distance = _distances(predicted, true)
    return float(distance.mean()) if len(distance) else np.nan


def just_noticeable_difference_score(
    predicted: ArrayLike, true: ArrayLike, tolerance: float
) -> float:
    """Mean of max(0, 1 - |predicted - true| / tolerance): 1 is exact, 0 beyond the tolerance.

    Parameters
    ----------
    tolerance : difference that can just be noticed, in the unit of the values.

    Raises
    ------
    ValueError
        A tolerance that is not positive, or unequal shapes.
    """
    if not 0 < tolerance < np.inf:
        raise ValueError(f"tolerance must be positive and finite, found {tolerance}")
    distance = _distances(predicted, true)
    return float(np.maximum(0, 1 - distance / tolerance).mean()) if len(distance) else np.nan


def reliability_table(
    probabilities: ArrayLike, labels: ArrayLike, n_bins: int = BINS
) -> pd.DataFrame:
    """Is the most probable class right as often as it is said to be?

    Parameters
    ----------
    probabilities : (sample, class), rows add up to 1.
    labels : (sample,) true classes.
    n_bins : of equal width, over confidence (the largest probability) from 0 to 1.

    Returns
    -------
    One row per bin that holds samples: mean ``confidence``, ``accuracy``, ``n``.

    Raises
    ------
    ValueError
        Other shapes, rows that are no probabilities, or labels that are no class.
    """
    probabilities, labels = _checked(probabilities, labels)
    if n_bins < 1:
        raise ValueError(f"n_bins must be >= 1, found {n_bins}")
    confidence = probabilities.max(axis=1)
    samples = pd.DataFrame(
        {"confidence": confidence, "accuracy": probabilities.argmax(axis=1) == labels, "n": 1}
    )
    places = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    bins = samples.groupby(places).agg({"confidence": "mean", "accuracy": "mean", "n": "sum"})
    return bins.rename_axis("bin").reset_index(drop=True)


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, n_bins: int = BINS) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv 1706.04599), 0 .. 1.

    Mean over samples of |accuracy - confidence| of their bin, see :func:`reliability_table`.
    """
    table = reliability_table(probabilities, labels, n_bins)
    if table.empty:
        return np.nan
    gap = (table["accuracy"] - table["confidence"]).abs()
    return float(np.average(gap, weights=table["n"]))


def _distances(predicted: ArrayLike, true: ArrayLike) -> NDArray[np.float64]:
    """|predicted - true| where there is a truth."""
    predicted, true = np.asarray(predicted, float), np.asarray(true, float)
    if predicted.ndim != 1 or predicted.shape != true.shape:
        raise ValueError(
            f"expected predicted and true (sample,), found {predicted.shape} and {true.shape}"
        )
    return np.abs(predicted - true)[~np.isnan(true)]


def _checked(
    probabilities: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    probabilities, labels = np.asarray(probabilities, float), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            "expected probabilities (sample, class) and labels (sample,), found "
            f"{probabilities.shape} and {labels.shape}"
        )
    sums = probabilities.sum(axis=1)
    if not (np.allclose(sums, 1, atol=1e-3) and (probabilities >= 0).all()):
        raise ValueError("probabilities must not be negative, and add up to 1 over classes")
    n_classes = probabilities.shape[1]
    if len(labels) and not (labels.min() >= 0 and labels.max() < n_classes):
        raise ValueError(
            f"labels must be classes 0 .. {n_classes - 1}, found {labels.min()} .. {labels.max()}"
        )
    return probabilities, labels
