"""Does a twin have the receptive fields of the cells it stands for? Only a simulation can tell."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from utils.metrics.tuning import orientation_difference

ERRORS = {  # column -> what it is
    "centre_error": "distance of the centres (deg)",
    "ori_error": "difference of the preferred orientations (deg, 0 to 90)",
    "sf_ratio": "preferred spatial frequency over the true one",
    "f1_f0_error": "difference of F1/F0",
    "kernel_r": "correlation of the saccade kernels",
}


class CellTruth(Protocol):
    """What is asked of a truth, e.g. of :class:`utils.simulation.v1.truth.V1Truth`; all (cell,)."""

    centre: NDArray  # (cell, 2) deg
    ori: NDArray  # deg
    sf: NDArray  # c/deg
    f1_f0: NDArray  # amplitude over mean
    is_complex: NDArray
    saccade_weight: NDArray
    saccade_lags: NDArray  # (lag,) s
    saccade_kernel: NDArray  # (lag,)


def truth_table(truth: CellTruth) -> pd.DataFrame:
    """Per cell: azimuth, elevation (deg), sf (c/deg), ori (deg), f1_f0, is_complex.

    The truth's ratio of amplitude and mean, q, becomes F1/F0 as a phase fit has it, 2 q / (1 + q).
    """
    return pd.DataFrame(
        {
            "azimuth": truth.centre[:, 0],
            "elevation": truth.centre[:, 1],
            "sf": truth.sf,
            "ori": truth.ori,
            "f1_f0": 2 * truth.f1_f0 / (1 + truth.f1_f0),
            "is_complex": truth.is_complex,
        }
    ).rename_axis("cell")


def true_kernels(truth: CellTruth, lags_s: ArrayLike) -> NDArray[np.float64]:
    """(lag, cell) relative change of the rate at other lags (s), 0 where the kernel has ended."""
    shape = np.interp(lags_s, truth.saccade_lags, truth.saccade_kernel, left=0, right=0)
    return shape[:, None] * truth.saccade_weight


def recovery_table(
    truth: pd.DataFrame,
    estimate: pd.DataFrame,
    kernels: tuple[NDArray, NDArray] | None = None,
) -> pd.DataFrame:
    """Per cell, how far estimates are from the truth, see :data:`ERRORS`; NaN without an estimate.

    Parameters
    ----------
    truth : of :func:`truth_table`.
    estimate : the same cells in the same order, with any of azimuth and elevation, sf, ori, f1_f0.
    kernels : true and estimated saccade kernels, each (lag, cell).
    """
    if len(truth) != len(estimate):
        raise ValueError(f"{len(truth)} cells in truth, {len(estimate)} estimated")
    errors = pd.DataFrame(index=truth.index)
    if "azimuth" in estimate:
        away = (estimate[c].to_numpy() - truth[c].to_numpy() for c in ("azimuth", "elevation"))
        errors["centre_error"] = np.hypot(*away)
    if "ori" in estimate:
        errors["ori_error"] = orientation_difference(estimate["ori"], truth["ori"])
    if "sf" in estimate:
        errors["sf_ratio"] = estimate["sf"].to_numpy() / truth["sf"].to_numpy()
    if "f1_f0" in estimate:
        errors["f1_f0_error"] = estimate["f1_f0"].to_numpy() - truth["f1_f0"].to_numpy()
    if kernels is not None:
        errors["kernel_r"] = kernel_correlation(*kernels)
    return errors


def kernel_correlation(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Pearson correlation over lags (cell,) of kernels (lag, cell); NaN where one is constant."""
    a, b = (np.asarray(k, float) - np.mean(k, axis=0) for k in (a, b))
    size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return (a * b).sum(axis=0) / np.where(size > 1e-12, size, np.nan)


def recovery_summary(errors: pd.DataFrame) -> pd.DataFrame:
    """Per column of a recovery table: median, quartiles and the number of cells with an estimate.

    The median of ``f1_f0_error`` is that of its size.
    """
    known = errors.assign(**{c: errors[c].abs() for c in errors if c == "f1_f0_error"})
    quartiles = known.quantile([0.25, 0.5, 0.75]).T.set_axis(["q25", "median", "q75"], axis=1)
    return quartiles.assign(n_cells=known.notna().sum())[["median", "q25", "q75", "n_cells"]]
