"""What repeated trials tell: how reliable responses are, and how much of them a model explains.

Responses are (repeat, time, cell), NaN where a repeat has no valid bin. In each cell the bins with
at least ``min_repeats`` repeats count; below that number scores are too noisy, so that a cell
without enough repeats is NaN, with a line in the log.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import ArrayLike, NDArray

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]

MIN_REPEATS = 20
N_SPLITS = 200
ROUNDING = 1e-9  # a spread below this share of the mean is none


def ccnorm(
    responses: ArrayLike,
    predictions: ArrayLike,
    *,
    n_splits: int = N_SPLITS,
    min_repeats: int = MIN_REPEATS,
    seed: int = 0,
) -> Floats:
    """Correlation of mean response and prediction over its ceiling (cell,), after [1]_.

    The ceiling is the square root of the :func:`reliability`. The score estimates the correlation
    with the mean over endless repeats; being an estimate it can exceed 1 and is not clipped. It
    exceeds 1 systematically where predictions know what made repeats differ: under eye movements a
    model that knows the gaze explains part of what the ceiling takes for noise. A ceiling of 1
    holds with stabilised eyes only.

    Parameters
    ----------
    responses : (repeat, time, cell).
    predictions : (time, cell), or (repeat, time, cell) where repeats are predicted each on its own;
        they are averaged over the repeats that have a response.
    n_splits : random halves of the repeats; ``seed`` draws them.
    min_repeats : bins with fewer repeats do not count.

    Returns
    -------
    NaN for a cell with fewer than ``min_repeats`` repeats, with a constant prediction, with a NaN
    prediction where there is a response, or whose responses do not repeat at all.

    Raises
    ------
    ValueError
        Shapes do not belong together.

    .. [1] Schoppe et al. (2016), "Measuring the performance of neural models", Frontiers in
       Computational Neuroscience 10:10; Hsu, Borst and Theunissen (2004), Network 15:91-109.
    """
    responses = _checked(responses)
    predictions = np.asarray(predictions, np.float64)
    if predictions.shape not in {responses.shape, responses.shape[1:]}:
        raise ValueError(
            f"expected predictions {responses.shape[1:]} (time, cell) or {responses.shape} "
            f"(repeat, time, cell); found {predictions.shape}"
        )
    predictions = np.broadcast_to(predictions, responses.shape)
    halves = _halves(len(responses), n_splits, seed)
    scores = np.full(responses.shape[2], np.nan)
    for cell, enough in _cells_with(responses, min_repeats):
        repeats = responses[:, enough, cell]  # (repeat, time)
        present = ~np.isnan(repeats)
        predicted = _mean(predictions[:, enough, cell], present)
        ceiling = np.sqrt(_reliability(repeats, halves))
        scores[cell] = _correlation(_mean(repeats, present), predicted) / ceiling
    return scores


def reliability(
    responses: ArrayLike,
    *,
    n_splits: int = N_SPLITS,
    min_repeats: int = MIN_REPEATS,
    seed: int = 0,
) -> Floats:
    """Share of the variance of the mean response that is not noise (cell,).

    2 c / (1 + c), c the correlation of the means of two halves of the repeats, averaged over random
    halves (Spearman-Brown). NaN where ``c`` is not positive; arguments as of :func:`ccnorm`.
    """
    responses = _checked(responses)
    halves = _halves(len(responses), n_splits, seed)
    result = np.full(responses.shape[2], np.nan)
    for cell, enough in _cells_with(responses, min_repeats):
        result[cell] = _reliability(responses[:, enough, cell], halves)
    return result


def one_minus_alpha(
    responses: ArrayLike, *, poisson: bool = True, min_repeats: int = MIN_REPEATS
) -> Floats:
    """Share of the variance of the rate that is not in its mean over repeats (cell,), see [1]_.

    Within a bin repeats differ by noise and by what is not repeated, above all the gaze. Poisson
    noise has the variance of the mean, so that for means m and unbiased variances v over the n
    repeats of a bin ::

        not repeated F = mean(v - m)      repeated P = var(m) - mean(v / n)      F / (F + P)

    Both are unbiased; none is clipped, so that a cell with few spikes can leave 0..1. Noise beyond
    Poisson counts as not repeated.

    Parameters
    ----------
    responses : (repeat, time, cell), counts, or predicted rates with ``poisson=False``: rates have
        no noise that must be taken away.
    min_repeats : bins with fewer repeats do not count.

    Returns
    -------
    NaN for a cell with too few repeats, or whose estimated variances do not sum to more than 0.

    .. [1] McFarland, Cumming and Butts (2016), "Variability and correlations in primary visual
       cortical neurons driven by fixational eye movements", J. Neuroscience 36:6225-6241.
    """
    responses = _checked(responses)
    result = np.full(responses.shape[2], np.nan)
    for cell, enough in _cells_with(responses, min_repeats):
        repeats = responses[:, enough, cell]
        n = (~np.isnan(repeats)).sum(axis=0)
        mean, variance = np.nanmean(repeats, axis=0), np.nanvar(repeats, axis=0, ddof=1)
        apart = np.mean(variance - mean) if poisson else np.mean(variance)
        total = apart + np.var(mean, ddof=1) - np.mean(variance / n)
        result[cell] = apart / total if total > 0 else np.nan
    return result


def _checked(responses: ArrayLike) -> Floats:
    responses = np.asarray(responses, np.float64)
    if responses.ndim != 3:
        raise ValueError(f"expected responses (repeat, time, cell); found {responses.shape}")
    return responses


def _cells_with(responses: Floats, min_repeats: int) -> list[tuple[int, NDArray[np.bool_]]]:
    """Cells that can be scored, each with its bins of enough repeats; the others are logged: as a
    warning if it is all of them."""
    enough = (~np.isnan(responses)).sum(axis=0) >= max(min_repeats, 2)  # (time, cell)
    scored = enough.sum(axis=0) > 1
    if not scored.all():
        logger.log(
            logging.INFO if scored.any() else logging.WARNING,
            "%d of %d cells have fewer than %d valid repeats and score NaN; min_repeats lowers "
            "the number",
            *((~scored).sum(), len(scored), min_repeats),
        )
    return [(cell, enough[:, cell]) for cell in np.flatnonzero(scored)]


def _halves(n_repeats: int, n_splits: int, seed: int) -> Floats:
    """(split, repeat) 1 in the first half, 0 in the second."""
    order = np.random.default_rng(seed).random((n_splits, n_repeats)).argsort(axis=1)
    return (order < n_repeats // 2).astype(np.float64)


def _reliability(repeats: Floats, halves: Floats) -> float:
    """Of one cell's (repeat, time), both halves of all splits at once."""
    present = ~np.isnan(repeats)
    filled = np.where(present, repeats, 0.0)
    means = []
    for half in (halves, 1 - halves):  # (split, repeat)
        n = half @ present
        means.append(half @ filled / np.where(n > 0, n, np.nan))
    correlations = _correlation(*means)
    known = correlations[~np.isnan(correlations)]  # a half without a spike is constant
    half = known.mean() if known.size else np.nan
    return 2 * half / (1 + half) if half > 0 else np.nan


def _mean(values: Floats, present: NDArray[np.bool_]) -> Floats:
    """Over repeats, of what is present."""
    return np.where(present, values, 0.0).sum(axis=0) / present.sum(axis=0)


def _correlation(a: Floats, b: Floats) -> Floats:
    """Along the last axis; NaN where either is constant or has a NaN."""
    spreads = []
    for values in (a, b):
        spread = values.std(axis=-1)
        level = np.abs(values).max(axis=-1)
        spreads.append(np.where(spread > ROUNDING * level, spread, np.nan))
    a, b = (values - values.mean(axis=-1, keepdims=True) for values in (a, b))
    return (a * b).mean(axis=-1) / (spreads[0] * spreads[1])
