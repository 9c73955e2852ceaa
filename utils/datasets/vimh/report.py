"""Which heads of a data set can be learned at all.

A network cannot say what its inputs do not hold: a label that never changes, or a parameter that
leaves no trace in images that are scaled one by one. Two probes, the nearest neighbour and ridge
regression, learn from one half of the samples and are asked about the other, and the other way
round; a head counts as identifiable where one of them is right clearly more often than the most
frequent class is. What they miss a network may still find, if it is buried deeper in the image.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import NearestNeighbors

from utils.datasets.vimh.auxiliary import PENALTIES, fit_auxiliary
from utils.datasets.vimh.parameters import Parameter, class_index
from utils.datasets.vimh.records import VIMH, VIMHSplit

STANDARD_ERRORS = 4  # by which a probe is to be better than the most frequent class
PROBES = ("majority", "nearest_neighbour", "ridge")
LEAST_SAMPLES = 40  # for a statement


def learnable_heads(data: VIMH | VIMHSplit, most: int = 2000, seed: int = 0) -> pd.DataFrame:
    """What can be told of each parameter, from the images and from images and scale.

    Parameters
    ----------
    data : the training part counts of a whole data set.
    most : samples that are looked at, drawn at random where there are more.

    Returns
    -------
    One row per parameter and ``inputs`` ("image", "image + scale"): ``n`` samples, ``n_classes``
    and ``classes_seen``; accuracy of the ``majority`` class, of the ``nearest_neighbour`` and of
    ``ridge`` (of the physical value, to the nearest class) on the halves that they were not fitted
    to; ``identifiable``, and ``because``.

    Raises
    ------
    ValueError
        Fewer than two samples.
    """
    part = data.train if isinstance(data, VIMH) else data
    if len(part) < 2:
        raise ValueError(f"probes need at least 2 samples, found {len(part)}")
    order = np.random.default_rng(seed).permutation(len(part))[:most]
    images = part.images[order].reshape(len(order), -1).astype(float)
    images = images - images.mean(axis=0)
    images /= np.sqrt((images**2).sum(axis=1).mean()) or 1  # they weigh as much as one number
    scale = fit_auxiliary(part, order, ("scale",))(part, order)
    rows = []
    for inputs, features in (("image", images), ("image + scale", np.hstack([images, scale]))):
        guesses = _guesses(part, features, order)
        rows += [
            {"parameter": p.name, "inputs": inputs} | _row(p, part.labels[p.name][order], guess)
            for p, guess in zip(part.parameters, guesses)
        ]
    return pd.DataFrame(rows).sort_values("parameter", kind="stable", ignore_index=True)


def _guesses(
    part: VIMHSplit, features: NDArray, order: NDArray[np.int64]
) -> list[dict[str, NDArray[np.int64]]]:
    """Classes that each probe tells of the half it was not fitted to, per parameter."""
    labels = np.stack([part.labels[p.name][order] for p in part.parameters], axis=1)
    values = np.stack([part.values[p.name][order] for p in part.parameters], axis=1)
    guesses = [{probe: np.empty_like(labels[:, 0]) for probe in PROBES} for _ in part.parameters]
    halves = np.array_split(np.arange(len(order)), 2)
    for fitted, held_out in (halves, halves[::-1]):
        nearest = NearestNeighbors(n_neighbors=1).fit(features[fitted])
        neighbour = fitted[nearest.kneighbors(features[held_out], return_distance=False)[:, 0]]
        ridge = RidgeCV(PENALTIES, alpha_per_target=True).fit(features[fitted], values[fitted])
        predicted = ridge.predict(features[held_out]).reshape(len(held_out), -1)
        for place, (p, guess) in enumerate(zip(part.parameters, guesses)):
            guess["majority"][held_out] = np.bincount(labels[fitted, place]).argmax()
            guess["nearest_neighbour"][held_out] = labels[neighbour, place]
            guess["ridge"][held_out] = class_index(predicted[:, place], p.min, p.max, p.step)
    return guesses


def _row(
    parameter: Parameter, labels: NDArray[np.int64], guess: dict[str, NDArray[np.int64]]
) -> dict[str, object]:
    right = {probe: guess[probe] == labels for probe in PROBES}
    seen = len(np.unique(labels))
    gains = [_gain(right[probe], right["majority"]) for probe in PROBES[1:]]
    if seen < 2:
        because = "its label is constant"
    elif len(labels) < LEAST_SAMPLES:
        because = f"fewer than {LEAST_SAMPLES} samples"
    elif max(gains) > STANDARD_ERRORS:
        because = f"a probe beats the majority class by {max(gains):.0f} standard errors"
    else:
        because = "no probe is clearly better than the majority class"
    return {
        "n": len(labels),
        "n_classes": parameter.n_classes,
        "classes_seen": seen,
        **{probe: float(hits.mean()) for probe, hits in right.items()},
        "identifiable": because.startswith("a probe"),
        "because": because,
    }


def _gain(right: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """How many standard errors more often right than the reference, sample by sample."""
    difference = right.astype(float) - reference
    error = difference.std() / np.sqrt(max(len(difference), 1))
    return float(difference.mean() / error) if error > 0 else 0.0
