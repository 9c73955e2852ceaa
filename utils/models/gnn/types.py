"""Types of neurons: clusters of what they do by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import silhouette_samples
from torch import Tensor

COMPONENTS = 4
DISTINCT = 0.7  # silhouette from which a structure is strong (Kaufman & Rousseeuw 1990)
SMALLEST = 3  # neurons of a type: one or two may just be those whose phi is known badly
ROUNDING = 1e-9
SAMPLE = 2000  # neurons of which silhouettes are looked at


class Types(NamedTuple):
    """Types found."""

    labels: NDArray[np.int64]  # (neuron,)
    estimated_number: int
    embeddings: NDArray[np.float32]  # (neuron, 2)


class Axes(NamedTuple):
    """Principal components of neurons."""

    U: NDArray[np.floating]  # (neuron, component), each of length 1
    S: NDArray[np.floating]  # (component,) lengths


class Division(NamedTuple):
    """Neurons in clusters."""

    labels: NDArray[np.int64]  # (neuron,)
    number: int
    distinctness: float  # mean silhouette of the cluster where it is smallest


def find_types(
    phi: Tensor,
    n_types: int | None,
    max_types: int,
    known: Sequence[int] | None = None,
    messages: Sequence[Tensor] = (),
) -> Types:
    """Ward clusters of the curves phi (level, neuron), constants left out.

    Where there are curves of ``messages`` as well, (level, neuron) each, also clusters of these and
    of phi beside them.
    Curves are compared by their principal components over neurons, as they are and with the first
    two in units of their own deviation: what types share may vary far less than what sets them
    apart from others. Of all, the finest division is taken in which every cluster is distinct; the
    number is 1 where there is none. ``n_types`` overrules the number, ``known`` types (neuron,) the
    labels.
    """
    kinds = [phi, *messages, *(torch.cat([phi, curves]) for curves in messages)]
    axes = [_principal_axes(curves) for curves in kinds]
    spaces = [space for each in axes for space in _spaces(*each)]
    embeddings = np.zeros((phi.shape[1], 2), np.float32)
    scores = axes[-1].U * axes[-1].S
    embeddings[:, : scores.shape[1]] = scores[:, :2]
    one = Division(np.zeros(len(scores), np.int64), 1, 1.0)
    numbers = range(2, min(max_types, len(scores) - 1) + 1)
    distinct = [each for each in _divisions(spaces, numbers) if each.distinctness > DISTINCT]
    best = max(distinct, key=lambda each: (each.number, each.distinctness), default=one)
    labels = best.labels
    if n_types is not None:
        given = _divisions(spaces, [n_types])
        labels = max(given, key=lambda each: each.distinctness, default=one).labels
    if known is not None:
        labels = np.unique(known, return_inverse=True)[1]
    return Types(labels, best.number, embeddings)


def _principal_axes(curves: Tensor) -> Axes:
    """Of curves (level, neuron) without their means."""
    by_neuron = (curves - curves.mean(dim=0)).cpu().numpy().T / len(curves) ** 0.5
    return Axes(*np.linalg.svd(by_neuron - by_neuron.mean(axis=0), full_matrices=False)[:2])


def _spaces(units: NDArray, deviations: NDArray) -> tuple[NDArray, NDArray]:
    whitened = units[:, :2] * (deviations[:2] > ROUNDING * deviations[0])
    return (units * deviations)[:, :COMPONENTS], whitened


def _divisions(spaces: Iterable[NDArray], numbers: Sequence[int]) -> Iterator[Division]:
    """Of the points of each space, into each number of clusters; none of one or two points."""
    for points in spaces:
        if len(points) < 3:
            return
        tree = linkage(points, "ward")
        for number in numbers:
            labels = fcluster(tree, number, "maxclust").astype(np.int64) - 1
            yield Division(labels, int(labels.max()) + 1, _distinctness(points, labels))


def _distinctness(points: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    every = -(-len(points) // SAMPLE)
    found, labels = np.unique(labels[::every], return_inverse=True)
    if len(found) == 1 or np.bincount(labels).min() < SMALLEST:
        return 0.0
    silhouettes = silhouette_samples(points[::every], labels)
    return float((np.bincount(labels, silhouettes) / np.bincount(labels)).min())
