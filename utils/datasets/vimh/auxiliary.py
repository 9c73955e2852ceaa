"""Inputs beside the image: what scaling each image to its own range takes away, and envelopes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.config import near_matches
from utils.datasets.vimh.records import VIMHSplit

Features = Callable[[VIMHSplit, NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Auxiliary:
    """Standardises features with mean and deviation of the samples that train."""

    names: tuple[str, ...]
    mean: NDArray[np.float64]  # (A,)
    deviation: NDArray[np.float64]  # (A,); 1 where a feature does not vary

    @property
    def n_features(self) -> int:
        """Number of features, A."""
        return len(self.mean)

    def __call__(self, part: VIMHSplit, samples: NDArray[np.int64]) -> NDArray[np.float32]:
        """(sample, A) features of some samples."""
        raw = _raw(part, samples, self.names)
        return ((raw - self.mean) / self.deviation).astype(np.float32)


def fit_auxiliary(
    part: VIMHSplit, samples: NDArray[np.int64], names: Sequence[str] = ()
) -> Auxiliary:
    """Features by name, and their mean and deviation over some samples.

    Raises
    ------
    ValueError
        An unknown name.
    """
    for name in names:
        if name not in FEATURES:
            raise ValueError(f"no auxiliary input '{name}'{near_matches(name, list(FEATURES))}")
    raw = _raw(part, samples, names)
    deviation = raw.std(axis=0)
    return Auxiliary(tuple(names), raw.mean(axis=0), np.where(deviation > 0, deviation, 1))


def _raw(part: VIMHSplit, samples: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.float64]:
    features = [FEATURES[name](part, samples) for name in names]
    return np.concatenate([np.empty((len(samples), 0)), *features], axis=1)


def _scale(part: VIMHSplit, samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """Level (spec_max) and contrast (spec_max - spec_min): what moves the level alone, such as
    loudness, leaves the contrast as it is."""
    smallest, largest = part.scale[samples].astype(float).T
    return np.stack([largest, largest - smallest], axis=1)


def _envelopes(part: VIMHSplit, samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean over frequency (W) and mean over time (H) of the first channel."""
    images = part.images[samples, 0]
    return np.concatenate([images.mean(axis=1), images.mean(axis=2)], axis=1)


FEATURES: dict[str, Features] = {"scale": _scale, "envelopes": _envelopes}
