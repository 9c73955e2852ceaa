"""Linear forecasts in closed form: ridge maps from the last frames to all frames ahead.

Direct multi-horizon: each frame ahead has weights of its own, nothing is iterated. The second
moments of :mod:`~utils.models.forecasting.moments` are all that fitting needs, for training and
for choosing the ridge strength (and the number of lags) on validation windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from utils.models.forecasting.base import (
    Forecaster,
    ForecasterConfig,
    fill_missing,
    last_observed,
    observed_mean,
)
from utils.models.forecasting.moments import Moments, MomentSource, paired_moments, pooled
from utils.models.forecasting.ridge import (
    Maps,
    own_part,
    penalised_basis,
    ridge_maps,
    shared_part,
    squared_error,
)
from utils.models.forecasting.shared_series import NO_COVARIATES, PastCovariates
from utils.models.forecasting.simple import train_mean

if TYPE_CHECKING:
    from utils.windows import WindowData

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
    covariates: bool = Field(
        False,
        description="lags of behaviour and stimulus too, where the data hold them and validation "
        "gains by it",
    )
    covariate_ridge: list[PositiveFloat] = Field(
        [1e-2, 1e-1, 1.0, 10.0],
        min_length=1,
        description="penalties of covariate lags to try, in units of their mean variance",
    )


class LinearChoice(NamedTuple):
    """Settings chosen on the validation windows; without covariates their penalty is None."""

    lags: int
    ridge: float
    covariate_ridge: float | None = None


class LinearForecaster(Forecaster):
    """Per-neuron (or shared) linear map from the context to the horizon."""

    name = "linear"
    Config = LinearConfig
    learnt = ("weight", "bias", "centre", "covariate_weight", "covariate_mean", "covariate_scale")

    @property
    def transfers(self) -> bool:
        """A shared map belongs to no neuron, so it forecasts those of any recording."""
        return self.config.shared

    def _fit(self, data: WindowData) -> None:
        config: LinearConfig = self.config
        levels = train_mean(data).double()
        centre = levels.mean().expand_as(levels) if config.shared else levels  # one for any neuron
        lags = sorted({min(lag, data.context) for lag in config.lags or [data.context]})
        covariates = PastCovariates.of(data, wanted=config.covariates)
        self.chosen = self._choose(data, centre, lags, covariates)
        if self.chosen.covariate_ridge is None:
            covariates = NO_COVARIATES
        parts = [
            (train.neurons, _solve(train, self.chosen))
            for train, _ in self._moments(data, centre, self.chosen.lags, covariates)
        ]
        order = torch.cat([neurons for neurons, _ in parts]).argsort()
        maps = Maps(*(torch.cat(part)[order] for part in zip(*(maps for _, maps in parts))))
        self.weight = maps.own.float().contiguous()  # (neuron or 1, horizon, lag)
        self.bias = maps.bias.float()  # (neuron or 1, horizon)
        self.centre = centre[: len(self.bias)].float()  # (neuron or 1,)
        shape = self.chosen.lags, len(covariates.mean)
        self.covariate_weight = maps.shared.unflatten(2, shape).float()  # (..., lag, covariate)
        self.covariate_mean, self.covariate_scale = (part.float() for part in covariates)

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        weight, bias, centre, shared, *scaling = (
            part.to(past.device) for part in self._arrays().values()
        )
        deviation = past - centre
        if mask is not None:
            deviation = deviation * mask  # a neuron never observed in a window is at its centre
        level = self._level(deviation, mask)
        recent = (fill_missing(deviation, mask) - level)[:, -weight.shape[2] :]
        future = (
            torch.einsum("bln,hl->bhn", recent, weight[0])
            if len(weight) == 1
            else own_part(recent, weight)
        )
        if shared.shape[3]:
            behaviour = PastCovariates(*scaling).window(covariates, self.name)
            future = future + shared_part(behaviour[:, -shared.shape[2] :], shared)
        return (future + bias.T + level + centre).contiguous()

    def _level(self, deviation: Tensor, mask: Tensor | None) -> Tensor | float:
        if self.config.subtract == "last":
            return last_observed(deviation, mask)
        return observed_mean(deviation, mask) if self.config.subtract == "mean" else 0.0

    def _moments(
        self, data: WindowData, centre: Tensor, lags: int, covariates: PastCovariates
    ) -> Iterator[tuple[Moments, Moments]]:
        """Training and validation moments of chunks of neurons from the level; pooled if shared."""
        length = data.context if self.config.subtract == "mean" else lags
        level = _level_weights(length, data.horizon, self.config.subtract)
        sources = (
            MomentSource(data, split, centre, length, covariates.series(data), lags)
            for split in (data.train, data.validation)
        )
        pairs = (
            tuple(part.from_level(level).recent(lags) for part in pair)
            for pair in paired_moments(*sources)
        )
        if not self.config.shared:
            return pairs
        chunks = [tuple(pooled([part]) for part in pair) for pair in pairs]
        return iter([tuple(pooled(parts) for parts in zip(*chunks))])

    def _choose(
        self, data: WindowData, centre: Tensor, lags: list[int], covariates: PastCovariates
    ) -> LinearChoice:
        """The settings with the smallest squared error on validation: own lags, then covariates."""
        config: LinearConfig = self.config
        alone = [LinearChoice(lag, ridge) for lag in lags for ridge in config.ridge]
        best = self._best(data, centre, NO_COVARIATES, alone)
        if not len(covariates.mean):
            return best
        tried = [best, *(best._replace(covariate_ridge=one) for one in config.covariate_ridge)]
        return self._best(data, centre, covariates, tried)

    def _best(
        self,
        data: WindowData,
        centre: Tensor,
        covariates: PastCovariates,
        candidates: list[LinearChoice],
    ) -> LinearChoice:
        if len(candidates) == 1:
            return candidates[0]
        errors = dict.fromkeys(candidates, 0.0)
        most = max(choice.lags for choice in candidates)
        for train, validation in self._moments(data, centre, most, covariates):
            for choice in candidates:
                maps = _solve(train.recent(choice.lags), choice)
                errors[choice] += squared_error(validation.recent(choice.lags), maps)
        return min(errors, key=errors.get)


class AutoregressionConfig(LinearConfig):
    """Ridge autoregression of fixed order."""

    lags: list[int] | None = [16]


class Autoregression(LinearForecaster):
    """Per-neuron ridge on the last 16 frames, direct for each frame ahead: the primary baseline."""

    name = "ar16"
    Config = AutoregressionConfig


def _level_weights(context: int, horizon: int, subtract: Reference) -> Tensor:
    """(part,) weights of the frames of a window in the level that it is measured from."""
    weights = torch.zeros(context + horizon, dtype=torch.float64)
    if subtract == "last":
        weights[context - 1] = 1
    elif subtract == "mean":
        weights[:context] = 1 / context
    return weights


def _solve(moments: Moments, choice: LinearChoice) -> Maps:
    """Ridge with a free intercept; covariates count where the choice has a penalty for them."""
    n_features = len(moments.features.mean)
    if choice.covariate_ridge is None or not n_features:
        maps = ridge_maps(moments.selected(torch.arange(0)), choice.ridge, torch.ones(0).double())
        return maps._replace(shared=maps.own.new_zeros(*maps.bias.shape, n_features))
    variance = moments.features.covariance.diagonal().mean()
    eigenvalues, basis = penalised_basis(moments.features, variance.expand(n_features))
    inverse = 1 / (eigenvalues + choice.covariate_ridge)
    maps = ridge_maps(moments.rotated(basis), choice.ridge, inverse)
    return maps._replace(shared=maps.shared @ basis.T)
