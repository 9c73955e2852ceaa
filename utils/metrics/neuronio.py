"""Scores of predicted spikes and voltages of a neuron, as they are published for NeuronIO.

All ms of all simulations are pooled: arrays of one shape, whatever it is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import auc, roc_curve

logger = logging.getLogger(__name__)

MOST_SPIKES = 24  # of a simulation that counts: more are of a neuron in another state
ONSET = 500  # ms at the start of a simulation that do not count
_GRID = 20_000  # false-positive rates at which the curve is averaged


def neuronio_metrics(
    spikes: ArrayLike,
    probability: ArrayLike,
    soma_mv: ArrayLike,
    predicted_mv: ArrayLike,
    false_positive_rates: Sequence[float] = (),
) -> dict[str, float]:
    """Scores of spikes (0 or 1, and their predicted probability) and of voltages in mV.

    Returns
    -------
    ``auc`` under the receiver-operating curve of spikes; ``rmse_mv`` and ``mae_mv`` of the voltage;
    ``explained_variance`` as a fraction, 1 - var(error) / var(voltage); and for each of
    ``false_positive_rates`` the rate of found spikes at it, ``tp_at_<rate>``, and their mean rate
    below it, ``auc_at_<rate>``. What is not defined is NaN, with a warning in the log: scores of
    spikes where there is none or nothing else, the explained variance of a constant voltage, all
    where nothing is left to score or a prediction is NaN.
    """
    flat = (np.asarray(a, np.float64).ravel() for a in (spikes, probability, soma_mv, predicted_mv))
    spikes, probability, soma_mv, predicted_mv = flat
    return {
        **_spike_scores(spikes, probability, false_positive_rates),
        **_voltage_scores(soma_mv, predicted_mv),
    }


def counted_ms(
    spikes: NDArray, onset: int = ONSET, most_spikes: int = MOST_SPIKES
) -> tuple[NDArray[np.bool_], slice]:
    """Index of what counts in (simulation, time): without the start, and what spikes too much."""
    return spikes.sum(axis=1) <= most_spikes, slice(onset, None)


def _spike_scores(
    spikes: NDArray[np.float64], probability: NDArray[np.float64], rates: Sequence[float]
) -> dict[str, float]:
    names = ["auc", *(f"{kind}_at_{rate:g}" for rate in rates for kind in ("tp", "auc"))]
    fault = _undefined(spikes, probability)
    if fault:
        logger.warning("spikes cannot be scored: %s", fault)
        return dict.fromkeys(names, float("nan"))
    false_positive, true_positive, _ = roc_curve(spikes, probability)
    grid = np.linspace(0, 1, _GRID)
    on_grid = np.interp(grid, false_positive, true_positive)
    scores = {"auc": auc(false_positive, true_positive)}
    for rate in rates:
        place = max(1, int(np.abs(false_positive - rate).argmin()))
        below = max(1, int(np.abs(grid - rate).argmin()))
        scores[f"tp_at_{rate:g}"] = true_positive[place]
        scores[f"auc_at_{rate:g}"] = on_grid[:below].mean()
    return {name: float(scores[name]) for name in names}


def _undefined(spikes: NDArray[np.float64], probability: NDArray[np.float64]) -> str | None:
    if not len(spikes):
        return "nothing is left to score"
    if np.isnan(probability).any():
        return f"{np.isnan(probability).mean():.0%} of the predictions are NaN"
    if spikes.min() == spikes.max():
        return f"there is {'a spike in every ms' if spikes.min() else 'no spike'}"
    return None


def _voltage_scores(
    soma_mv: NDArray[np.float64], predicted_mv: NDArray[np.float64]
) -> dict[str, float]:
    error = soma_mv - predicted_mv
    if not len(error) or np.isnan(error).any():
        logger.warning("the voltage cannot be scored: nothing is left, or values are NaN")
        return dict.fromkeys(("rmse_mv", "mae_mv", "explained_variance"), float("nan"))
    variance = soma_mv.var()
    if variance == 0:
        logger.warning("the voltage is constant: it has no variance to explain")
    return {
        "rmse_mv": float(np.sqrt(np.mean(error**2))),
        "mae_mv": float(np.abs(error).mean()),
        "explained_variance": float(1 - error.var() / variance) if variance else float("nan"),
    }
