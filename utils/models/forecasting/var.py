"""Ridge vector autoregression: each neuron from the last frames of all neurons.

Direct for each frame ahead, in closed form: one eigendecomposition of the lags of all neurons
serves every penalty and every neuron. With many neurons the population ridge does better and
needs far less memory; this model shows what the components leave out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from utils.models.forecasting.base import DataMismatchError, Forecaster, ForecasterConfig
from utils.models.forecasting.lag_grams import neuron_groups
from utils.models.forecasting.moments import Features, MomentSource
from utils.models.forecasting.ridge import penalised_basis, ridge_maps, squared_error
from utils.models.forecasting.shared_series import inverse_deviation
from utils.models.forecasting.simple import train_moments

if TYPE_CHECKING:
    from utils.windows import WindowData

MOST_INPUTS = 8000  # their covariance is decomposed, which takes minutes and 2 GB


class VectorConfig(ForecasterConfig):
    """Orders and penalties that validation chooses from."""

    lags: list[PositiveInt] = Field(
        [2], min_length=1, description="numbers of last frames to try, at most the context"
    )
    ridge: list[PositiveFloat] = Field(
        [1e-2, 1e-1, 1.0, 10.0, 100.0],
        min_length=1,
        description="penalties to try, in units of the mean variance of the inputs",
    )


class VectorChoice(NamedTuple):
    """Settings chosen on the validation windows."""

    lags: int
    ridge: float


class VectorAutoregression(Forecaster):
    """Ridge on the last frames of all neurons, which count in units of their deviation.

    As in the other closed-form models a neuron learns from the windows in which it missed nothing;
    what the others missed in their lags counts as their train mean.
    """

    name = "var"
    Config = VectorConfig
    uses_population = True
    learnt = ("weight", "bias", "centre", "scale")

    def _fit(self, data: WindowData) -> None:
        lags = sorted({min(lag, data.context) for lag in self.config.lags})
        _check_size(data.n_neurons, lags)
        centre, deviation = train_moments(data)
        self.centre, self.scale = centre, inverse_deviation(deviation)
        candidates = [VectorChoice(lag, ridge) for lag in lags for ridge in self.config.ridge]
        self.chosen = candidates[0] if len(candidates) == 1 else self._best(data, candidates)
        weight, bias = self._solve(data, self.chosen)
        self.bias = (bias + centre[:, None]).float()
        self.weight = weight.unflatten(2, (self.chosen.lags, -1))  # (neuron, horizon, lag, neuron)
        self.centre, self.scale = self.centre.float(), self.scale.float()

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        weight, bias, centre, scale = (part.to(past.device) for part in self._arrays().values())
        inputs = (past - centre) * scale
        if mask is not None:
            inputs = inputs * mask
        inputs = inputs[:, -weight.shape[2] :].flatten(1)
        future = inputs @ weight.flatten(2).flatten(0, 1).T
        return (future.unflatten(1, bias.shape) + bias).mT.contiguous()

    def _source(self, data: WindowData, split: str, lags: int) -> MomentSource:
        """No own lags: the neurons themselves are what is shared."""

        def standardised(rows: slice) -> Tensor:
            return data.activity[rows].double().sub_(self.centre).mul_(self.scale).nan_to_num_(0)

        return MomentSource(data, getattr(data, split), self.centre, 0, standardised, lags)

    def _best(self, data: WindowData, candidates: list[VectorChoice]) -> VectorChoice:
        """Smallest squared error on validation; large products in float32."""
        errors = dict.fromkeys(candidates, 0.0)
        most = max(choice.lags for choice in candidates)
        train, validation = (self._source(data, split, most) for split in ("train", "validation"))
        for group in neuron_groups(data, (train.split, validation.split)):
            shared = train.features(group), validation.features(group)
            spaces = {lag: _space(shared[0], lag, most) for lag, _ in candidates}
            for neurons in group.chunks():
                pair = [
                    source.moments(group, neurons, features)
                    for source, features in zip((train, validation), shared)
                ]
                for lag, (eigenvalues, basis) in spaces.items():
                    learnt, checked = (part.rotated(basis.float()) for part in pair)
                    for choice in candidates:
                        if choice.lags == lag:
                            inverse = 1 / (eigenvalues + choice.ridge)
                            maps = ridge_maps(learnt, 1.0, inverse.float())
                            errors[choice] += squared_error(checked, maps)
        return min(errors, key=errors.get)

    def _solve(self, data: WindowData, choice: VectorChoice) -> tuple[Tensor, Tensor]:
        """Map (neuron, horizon, input) float32 and bias about the centre."""
        source = self._source(data, "train", choice.lags)
        weight = torch.zeros(data.n_neurons, data.horizon, data.n_neurons * choice.lags)
        bias = torch.zeros(weight.shape[:2], dtype=torch.float64)
        for group in neuron_groups(data, (data.train,)):
            features = source.features(group)
            eigenvalues, basis = _space(features, choice.lags, choice.lags)
            for neurons in group.chunks():
                moments = source.moments(group, neurons, features).rotated(basis)
                maps = ridge_maps(moments, 1.0, 1 / (eigenvalues + choice.ridge))
                weight[neurons] = (maps.shared @ basis.T).float()
                bias[neurons] = maps.bias
        return weight, bias


def _space(features: Features, lags: int, most: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues and basis of the last ``lags`` of ``most`` lags; the basis is for all of them."""
    first = len(features.mean) // most * (most - lags)
    recent = Features(features.mean[first:], features.covariance[first:, first:])
    variance = recent.covariance.diagonal().mean()
    eigenvalues, basis = penalised_basis(recent, variance.expand(len(recent.mean)))
    return eigenvalues, torch.cat([basis.new_zeros(first, len(eigenvalues)), basis])


def _check_size(n_neurons: int, lags: list[int]) -> None:
    if n_neurons * lags[-1] > MOST_INPUTS:
        raise DataMismatchError(
            f"forecaster 'var' with lags = {lags} has {n_neurons} neurons x {lags[-1]} lags = "
            f"{n_neurons * lags[-1]} inputs, at most {MOST_INPUTS} are possible; give fewer lags "
            "or neurons, or use 'population_ridge', which needs few components of all neurons"
        )
