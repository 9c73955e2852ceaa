"""How well a network's connectivity was recovered: weights, strongest edges, neuron types.

Connectivity is ``(n, n)``, ``[post, pre]``: row i holds what neuron i receives. A model knows
``W_ij psi_j(u)`` but neither factor's scale, so learned columns are first scaled by how much of
the true psi the learned psi of that sender covers (``plateau``, see :func:`psi_plateau`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

Floats = NDArray[np.floating]

STRONGEST = 0.05  # share of all entries that counts as the strongest edges


def connectivity_r2(learned: ArrayLike, true: ArrayLike, plateau: ArrayLike | None = None) -> float:
    """Squared Pearson correlation of learned with true weights over all n^2 entries.

    Blind to one factor common to all weights, and ruled by the few largest weights where these
    have heavy tails: look at :func:`connectivity_scores` as well.

    Parameters
    ----------
    learned, true : (n, n) [post, pre].
    plateau : (n,) factor of each learned column; None: 1.

    Returns
    -------
    float in [0, 1]; NaN where either matrix is constant or holds a value that is not finite.
    """
    return _correlation(*_checked(learned, true, plateau)) ** 2


def connectivity_scores(
    learned: ArrayLike,
    true: ArrayLike,
    types: ArrayLike | None = None,
    plateau: ArrayLike | None = None,
    strongest: float = STRONGEST,
) -> dict[str, float | Floats]:
    """Scores of learned weights that see more than the squared correlation.

    Parameters
    ----------
    learned, true : (n, n) [post, pre].
    types : (n,) true type of each neuron.
    plateau : (n,) factor of each learned column; None: 1.
    strongest : share of all entries, of largest true strength, that count as strong edges.

    Returns
    -------
    ``r2``, ``slope`` of the straight line through learned over true weights, ``spearman``,
    ``auprc``: area under the precision-recall curve of absolute learned weights as a search for
    the strongest edges (chance: ``auprc_chance``, their share); with ``types`` also
    ``r2_by_type`` (type, type) [post, pre], NaN where a block of the truth is constant.
    """
    learned, true = _checked(learned, true, plateau)
    strong = _strongest(true, strongest)
    scores = {
        "r2": _correlation(learned, true) ** 2,
        "slope": _slope(learned, true),
        "spearman": _correlation(rankdata(learned), rankdata(true)),
        "auprc": _search(np.abs(learned), strong),
        "auprc_chance": float(strong.mean()),
    }
    if types is not None:
        scores["r2_by_type"] = _r2_by_type(learned, true, _labels(types, len(true)))
    return scores


def psi_plateau(psi: ArrayLike) -> Floats:
    """Half the range that psi covers over a sender's activity: 1 for a tanh that saturates.

    Parameters
    ----------
    psi : (point, n) or (point,) values at points that span the activity of each sender.
    """
    psi = np.asarray(psi, np.float64)
    return (psi.max(axis=0) - psi.min(axis=0)) / 2


def cluster_accuracy(found: ArrayLike, true: ArrayLike) -> float:
    """Share of neurons in the right type, after the best one-to-one matching of names.

    Neurons in found types that no true type is left for count as wrong (Hungarian method).

    Parameters
    ----------
    found, true : (n,) labels of any kind; the numbers of types may differ.
    """
    n = np.size(true)
    counts = pd.crosstab(_labels(true, n), _labels(found, n)).to_numpy()  # (true, found type)
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / n)


def spectral_radius(connectivity: ArrayLike) -> float:
    """Largest absolute eigenvalue; above 1 / gain a network of tanh neurons can be chaotic.

    NaN where a weight is not finite.
    """
    connectivity = _square(connectivity, "connectivity")
    if np.isnan(connectivity).any():
        return np.nan
    return float(np.abs(np.linalg.eigvals(connectivity)).max())


def _correlation(a: Floats, b: Floats) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt(np.square(a).sum() * np.square(b).sum()))


def _slope(learned: Floats, true: Floats) -> float:
    if np.ptp(true) == 0:
        return np.nan
    centred = true - true.mean()
    return float((centred * learned).sum() / np.square(centred).sum())


def _strongest(true: Floats, share: float) -> NDArray[np.bool_]:
    """The entries of largest strength; zeros never count, so a sparse truth may have fewer."""
    if not 0 < share < 1:
        raise ValueError(f"strongest = {share}: expected a share of all entries between 0 and 1")
    strength = np.abs(true)
    k = min(max(round(share * true.size), 1), true.size)
    border = np.partition(strength, true.size - k, axis=None)[true.size - k]
    return (strength >= border) & (strength > 0)


def _search(scores: Floats, wanted: NDArray[np.bool_]) -> float:
    """Area under the precision-recall curve."""
    from sklearn.metrics import average_precision_score  # 0.6 s that other metrics do not need

    if not wanted.any() or not np.isfinite(scores).all():
        return np.nan
    return float(average_precision_score(wanted.ravel(), scores.ravel()))


def _r2_by_type(learned: Floats, true: Floats, types: NDArray) -> Floats:
    names = np.unique(types)
    blocks = [[np.ix_(types == post, types == pre) for pre in names] for post in names]
    return np.array([[_correlation(learned[b], true[b]) ** 2 for b in row] for row in blocks])


def _checked(
    learned: ArrayLike, true: ArrayLike, plateau: ArrayLike | None
) -> tuple[Floats, Floats]:
    """Both as float64, the learned columns scaled."""
    learned, true = _square(learned, "learned"), _square(true, "true")
    if learned.shape != true.shape:
        raise ValueError(f"learned weights are {learned.shape}, true ones {true.shape}")
    if plateau is None:
        return learned, true
    plateau = np.asarray(plateau, np.float64)
    if plateau.shape != (len(true),):
        raise ValueError(f"plateau is {plateau.shape}; expected one per sender, ({len(true)},)")
    return learned * plateau, true


def _square(weights: ArrayLike, name: str) -> Floats:
    """As float64; what is not finite becomes NaN, which every score passes on."""
    weights = np.asarray(weights, np.float64)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not weights.size:
        raise ValueError(f"{name} weights are {weights.shape}; expected (n, n) [post, pre]")
    return np.where(np.isfinite(weights), weights, np.nan)


def _labels(labels: ArrayLike, n: int) -> NDArray:
    labels = np.asarray(labels)
    if labels.shape != (n,) or not n:
        raise ValueError(f"types are {labels.shape}; expected one per neuron, ({n},)")
    return labels
