"""Linear forecasts in closed form: ridge maps from the last frames to all frames ahead.

Direct multi-horizon: each frame ahead has weights of its own, nothing is iterated. The second
moments of :mod:`~utils.models.forecasting.lag_grams` are all that fitting needs, for training and
for choosing the ridge strength (and the number of lags) on validation windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor

from utils.models.forecasting.base import (
    Forecaster,
    ForecasterConfig,
    fill_missing,
    last_observed,
    observed_mean,
)
from utils.models.forecasting.lag_grams import LagGrams, lag_grams, neuron_chunks
from utils.models.forecasting.simple import train_mean

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit

Reference = Literal["none", "last", "mean"]


class LinearConfig(ForecasterConfig):
    """A ridge map per neuron, or one map for all neurons."""

    lags: list[int] | None = Field(
        None, description="numbers of last frames to try, at most the context; None: all of it"
    )
    ridge: list[float] = Field(
        [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0],
        min_length=1,
        description="penalties to try, in units of the mean variance of the inputs",
    )
    subtract: Reference = Field(
        "none", description="level that inputs and targets are measured from (last: as in NLinear)"
    )
    shared: bool = Field(False, description="one map for all neurons; transfers to other sessions")


class LinearForecaster(Forecaster):
    """Per-neuron (or shared) linear map from the context to the horizon."""

    name = "linear"
    Config = LinearConfig
    learnt = ("weight", "bias")

    @property
    def transfers(self) -> bool:
        """A shared map belongs to no neuron, so it forecasts those of any recording."""
        return self.config.shared

    def _fit(self, data: WindowData) -> None:
        config: LinearConfig = self.config
        levels = train_mean(data).double()
        centre = torch.zeros_like(levels) if config.shared else levels
        lags = sorted({min(lag, data.context) for lag in config.lags or [data.context]})
        self.chosen = self._choose(data, centre, lags)
        parts = [
            self._solve(grams, data.context, *self.chosen)
            for _, grams in self._grams(data, data.train, centre)
        ]
        weight, bias = (torch.cat(part) for part in zip(*parts))
        if config.subtract == "none":  # the weights apply to values about the centre
            shift = centre[: len(weight), None]
            bias = bias + shift * (1 - weight.sum(dim=2))
        self.weight = weight.float()  # (neuron or 1, horizon, lag)
        self.bias = bias.float()  # (neuron or 1, horizon)

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        weight, bias = self.weight.to(past.device), self.bias.to(past.device)
        level = self._level(past, mask)
        recent = (fill_missing(past, mask) - level)[:, -weight.shape[2] :]
        if len(weight) == 1:
            future = torch.einsum("bln,hl->bhn", recent, weight[0])
        else:
            future = torch.einsum("bln,nhl->bhn", recent, weight)
        return (future + bias.T + level).contiguous()

    def _level(self, past: Tensor, mask: Tensor | None) -> Tensor | float:
        if self.config.subtract == "last":
            return last_observed(past, mask)
        return observed_mean(past, mask) if self.config.subtract == "mean" else 0.0

    def _grams(
        self, data: WindowData, split: WindowSplit, centre: Tensor
    ) -> Iterator[tuple[slice, LagGrams]]:
        """Second moments of chunks of neurons, measured from the level; pooled when shared."""
        change = _subtraction(data.context, data.horizon, self.config.subtract)
        total: LagGrams | None = None
        for neurons in neuron_chunks(data.n_neurons):
            grams = lag_grams(data, split, neurons, centre[neurons])
            grams.sums = grams.sums @ change.T
            grams.products = change @ grams.products @ change.T
            if not self.config.shared:
                yield neurons, grams
                continue
            total = grams.pooled() if total is None else total + grams.pooled()
        if total is not None:
            yield slice(0, 1), total

    def _choose(self, data: WindowData, centre: Tensor, lags: list[int]) -> tuple[int, float]:
        """The number of lags and the ridge with the smallest squared error on validation."""
        candidates = [(lag, ridge) for lag in lags for ridge in self.config.ridge]
        if len(candidates) == 1:
            return candidates[0]
        errors = torch.zeros(len(candidates), dtype=torch.float64)
        pairs = zip(
            self._grams(data, data.train, centre), self._grams(data, data.validation, centre)
        )
        for (_, train), (_, validation) in pairs:
            for index, (lag, ridge) in enumerate(candidates):
                weight, bias = self._solve(train, data.context, lag, ridge)
                errors[index] += _squared_error(validation, data.context, weight, bias)
        return candidates[int(errors.argmin())]

    def _solve(
        self, grams: LagGrams, context: int, lag: int, ridge: float
    ) -> tuple[Tensor, Tensor]:
        """Ridge with a free intercept: weight (neuron, horizon, lag) and bias (neuron, horizon).

        A neuron with fewer complete windows than a window has frames gets its mean alone.
        """
        count = grams.count.clamp(min=1)[:, None]
        mean = grams.sums / count
        covariance = grams.products / count[..., None] - mean[:, :, None] * mean[:, None, :]
        inputs = slice(context - lag, context)
        inner, cross = covariance[:, inputs, inputs], covariance[:, inputs, context:]
        variance = inner.diagonal(dim1=1, dim2=2).mean(dim=1)
        usable = (grams.count >= mean.shape[1]) & (variance > 1e-12)
        penalty = torch.where(usable, ridge * variance, 1.0)[:, None, None]
        identity = torch.eye(lag, dtype=torch.float64)
        # Positive definite: faster than LU, which fails for long contexts in several threads.
        weight = torch.cholesky_solve(cross, torch.linalg.cholesky(inner + penalty * identity)).mT
        weight = weight * usable[:, None, None]
        bias = mean[:, context:] - torch.einsum("nhl,nl->nh", weight, mean[:, inputs])
        return weight, bias


class AutoregressionConfig(LinearConfig):
    """Ridge autoregression of fixed order."""

    lags: list[int] | None = [16]


class Autoregression(LinearForecaster):
    """Per-neuron ridge on the last 16 frames, direct for each frame ahead: the primary baseline."""

    name = "ar16"
    Config = AutoregressionConfig


def _subtraction(context: int, horizon: int, subtract: Reference) -> Tensor:
    """(length, length) matrix that measures a whole window from its level."""
    change = torch.eye(context + horizon, dtype=torch.float64)
    if subtract == "last":
        change[:, context - 1] -= 1
    elif subtract == "mean":
        change[:, :context] -= 1 / context
    return change


def _squared_error(grams: LagGrams, context: int, weight: Tensor, bias: Tensor) -> Tensor:
    """Sum over windows, horizons and neurons of the squared error, from second moments alone."""
    inputs = slice(context - weight.shape[2], context)
    inner, cross = grams.products[:, inputs, inputs], grams.products[:, inputs, context:]
    past, future = grams.sums[:, inputs], grams.sums[:, context:]
    total = grams.products.diagonal(dim1=1, dim2=2)[:, context:].sum()
    fitted = torch.einsum("nhl,nlm,nhm->", weight, inner, weight)
    explained = torch.einsum("nhl,nlh->", weight, cross)
    offset = torch.einsum("nh,nhl,nl->", bias, weight, past) - (bias * future).sum()
    return total - 2 * explained + fitted + 2 * offset + (grams.count[:, None] * bias**2).sum()
