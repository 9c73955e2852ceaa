"""Means and covariances of the windows of a split: all that a linear forecaster learns from.

Per neuron, a window counts with its last frames before the horizon and all frames ahead (its
*part*). What neurons share, such as population components and covariates, counts with its last
frames before the horizon (its *features*).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from utils.models.forecasting.lag_grams import (
    Group,
    cross_sums,
    lag_grams,
    neuron_groups,
    position_sums,
    split_rows,
)

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit

Series = Callable[[slice], Tensor]  # rows of a recording -> (time, series), complete, float64


@dataclass
class Features:
    """Mean (feature,) and covariance (feature, feature) of what neurons share."""

    mean: Tensor
    covariance: Tensor


@dataclass
class Moments:
    """Means and covariances over the complete windows of neurons that miss the same frames.

    Float64; ``cross`` and ``features`` may be float32 where speed counts.
    """

    neurons: Tensor  # (neuron,) their places in the recording
    count: int  # windows
    horizon: int
    mean: Tensor  # (neuron, part): own lags, then frames ahead
    covariance: Tensor  # (neuron, part, part)
    cross: Tensor  # (neuron, part, feature), the features in the order (lag, series)
    features: Features

    @property
    def own_lags(self) -> int:
        """Frames of the part that lie before the horizon."""
        return self.mean.shape[1] - self.horizon

    def recent(self, own_lags: int) -> Moments:
        """With the last own lags alone."""
        kept = slice(self.own_lags - own_lags, None)
        return replace(
            self,
            mean=self.mean[:, kept],
            covariance=self.covariance[:, kept, kept],
            cross=self.cross[:, kept],
        )

    def from_level(self, weights: Tensor) -> Moments:
        """Of the part measured from a level of its window, ``weights`` (part,) times the part."""
        with_level = self.covariance @ weights  # (neuron, part)
        variance = with_level @ weights  # (neuron,)
        covariance = self.covariance - with_level[:, :, None]
        covariance -= with_level[:, None]
        covariance += variance[:, None, None]
        return replace(
            self,
            mean=self.mean - (self.mean @ weights)[:, None],
            covariance=covariance,
            cross=self.cross - (weights @ self.cross)[:, None],
        )

    def selected(self, features: Tensor) -> Moments:
        """With some of the features, by their numbers."""
        mean, covariance = self.features.mean, self.features.covariance
        kept = Features(mean[features], covariance[features][:, features])
        return replace(self, cross=self.cross[:, :, features], features=kept)

    def rotated(self, basis: Tensor) -> Moments:
        """With features times ``basis`` (feature, new feature), in the precision of ``basis``."""
        mean, covariance = (
            part.to(basis.dtype) for part in (self.features.mean, self.features.covariance)
        )
        features = Features(mean @ basis, basis.T @ covariance @ basis)
        return replace(self, cross=self.cross.to(basis.dtype) @ basis, features=features)


class MomentSource:
    """Moments of the windows of one split, for one chunk of neurons after the other.

    Values are measured from ``centre`` (neuron,). ``series`` gives what neurons share. With
    ``keep`` the moments of own lags stay in memory, to be used again with other series.
    """

    def __init__(
        self,
        data: WindowData,
        split: WindowSplit,
        centre: Tensor,
        own_lags: int,
        series: Series | None = None,
        shared_lags: int = 0,
        *,
        keep: bool = False,
    ) -> None:
        self.data, self.split, self.centre = data, split, centre
        self.own_lags, self.shared_lags = own_lags, shared_lags
        self.rows = split_rows(split)
        shared = series(self.rows) if series else torch.zeros(self.rows.stop, 0).double()
        self.shared = shared[data.context - shared_lags :] if len(split) else shared
        self._kept: dict[int, tuple[Tensor, Tensor]] | None = {} if keep else None

    def selected(self, series: list[int]) -> MomentSource:
        """With some of the series, by their numbers."""
        other = copy(self)
        other.shared = self.shared[:, series]
        return other

    def features(self, group: Group) -> Features:
        """Of the complete windows of a group."""
        runs, n_lags = group.runs[self.split.name], self.shared_lags
        count = max(_count(runs), 1)
        mean = position_sums(self.shared, runs, n_lags).flatten() / count
        sums = cross_sums(self.shared.T, self.shared, runs, n_lags, n_lags)
        covariance = sums.transpose(0, 1).reshape(len(mean), len(mean)).div_(count)
        return Features(mean, covariance.sub_(_outer(mean, mean)))

    def moments(self, group: Group, neurons: Tensor, features: Features) -> Moments:
        """Of a chunk of the group; all are 0 where it has no complete window."""
        runs, horizon = group.runs[self.split.name], self.data.horizon
        count = max(_count(runs), 1)
        values = self._values(neurons)
        mean, covariance = self._own(int(neurons[0]), values, runs)
        n_parts = self.own_lags + horizon
        cross = cross_sums(values, self.shared, runs, n_parts, self.shared_lags).flatten(2)
        cross = cross.div_(count).sub_(_outer(mean, features.mean))
        return Moments(neurons, _count(runs), horizon, mean, covariance, cross, features)

    def _own(self, first: int, values: Tensor, runs: np.ndarray) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the part, for the chunk that begins with neuron ``first``."""
        if self._kept is not None and first in self._kept:
            return self._kept[first]
        sums, products = lag_grams(values, runs, self.own_lags + self.data.horizon)
        count = max(_count(runs), 1)
        mean = sums / count
        covariance = products.div_(count).sub_(_outer(mean, mean))
        if self._kept is not None:
            self._kept[first] = mean, covariance
        return mean, covariance

    def _values(self, neurons: Tensor) -> Tensor:
        """(neuron, time) about the centre, from the first position of the part on."""
        first = self.rows.start + self.data.context - self.own_lags
        values = self.data.activity[min(first, self.rows.stop) : self.rows.stop]
        values = values.index_select(1, neurons).T.contiguous().double()
        return values.sub_(self.centre[neurons, None])


