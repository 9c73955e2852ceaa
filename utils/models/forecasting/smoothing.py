"""Exponential smoothing to the mean: a level that fades out, two numbers per neuron.

The level is the exponentially weighted mean of the observed context, newest frames first; the
forecast starts there and decays to the train mean. Both numbers minimise the squared error over
all training windows and frames ahead, on a grid, from second moments alone (damped simple
exponential smoothing; Gardner, "Exponential smoothing: The state of the art", 2006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor

from utils.models.forecasting.base import Forecaster, ForecasterConfig
from utils.models.forecasting.lag_grams import neuron_groups
from utils.models.forecasting.moments import Moments, MomentSource
from utils.models.forecasting.simple import train_mean

if TYPE_CHECKING:
    from utils.windows import WindowData


class ExponentialConfig(ForecasterConfig):
    """The grids; two numbers per neuron are too few to need validation."""

    smoothing: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9],
        min_length=1,
        description="weights of the newest frame in the level to try",
    )
    decay: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 1.0],
        min_length=1,
        description="parts of the level that remain after one more frame to try",
    )


class ExponentialSmoothing(Forecaster):
    """``mean + (level - mean) * decay ** frames_ahead`` with constants of each neuron."""

    name = "exponential"
    Config = ExponentialConfig
    learnt = ("mean", "smoothing", "decay")

    def _fit(self, data: WindowData) -> None:
        self.mean = train_mean(data)
        source = MomentSource(data, data.train, self.mean.double(), data.context)
        self.smoothing, self.decay = torch.zeros(2, data.n_neurons)
        for group in neuron_groups(data, (data.train,)):
            nothing_shared = source.features(group)
            for neurons in group.chunks():
                moments = source.moments(group, neurons, nothing_shared)
                self.smoothing[neurons], self.decay[neurons] = self._best(moments)

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        mean, smoothing, decay = (part.to(past.device) for part in self._arrays().values())
        weights = level_weights(smoothing, past.shape[1]).T  # (context, neuron)
        deviation = past - mean
        if mask is None:
            level = torch.einsum("bln,ln->bn", deviation, weights)
        else:
            present = mask * weights
            level = (deviation * present).sum(dim=1) / present.sum(dim=1).clamp(min=1e-30)
        ahead = torch.arange(1, self._fitted().horizon + 1, device=past.device)
        return mean + level[:, None] * decay ** ahead[:, None]

    def _best(self, moments: Moments) -> tuple[Tensor, Tensor]:
        """Smoothing and decay of each neuron with the smallest squared error about the mean."""
        smoothing, decay = (
            torch.tensor(grid, dtype=torch.float64)
            for grid in (self.config.smoothing, self.config.decay)
        )
        past, ahead = slice(moments.own_lags), slice(moments.own_lags, None)
        products = moments.covariance + moments.mean[:, :, None] * moments.mean[:, None, :]
        weights = level_weights(smoothing, moments.own_lags)
        level_square = ((weights @ products[:, past, past]) * weights).sum(dim=2)
        level_future = weights @ products[:, past, ahead]  # (neuron, smoothing, horizon)
        parts = decay[:, None] ** torch.arange(1, moments.horizon + 1)  # (decay, horizon)
        errors = level_square[..., None] * parts.square().sum(dim=1) - 2 * level_future @ parts.T
        best = errors.flatten(1).argmin(dim=1)
        return smoothing[best // len(decay)].float(), decay[best % len(decay)].float()


def level_weights(smoothing: Tensor, n_frames: int) -> Tensor:
    """(neuron,) -> (neuron, frame): weights of the past that sum to 1, the newest frame last."""
    age = torch.arange(n_frames - 1, -1, -1, device=smoothing.device)
    weights = (1 - smoothing[:, None]) ** age
    return weights / weights.sum(dim=1, keepdim=True)
