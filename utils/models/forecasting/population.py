"""Population ridge: each neuron's own lags and the shared lags of the leading components.

Neurons that follow the same hidden fluctuations tell about each other's future. A full vector
autoregression drowns that in noise; a few principal components of the population, fitted on the
training block, keep most of it. Past covariates can stand beside the components. The map is
direct for each frame ahead, linear, and solved exactly (:mod:`~utils.models.forecasting.ridge`).

``rank`` goes on to the few combinations of shared lags that forecast best, all neurons and
frames ahead together: the leading directions of the ridge forecasts (reduced-rank ridge
regression, Mukherjee and Zhu 2011). Own lags are then solved exactly beside these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from utils.models.forecasting.base import Forecaster, ForecasterConfig, fill_missing
from utils.models.forecasting.lag_grams import Group, neuron_groups
from utils.models.forecasting.moments import Features, Moments, MomentSource
from utils.models.forecasting.ridge import (
    Maps,
    own_part,
    penalised_basis,
    ridge_maps,
    second_moment,
    shared_part,
    squared_error,
)
from utils.models.forecasting.shared_series import (
    NO_COVARIATES,
    Components,
    PastCovariates,
    joined,
    leading_components,
)
from utils.models.forecasting.simple import train_moments

if TYPE_CHECKING:
    from utils.windows import WindowData


class PopulationRidgeConfig(ForecasterConfig):
    """Own lags, shared lags and what validation chooses from."""

    own_lags: PositiveInt = Field(16, description="last frames of the neuron itself")
    shared_lags: PositiveInt = Field(16, description="last frames of the population components")
    components: list[NonNegativeInt] = Field(
        [0, 8, 16],
        min_length=1,
        description="numbers of components to try; 0: no population term, an autoregression",
    )
    own_ridge: list[PositiveFloat] = Field(
        [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0],
        min_length=1,
        description="penalties of own lags to try, in units of their mean variance; chosen "
        "without a population term",
    )
    shared_ridge: list[PositiveFloat] = Field(
        [1e-3, 1e-2, 1e-1, 1.0, 10.0],
        min_length=1,
        description="penalties of shared lags to try, in units of their mean variance",
    )
    rank: list[PositiveInt] | None = Field(
        None,
        min_length=1,
        description="numbers of combinations of shared lags to try beside all of them; None: all",
    )
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


class Choice(NamedTuple):
    """Settings chosen on the validation windows; None: not used."""

    components: int
    own_ridge: float
    shared_ridge: float
    covariate_ridge: float | None = None
    rank: int | None = None


Space = tuple[Tensor, list[tuple[Choice, Tensor]]]  # a basis, and inverses for choices in it


class PopulationRidge(Forecaster):
    """Ridge on own lags and on shared lags of population components, direct, in closed form."""

    name = "population_ridge"
    Config = PopulationRidgeConfig
    uses_population = True
    learnt = (
        *("own", "shared", "bias", "centre", "components"),
        *("covariate_map", "covariate_mean", "covariate_scale"),
    )

    def _fit(self, data: WindowData) -> None:
        centre, deviation = train_moments(data)
        most = min(max(self.config.components), data.n_neurons)
        components = leading_components(data, centre, deviation, most)
        covariates = PastCovariates.of(data, wanted=self.config.covariates)
        problem = _Problem(data, self.config, components, covariates)
        self.chosen = chosen = self._choose(problem)
        if chosen.covariate_ridge is None:
            covariates = NO_COVARIATES
        problem = problem.part(chosen.components, len(covariates.mean))
        maps = problem.solve(chosen)
        shared = maps.shared.unflatten(2, (problem.shared_lags, -1)).float()
        self.own = maps.own.float().contiguous()  # (neuron, horizon, own lag)
        self.shared = shared[..., : chosen.components]  # (neuron, horizon, lag, component)
        self.covariate_map = shared[..., chosen.components :]  # (neuron, horizon, lag, covariate)
        self.bias = (maps.bias + centre[:, None]).float()
        self.centre = centre.float()
        self.components = components.weights[:, : chosen.components].float()
        self.covariate_mean, self.covariate_scale = (part.float() for part in covariates)

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        own, shared, bias, centre, weights, covariate_map, *scaling = (
            part.to(past.device) for part in self._arrays().values()
        )
        deviation = past - centre
        if mask is not None:
            deviation = deviation * mask  # a neuron never observed in a window is at its centre
        recent = fill_missing(deviation, mask)[:, -own.shape[2] :]
        future = own_part(recent, own) + bias.T
        components = deviation[:, -shared.shape[2] :] @ weights
        future = future + shared_part(components, shared)
        if covariate_map.shape[3]:
            behaviour = PastCovariates(*scaling).window(covariates, self.name)
            recent = behaviour[:, -covariate_map.shape[2] :]
            future = future + shared_part(recent, covariate_map)
        return future.contiguous()

    def _choose(self, problem: _Problem) -> Choice:
        """Smallest squared error on validation: own penalty, population, covariates, rank."""
        config: PopulationRidgeConfig = self.config
        first, most = config.shared_ridge[0], problem.n_components
        best = problem.part(0, 0).best([Choice(0, ridge, first) for ridge in config.own_ridge])
        tried = [
            Choice(count, best.own_ridge, ridge)
            for count in sorted({min(count, most) for count in config.components})
            for ridge in (config.shared_ridge if count else [first])
        ]
        best = problem.part(most, 0).best(tried)
        problem = problem.part(best.components, problem.n_covariates)
        if problem.n_covariates:
            tried = (best._replace(covariate_ridge=ridge) for ridge in config.covariate_ridge)
            best = problem.best([best, *tried])
        if config.rank and (best.components or best.covariate_ridge):
            best = problem.best([best, *(best._replace(rank=rank) for rank in config.rank)])
        return best


class _Problem:
    """Training and validation moments of neurons and what they share, and the maps of a choice."""

    def __init__(
        self,
        data: WindowData,
        config: PopulationRidgeConfig,
        components: Components,
        covariates: PastCovariates,
    ) -> None:
        self.n_components = components.weights.shape[1]
        self.n_covariates = len(covariates.mean)
        self.shared_lags = min(config.shared_lags, data.context)
        lags = min(config.own_lags, data.context)
        series = joined(components.series(data), covariates.series(data))
        splits = data.train, data.validation
        self.groups = neuron_groups(data, splits)
        self.train, self.validation = (
            MomentSource(data, split, components.centre, lags, series, self.shared_lags, keep=True)
            for split in splits
        )

    def part(self, n_components: int, n_covariates: int) -> _Problem:
        """With the first components, and all covariates or none."""
        other = copy(self)
        covariates = range(self.n_components, self.n_components + n_covariates)
        series = [*range(n_components), *covariates]
        other.n_components, other.n_covariates = n_components, n_covariates
        other.train, other.validation = (
            source.selected(series) for source in (self.train, self.validation)
        )
        return other

    def best(self, candidates: Iterable[Choice]) -> Choice:
        """The candidate with the smallest squared error on validation windows.

        Its large products are in float32: enough to rank the candidates.
        """
        candidates = list(candidates)
        if len(candidates) == 1:
            return candidates[0]
        errors = dict.fromkeys(candidates, 0.0)
        for group in self.groups:
            learnt, checked = self.train.features(group), self.validation.features(group)
            spaces = self._spaces(group, learnt, candidates)
            for neurons in group.chunks():
                pair = (
                    self.train.moments(group, neurons, learnt),
                    self.validation.moments(group, neurons, checked),
                )
                for choice, error in _errors(*pair, spaces):
                    errors[choice] += error
        return min(errors, key=errors.get)

    def solve(self, choice: Choice) -> Maps:
        """Maps of all neurons."""
        parts = []
        for group in self.groups:
            features = self.train.features(group)
            ((basis, ((_, inverse),)),) = self._spaces(group, features, [choice])
            for neurons in group.chunks():
                moments = self.train.moments(group, neurons, features).rotated(basis)
                maps = ridge_maps(moments, choice.own_ridge, inverse)
                parts.append(maps._replace(shared=maps.shared @ basis.T))
        order = torch.cat([group.neurons for group in self.groups]).argsort()
        return Maps(*(torch.cat(part)[order] for part in zip(*parts)))

    def _spaces(self, group: Group, features: Features, candidates: list[Choice]) -> list[Space]:
        """Bases of the features in which the candidates are solved; one for many penalties."""
        spaces = []
        for _, choices in groupby(candidates, _same_features):
            choices = list(choices)
            first = choices[0]
            eigenvalues, basis = self._basis(features, first)
            if first.rank is None:
                inverses = (1 / (eigenvalues + choice.shared_ridge) for choice in choices)
                spaces.append((basis, list(zip(choices, inverses))))
                continue
            basis = basis / (eigenvalues + first.shared_ridge).sqrt()
            basis = basis @ self._directions(group, features, first, basis)
            for choice in choices:
                leading = basis[:, : choice.rank]
                spaces.append((leading, [(choice, leading.new_ones(leading.shape[1]))]))
        return spaces

    def _basis(self, features: Features, choice: Choice) -> tuple[Tensor, Tensor]:
        """Eigenvalues and basis of the features that a choice uses, for its shared penalty 1."""
        variances = features.covariance.diagonal().view(self.shared_lags, -1)
        penalty = torch.zeros_like(variances)
        penalty[:, : choice.components] = variances[:, : choice.components].mean()
        if choice.covariate_ridge is not None:
            ratio = choice.covariate_ridge / choice.shared_ridge
            penalty[:, self.n_components :] = ratio * variances[:, self.n_components :].mean()
        used = penalty.flatten().nonzero()[:, 0]
        part = Features(features.mean[used], features.covariance[used][:, used])
        eigenvalues, basis = penalised_basis(part, penalty.flatten()[used])
        return eigenvalues, basis.new_zeros(len(features.mean), len(used)).index_copy(
            0, used, basis
        )

    def _directions(
        self, group: Group, features: Features, choice: Choice, basis: Tensor
    ) -> Tensor:
        """Directions of the whitened features that forecast most, the strongest first."""
        total = basis.new_zeros(basis.shape[1], basis.shape[1])
        for neurons in group.chunks():
            moments = self.train.moments(group, neurons, features).rotated(basis)
            maps = ridge_maps(moments, choice.own_ridge, basis.new_ones(basis.shape[1]))
            total += second_moment(maps.shared)
        return torch.linalg.eigh(total).eigenvectors.flip(1)


def _errors(
    train: Moments, validation: Moments, spaces: list[Space]
) -> Iterator[tuple[Choice, float]]:
    """Squared error on validation of a chunk of neurons, for every candidate."""
    for basis, choices in spaces:
        learnt, checked = (part.rotated(basis.float()) for part in (train, validation))
        for choice, inverse in choices:
            maps = ridge_maps(learnt, choice.own_ridge, inverse.float())
            yield choice, squared_error(checked, maps)


def _same_features(choice: Choice) -> tuple[int, float | None, bool]:
    return choice.components, choice.covariate_ridge, choice.rank is not None