def paired_moments(
    train: MomentSource, validation: MomentSource
) -> Iterator[tuple[Moments, Moments]]:
    """Training and validation moments of the same neurons, chunk after chunk."""
    for group in neuron_groups(train.data, (train.split, validation.split)):
        features = train.features(group), validation.features(group)
        for neurons in group.chunks():
            yield (
                train.moments(group, neurons, features[0]),
                validation.moments(group, neurons, features[1]),
            )


def pooled(parts: Iterable[Moments]) -> Moments:
    """All neurons as if they were one."""
    parts = list(parts)
    weights = [torch.full((len(part.neurons),), float(part.count)).double() for part in parts]
    count = max(int(sum(weight.sum() for weight in weights)), 1)
    whole = [_weighted_sum(part, weight) for part, weight in zip(parts, weights)]
    mean, products, cross, shared, shared_products = (sum(sums) / count for sums in zip(*whole))
    return Moments(
        torch.zeros(1, dtype=torch.int64),
        count,
        parts[0].horizon,
        mean[None],
        (products - _outer(mean, mean))[None],
        (cross - _outer(mean, shared))[None],
        Features(shared, shared_products - _outer(shared, shared)),
    )


def _weighted_sum(moments: Moments, weight: Tensor) -> tuple[Tensor, ...]:
    """Sums over neurons and windows of the part, the features and their products."""
    mean, features = moments.mean, moments.features
    products = moments.covariance + _outer(mean, mean)
    cross = moments.cross + _outer(mean, features.mean)
    shared = features.covariance + _outer(features.mean, features.mean)
    own = (torch.tensordot(weight, part, dims=1) for part in (mean, products, cross))
    return *own, weight.sum() * features.mean, weight.sum() * shared


def _count(runs: np.ndarray) -> int:
    return int((runs[:, 1] - runs[:, 0]).sum())


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return left[..., :, None] * right[..., None, :]
