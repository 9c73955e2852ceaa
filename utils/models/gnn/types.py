"""Types of neurons: clusters of what they do by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import silhouette_score
from torch import Tensor

COMPONENTS = 4
DISTINCT = 0.5  # silhouette below which clusters are no types (Kaufman & Rousseeuw 1990)
ROUNDING = 1e-9
SAMPLE = 2000  # neurons of which silhouettes are averaged


class Types(NamedTuple):
    """Types found."""

    labels: NDArray[np.int64]  # (neuron,)
    estimated_number: int
    embeddings: NDArray[np.float32]  # (neuron, 2)


def find_types(phi: Tensor, n_types: int | None, max_types: int) -> Types:
    """Ward clusters of the curves phi (level, neuron), constants left out.

    Curves are compared by their principal components over neurons, as they are and with the first
    two in units of their own deviation: what types share may vary far less than what sets them
    apart from others. Of both, and of all numbers, the clusters of the largest mean silhouette are
    taken; the number is 1 where even those are not distinct. ``n_types`` overrules the number.
    """
    curves = (phi - phi.mean(dim=0)).cpu().numpy().T / len(phi) ** 0.5  # (neuron, level)
    axes = np.linalg.svd(curves - curves.mean(axis=0), full_matrices=False)
    scores = axes.U * axes.S
    embeddings = np.zeros((len(scores), 2), np.float32)
    embeddings[:, : scores.shape[1]] = scores[:, :2]
    if len(scores) < 3:
        return Types(np.zeros(len(scores), np.int64), 1, embeddings)
    whitened = axes.U[:, :2] * (axes.S[:2] > ROUNDING * axes.S[0])
    trees = [(points, linkage(points, "ward")) for points in (scores[:, :COMPONENTS], whitened)]
    estimated, labels = _most_distinct(trees, range(2, min(max_types, len(scores) - 1) + 1))
    if n_types == 1 or (n_types is None and estimated == 1):
        labels = np.zeros(len(scores), np.int64)
    elif n_types is not None:
        _, labels = _most_distinct(trees, [n_types])
    return Types(labels, estimated, embeddings)


def _most_distinct(
    trees: list[tuple[NDArray, NDArray]], numbers: Iterable[int]
) -> tuple[int, NDArray[np.int64]]:
    """Number and labels of the clusters of the largest silhouette; 1 where none are distinct."""
    best, number, labels = -1.0, 1, np.zeros(0, np.int64)
    for points, tree in trees:
        for wanted in numbers:
            found = fcluster(tree, wanted, "maxclust").astype(np.int64) - 1
            score = _silhouette(points, found)
            if score > best or not len(labels):
                best, number, labels = score, wanted, found
    return (number if best > DISTINCT else 1), labels


def _silhouette(points: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    if not 1 < labels.max() + 1 < len(labels):
        return -1.0
    return silhouette_score(points, labels, sample_size=min(len(labels), SAMPLE), random_state=0)
