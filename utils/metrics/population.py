"""Structure of a population: dimensions, correlations, and what chance alone would give.

Activity is ``(time, neuron)`` without missing values: :func:`complete` leaves out what is
missing. Chance is estimated by circular shifts: every neuron keeps its own time course and loses
its timing relative to the others, so slow drifts and rates do not pass for shared structure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import KMeans
from sklearn.utils.extmath import randomized_svd

from utils.signals import column_quantiles, noise_std

EXCLUDED = -1  # group of pairs that are not counted


def complete(activity: np.ndarray, min_fraction: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Mark what is left when missing values go.

    First the neurons with a value in fewer than ``min_fraction`` of the frames in which any
    neuron has one, then the frames in which any of the others is missing.

    Returns
    -------
    frames : (time,) bool
    neurons : (neuron,) bool
    """
    present = np.isfinite(activity)  # (time, neuron)
    recorded = present.any(axis=1)
    if not recorded.any():
        return recorded, np.zeros(activity.shape[1], bool)
    neurons = present[recorded].mean(axis=0) >= min_fraction
    return present[:, neurons].all(axis=1) & recorded, neurons


def zscore(activity: np.ndarray) -> np.ndarray:
    """Each neuron to mean 0 and standard deviation 1; a constant neuron to 0."""
    centred = activity - activity.mean(axis=0)
    spread = centred.std(axis=0)
    # Rounding leaves a constant neuron a spread of about 1e-8 of its level.
    constant = spread <= 1e-6 * np.maximum(np.abs(activity).max(axis=0, initial=0), 1e-30)
    return np.where(constant, 0, centred / np.where(constant, 1, spread))


def signal_to_noise(activity: np.ndarray, good: np.ndarray | None = None) -> np.ndarray:
    """99.5th percentile over the median, in units of the measurement noise ``(neuron,)``.

    ``good`` are the frames that count ``(time,)``; 0 for a constant neuron.
    """
    good = np.ones(len(activity), bool) if good is None else good
    noise = noise_std(activity, good=good)
    median, high = column_quantiles(activity[good], [0.5, 0.995])
    return np.where(noise > 0, (high - median) / np.where(noise > 0, noise, 1), 0.0)


def pca_spectrum(activity: np.ndarray, centred: bool = True) -> np.ndarray:
    """Fractions of the variance along the principal axes, largest first; sum 1.

    The neurons are centred, not scaled: pass ``zscore(activity)`` to weigh them equally. With
    ``centred=False`` it is the variance about 0, where mean activity counts as well.
    """
    _require_two_frames(activity)
    shifted = (activity - activity.mean(axis=0) if centred else activity).astype(np.float64)
    n_time, n_neurons = shifted.shape
    gram = shifted.T @ shifted if n_neurons <= n_time else shifted @ shifted.T
    variances = np.clip(np.linalg.eigvalsh(gram)[::-1], 0, None)
    total = variances.sum()
    return variances / total if total > 0 else np.zeros_like(variances)


def effective_rank(spectrum: np.ndarray, fraction: float = 0.9) -> int:
    """Number of principal axes that together hold at least ``fraction`` of the variance."""
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction of variance must be in (0, 1], not {fraction}")
    if spectrum.sum() == 0:
        return 0
    reached = np.cumsum(spectrum) / spectrum.sum() >= fraction - 1e-12
    return int(np.argmax(reached)) + 1


def participation_ratio(spectrum: np.ndarray) -> float:
    """``(sum s)^2 / sum s^2``: N for N equal axes, 1 when one axis holds everything."""
    squares = np.square(spectrum).sum()
    return float(spectrum.sum() ** 2 / squares) if squares > 0 else 0.0


