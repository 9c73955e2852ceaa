"""Types of neurons: clusters of what they do by themselves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import silhouette_score
from torch import Tensor

COMPONENTS = 4
DISTINCT = 0.5  # silhouette below which clusters are no types (Kaufman & Rousseeuw 1990)
SAMPLE = 2000  # neurons of which silhouettes are averaged


class Types(NamedTuple):
    """Types found."""

    labels: NDArray[np.int64]  # (neuron,)
    estimated_number: int
    embeddings: NDArray[np.float32]  # (neuron, 2)


def find_types(phi: Tensor, n_types: int | None, max_types: int) -> Types:
    """Ward clusters of the curves phi (level, neuron), constants left out.

    The number is estimated as that of the largest mean silhouette, or 1 where no clusters are
    distinct; without ``n_types`` it is used.
    """
    curves = (phi - phi.mean(dim=0)).cpu().numpy().T / len(phi) ** 0.5  # (neuron, level)
    axes = np.linalg.svd(curves - curves.mean(axis=0), full_matrices=False)
    scores = axes.U * axes.S
    points = scores[:, :COMPONENTS]
    embeddings = np.zeros((len(points), 2), np.float32)
    embeddings[:, : points.shape[1]] = points[:, :2]
    if len(points) < 3:
        return Types(np.zeros(len(points), np.int64), 1, embeddings)
    tree = linkage(points, "ward")
    estimated = _estimate(points, tree, max_types)
    labels = fcluster(tree, n_types or estimated, "maxclust").astype(np.int64) - 1
    return Types(labels, estimated, embeddings)


def _estimate(points: NDArray[np.floating], tree: NDArray, max_types: int) -> int:
    size = min(len(points), SAMPLE)
    scores = {1: DISTINCT}
    for number in range(2, min(max_types, len(points) - 1) + 1):
        labels = fcluster(tree, number, "maxclust")
        if len(np.unique(labels)) == number:
            scores[number] = silhouette_score(points, labels, sample_size=size, random_state=0)
    return max(scores, key=scores.__getitem__)
