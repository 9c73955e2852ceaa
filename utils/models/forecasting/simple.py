"""The three forecasts that any model must beat: the last value, the recent mean, the train mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from utils.models.forecasting.base import Forecaster, last_observed, observed_mean

if TYPE_CHECKING:
    from utils.windows import WindowData


class Persistence(Forecaster):
    """The last observed value of each neuron, repeated."""

    name = "persistence"
    transfers = True

    def _fit(self, data: WindowData) -> None:
        """Nothing to learn."""

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        return last_observed(past, mask).repeat(1, self._fitted().horizon, 1)


class ContextMean(Forecaster):
    """The mean of each neuron over its observed context, repeated."""

    name = "mean"
    transfers = True

    def _fit(self, data: WindowData) -> None:
        """Nothing to learn."""

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        return observed_mean(past, mask).repeat(1, self._fitted().horizon, 1)


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
