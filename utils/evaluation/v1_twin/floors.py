"""What a twin has to beat: the mean rate, what behaviour tells, and a linear-nonlinear model.

All are fitted to the training trials that the twin learns from; what they have to choose, they
choose on its validation trials.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from utils.datasets.v1.dataset import V1Dataset
from utils.metrics import bits_per_spike, mean_rates
from utils.models.v1_twin.linear_nonlinear import fit_linear_nonlinear
from utils.splits import TRAIN, VALIDATION

Floats = NDArray[np.floating]

FLOORS = ("behaviour", "linear-nonlinear")  # beside the mean rate, which scores 0
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # on weights of columns with a variance of 1
MOST_DRIVE = 20.0  # natural logarithm of rate over mean rate; against overflow on the way


def floor_rates(dataset: V1Dataset) -> dict[str, Floats]:
    """Rates (time, cell) of each of :data:`FLOORS` in all bins, NaN for a cell without data.

    A floor whose input the data set has not, behaviour or frames, is left out.
    """
    floors = {}
    if dataset.behavior is not None:
        floors["behaviour"] = behavior_rates(dataset)
    if dataset.recording.stim is not None:
        model = fit_linear_nonlinear(
            dataset.recording.stim,
            dataset.responses,
            dataset.counted(TRAIN),
            dataset.counted(VALIDATION),
            dataset.config.n_lags,
        )
        floors["linear-nonlinear"] = model.predict(dataset.recording.stim)
    return floors


def behavior_rates(dataset: V1Dataset) -> Floats:
    """Poisson regression of each cell on the columns of behaviour that the twin sees.

    Their basis functions reach back in time, so that the regression has kernels of saccades. The
    ridge penalty of each cell is the one that predicts its validation bins best.
    """
    train, validation = dataset.counted(TRAIN), dataset.counted(VALIDATION)
    counts = np.asarray(dataset.responses, np.float64)
    mean = mean_rates(counts, train)
    used = dataset.behavior[train.any(axis=1)]
    spread = used.std(axis=0)
    columns = (dataset.behavior - used.mean(axis=0)) / np.where(spread > 0, spread, 1)
    best, best_score = np.full(counts.shape, np.nan), np.full(len(mean), -np.inf)
    for penalty in PENALTIES:
        weights = _poisson_regression(columns, counts, train, penalty)
        rates = mean * np.exp(columns @ weights[1:] + weights[0])
        score = bits_per_spike(counts, rates, mean, validation)
        better = score > best_score  # never where a cell has no data
        best[:, better], best_score[better] = rates[:, better], score[better]
    return best


def _poisson_regression(
    columns: Floats, counts: Floats, mask: NDArray[np.bool_], penalty: float
) -> Floats:
    """Weights (1 + column, cell) of all cells at once, the first a constant that is not penalised.

    Rates are relative to the mean of each cell, and so is its loss. The optimiser walks along the
    principal axes of the columns, scaled so that the loss is about equally curved along each.
    """
    used = mask.any(axis=1)
    columns, mask = columns[used].astype(np.float64), mask[used]
    relative = np.where(mask, counts[used], 0)
    spikes = relative.sum(axis=0)
    relative /= np.maximum(spikes, 1)
    share = mask / np.where(spikes > 0, mask.sum(axis=0), np.inf)  # 0 for a silent cell
    power, axes = np.linalg.eigh(columns.T @ columns / len(columns))
    to_weights = axes / np.sqrt(power + penalty)
    along = columns @ to_weights
    shrink = (penalty / (power + penalty))[:, None]

    def loss(flat: Floats) -> tuple[float, Floats]:
        steps = flat.reshape(1 + len(power), -1)
        drive = along @ steps[1:] + steps[0]
        expected = share * np.exp(np.minimum(drive, MOST_DRIVE))
        error = expected - relative
        gradient = np.concatenate([[error.sum(axis=0)], along.T @ error + shrink * steps[1:]])
        value = expected.sum() - (relative * drive).sum() + (shrink * steps[1:] ** 2).sum() / 2
        return value, gradient.ravel()

    start = np.zeros((1 + len(power)) * mask.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x.reshape(1 + len(power), -1)
    return np.concatenate([found[:1], to_weights @ found[1:]])
