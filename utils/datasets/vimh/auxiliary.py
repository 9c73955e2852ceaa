"""Inputs beside the image: what scaling each image to its own range takes away, and envelopes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from utils.config import near_matches
from utils.datasets.vimh.records import VIMHSplit

Features = Callable[[VIMHSplit, NDArray[np.int64]], NDArray[np.float64]]

PENALTIES = np.logspace(-9, 3, 25)  # of ridge, chosen by leaving out one sample after the other
SAMPLES = 2000  # that are looked at, at most, for what images do not tell
WHITE = 255
ROUNDING = 1e-9


class Standard(NamedTuple):
    """Mean and deviation of the samples that train; a deviation of 1 where nothing varies."""

    mean: NDArray[np.float64]  # (A,)
    deviation: NDArray[np.float64]  # (A,)

    @classmethod
    def of(cls, features: NDArray[np.float64]) -> Self:
        """Those of features (sample, A)."""
        deviation = features.std(axis=0)
        return cls(features.mean(axis=0), np.where(deviation > ROUNDING, deviation, 1))

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features in deviations from their mean."""
        return (features - self.mean) / self.deviation


@dataclass(frozen=True, eq=False)
class Auxiliary:
    """Standardised features; with "scale", beside them, what the image does not tell of it."""

    names: tuple[str, ...]
    standard: Standard
    unexplained: Unexplained | None

    @property
    def n_features(self) -> int:
        """Number of features, A."""
        return len(self.standard.mean) + 2 * (self.unexplained is not None)

    def __call__(self, part: VIMHSplit, samples: NDArray[np.int64]) -> NDArray[np.float32]:
        """(sample, A) features of some samples."""
        features = self.standard(_raw(part, samples, self.names))
        if self.unexplained is not None:
            features = np.hstack([features, self.unexplained(part, samples)])
        return features.astype(np.float32)


class Unexplained:
    """Level and contrast, each less a linear function of the image and of the other.

    A parameter may move the level by a hundredth of what others move it by. Where the image shows
    the others, what is left of the level shows that one, at a size that a network can learn from.
    """

    def __init__(self, part: VIMHSplit, samples: NDArray[np.int64]) -> None:
        samples = samples[:: -(-len(samples) // SAMPLES)]
        scale = _scale(part, samples)
        self.scale = Standard.of(scale)
        images = _pixels(part, samples)
        self.centre = images.mean(axis=0)
        self.spread = np.sqrt(((images - self.centre) ** 2).sum(axis=1).mean()) or 1.0
        self.ridges = [
            RidgeCV(PENALTIES).fit(told, wanted) for told, wanted in self._pairs(part, samples)
        ]
        self.standard = Standard.of(self._left(part, samples))

    def __call__(self, part: VIMHSplit, samples: NDArray[np.int64]) -> NDArray[np.float64]:
        """(sample, 2), standardised over the samples that train."""
        return self.standard(self._left(part, samples))

    def _left(self, part: VIMHSplit, samples: NDArray[np.int64]) -> NDArray[np.float64]:
        pairs = zip(self.ridges, self._pairs(part, samples))
        return np.stack([wanted - ridge.predict(told) for ridge, (told, wanted) in pairs], axis=1)

    def _pairs(
        self, part: VIMHSplit, samples: NDArray[np.int64]
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Image and contrast beside the level, image and level beside the contrast."""
        scale = self.scale(_scale(part, samples))
        images = (_pixels(part, samples) - self.centre) / self.spread  # in all as one number
        return [(np.hstack([images, scale[:, 1 - i : 2 - i]]), scale[:, i]) for i in (0, 1)]


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
    unexplained = Unexplained(part, samples) if "scale" in names else None
    return Auxiliary(tuple(names), Standard.of(_raw(part, samples, names)), unexplained)


def _raw(part: VIMHSplit, samples: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.float64]:
    features = [FEATURES[name](part, samples) for name in names]
    return np.concatenate([np.empty((len(samples), 0)), *features], axis=1)


def _pixels(part: VIMHSplit, samples: NDArray[np.int64]) -> NDArray[np.float64]:
    return part.images[samples].reshape(len(samples), -1) / WHITE


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
