"""The three forecasts that any model must beat: the last value, the recent mean, the train mean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from utils.models.forecasting.base import (
    Forecaster,
    last_observed,
    observed_mean,
    where_observed,
)

if TYPE_CHECKING:
    from utils.windows import WindowData


class Constant(Forecaster):
    """One number from the context of each neuron, repeated for all frames ahead.

    It belongs to no neuron, so where a window observed nothing of one, it is the mean of the
    training block over all neurons.
    """

    transfers = True
    learnt = ("level",)

    @staticmethod
    @abstractmethod
    def summary(past: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, context, neuron) -> (batch, 1, neuron)."""

    def _fit(self, data: WindowData) -> None:
        self.level = train_mean(data).mean()

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        level = where_observed(self.summary(past, mask), mask, self.level.to(past.device))
        return level.repeat(1, self._fitted().horizon, 1)


class Persistence(Constant):
    """The last observed value of each neuron, repeated."""

    name = "persistence"
    summary = staticmethod(last_observed)


class ContextMean(Constant):
    """The mean of each neuron over its observed context, repeated."""

    name = "mean"
    summary = staticmethod(observed_mean)


class TrainMean(Forecaster):
    """The mean of each neuron over the training frames: what is known without any context."""

    name = "train_mean"
    learnt = ("level",)

    def _fit(self, data: WindowData) -> None:
        self.level = train_mean(data)

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        level = self.level.to(past.device)
        return level.expand(past.shape[0], self._fitted().horizon, -1).clone()


def train_mean(data: WindowData) -> Tensor:
    """Mean of each neuron over the training segments, ``(neuron,)`` float32; 0 if never seen."""
    return train_moments(data)[0].float()


def train_moments(data: WindowData, values: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each neuron over the training segments, float64.

    Or of other series of the recording, ``values`` (time, series). Two passes over bounded
    pieces, so that a recording larger than memory can be mapped. What was never observed has
    mean 0 and deviation 0.
    """
    values = data.activity if values is None else values
    total = torch.zeros(values.shape[1], dtype=torch.float64)
    count = torch.zeros_like(total)
    for piece in train_pieces(data, values):
        total += piece.double().nansum(dim=0)
        count += piece.isfinite().sum(dim=0)
    count = count.clamp(min=1)
    mean = total / count
    squares = torch.zeros_like(total)
    for piece in train_pieces(data, values):
        squares += piece.double().sub_(mean).square_().nansum(dim=0)
    return mean, (squares / count).sqrt()


def train_pieces(data: WindowData, values: Tensor, frames: int = 256) -> Iterator[Tensor]:
    """Rows of the training segments in bounded pieces, NaN where missing."""
    for start, stop in data.train.segments.tolist():
        yield from values[start:stop].split(frames)