def correlation_with(activity: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Pearson correlation of every neuron with one signal ``(time,)``; NaN where constant."""
    if len(signal) != len(activity):
        raise ValueError(f"signal has {len(signal)} frames, activity {len(activity)}")
    scores, reference = zscore(activity), zscore(np.asarray(signal, float)[:, None])
    correlation = (scores.T @ reference)[:, 0] / len(scores)
    constant = ~scores.any(axis=0) | ~reference.any()
    return np.where(constant, np.nan, correlation)


def circular_shift(
    activity: np.ndarray, rng: np.random.Generator, min_shift: int = 1
) -> np.ndarray:
    """Every neuron rotated in time by its own random amount, at least ``min_shift`` frames."""
    n_time, n_neurons = activity.shape
    if n_time <= 2 * min_shift:
        raise ValueError(f"{n_time} frames cannot be shifted by {min_shift} or more either way")
    shifted = np.empty_like(activity)
    for neuron, shift in enumerate(rng.integers(min_shift, n_time - min_shift, n_neurons)):
        shifted[:shift, neuron] = activity[-shift:, neuron]
        shifted[shift:, neuron] = activity[:-shift, neuron]
    return shifted


def distance_groups(positions: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Group of every pair by distance: k for edges[k] <= d < edges[k + 1].

    ``(neuron, neuron)``; each pair once, above the diagonal, the rest ``EXCLUDED``.
    """
    distances = squareform(pdist(np.asarray(positions, float)))
    groups = np.digitize(distances, edges) - 1
    groups[(groups < 0) | (groups >= len(edges) - 1) | np.isnan(distances)] = EXCLUDED
    groups[np.tril_indices(len(groups))] = EXCLUDED
    return groups


def area_groups(areas: Sequence[str], order: Sequence[str]) -> np.ndarray:
    """Group of every pair by its two areas: ``first * len(order) + second``, first <= second.

    ``(neuron, neuron)``; each pair once, above the diagonal, the rest ``EXCLUDED``.
    """
    place = {area: index for index, area in enumerate(order)}
    index = np.array([place.get(str(area), EXCLUDED) for area in areas])
    first = np.minimum(index[:, None], index[None, :])
    groups = first * len(order) + np.maximum(index[:, None], index[None, :])
    groups[first == EXCLUDED] = EXCLUDED
    groups[np.tril_indices(len(groups))] = EXCLUDED
    return groups


def grouped_correlation(
    activity: np.ndarray,
    groups: np.ndarray,
    n_groups: int,
    *,
    n_shifts: int = 20,
    min_shift: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean correlation of the pairs of each group, and the range that chance gives.

    Returns
    -------
    One row per group: ``correlation``, ``n_pairs``, ``chance_low`` and ``chance_high`` (2.5th
    and 97.5th percentile of the group mean over ``n_shifts`` circular shifts).
    """
    _require_two_frames(activity)
    scores = zscore(activity)  # a shift in time changes neither mean nor spread
    means, n_pairs = _group_means(_correlation_of_scores(scores), groups, n_groups)
    rng = np.random.default_rng(seed)
    chance = np.full((max(n_shifts, 1), n_groups), np.nan)
    for shift in range(n_shifts):
        correlation = _correlation_of_scores(circular_shift(scores, rng, min_shift))
        chance[shift] = _group_means(correlation, groups, n_groups)[0]
    low, high = np.percentile(chance, [2.5, 97.5], axis=0)
    return pd.DataFrame(
        {"correlation": means, "n_pairs": n_pairs, "chance_low": low, "chance_high": high}
    )


def order_by_similarity(
    activity: np.ndarray, *, n_axes: int = 20, n_clusters: int = 60, seed: int = 0
) -> np.ndarray:
    """Order of the neurons that puts those with similar time courses side by side.

    Clusters of neurons in the space of the leading principal axes, put in line by optimal leaf
    ordering (Bar-Joseph et al. 2001); inside a cluster from the cluster before to the one after.
    Takes time proportional to the number of neurons. Constant neurons come last.
    """
    scores = zscore(activity)
    active = np.flatnonzero(scores.any(axis=0))
    constant = np.flatnonzero(~scores.any(axis=0))
    if len(active) <= 2:
        return np.concatenate([active, constant])
    n_axes = min(n_axes, len(active) - 1, len(activity) - 1)
    left, strength, _ = randomized_svd(scores[:, active].T, n_axes, random_state=seed)
    loadings = left * strength  # (neuron, axis)
    loadings /= np.maximum(np.linalg.norm(loadings, axis=1, keepdims=True), 1e-12)
    n_clusters = min(n_clusters, max(len(active) // 3, 2))
    fit = KMeans(n_clusters, n_init=1, random_state=seed).fit(loadings)
    return np.concatenate([active[_line_up(loadings, fit.labels_)], constant])


def _line_up(loadings: np.ndarray, labels: np.ndarray) -> np.ndarray:
    names = np.unique(labels)
    centres = np.array([loadings[labels == name].mean(axis=0) for name in names])
    if len(names) > 1:
        distances = pdist(centres)
        line = leaves_list(optimal_leaf_ordering(linkage(distances, "average"), distances))
    else:
        line = np.zeros(1, int)
    padded = [line[0], *line, line[-1]]
    order = []
    for before, cluster, after in zip(padded, line, padded[2:]):
        members = np.flatnonzero(labels == names[cluster])
        along = loadings[members] @ (centres[after] - centres[before])
        order.append(members[np.argsort(along, kind="stable")])
    return np.concatenate(order)


def _correlation_of_scores(scores: np.ndarray) -> np.ndarray:
    correlation = (scores.T @ scores) / len(scores)
    constant = ~scores.any(axis=0)
    correlation[constant] = correlation[:, constant] = np.nan
    return correlation


def _group_means(
    correlation: np.ndarray, groups: np.ndarray, n_groups: int
) -> tuple[np.ndarray, np.ndarray]:
    counted = (groups != EXCLUDED) & np.isfinite(correlation)
    which = groups[counted]
    n_pairs = np.bincount(which, minlength=n_groups)
    sums = np.bincount(which, weights=correlation[counted], minlength=n_groups)
    return np.where(n_pairs > 0, sums / np.maximum(n_pairs, 1), np.nan), n_pairs


def _require_two_frames(activity: np.ndarray) -> None:
    if activity.ndim != 2 or len(activity) < 2:
        raise ValueError(
            f"activity must be (time, neuron) with at least 2 frames, not {activity.shape}"
        )
