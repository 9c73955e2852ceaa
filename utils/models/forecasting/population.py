"""Population ridge: each neuron's own lags and the shared lags of the leading components.

Neurons that follow the same hidden fluctuations tell about each other's future. A full vector
autoregression drowns that in noise; a few principal components of the population, fitted on the
training block, keep most of it. The map is direct for each frame ahead, linear, and solved
exactly: the block of the shared lags is the same for all neurons, so it is diagonalised once, and
what remains per neuron (the Schur complement) is as small as its own lags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from utils.models.forecasting.base import Forecaster, ForecasterConfig, fill_missing
from utils.models.forecasting.lag_grams import neuron_chunks
from utils.models.forecasting.linear import LinearForecaster
from utils.models.forecasting.population_moments import (
    Moments,
    Projection,
    component_series,
    population_moments,
)
from utils.models.forecasting.simple import train_moments, train_pieces

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit

ITERATIONS, SPARE_COMPONENTS = 6, 8  # of the subspace iteration
SILENT = 1e-6  # a neuron that varies less than this part of the typical one is no part of it


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


class Choice(NamedTuple):
    """Settings chosen on the validation windows."""

    components: int
    own_ridge: float
    shared_ridge: float


class Maps(NamedTuple):
    """Linear maps of some neurons, about the centre; float64."""

    own: Tensor  # (neuron, horizon, own lag)
    shared: Tensor  # (neuron, horizon, feature)
    bias: Tensor  # (neuron, horizon)


class PopulationRidge(Forecaster):
    """Ridge on own lags and on shared lags of population components, direct, in closed form."""

    name = "population_ridge"
    Config = PopulationRidgeConfig
    learnt = ("own", "shared", "bias", "centre", "components")

    def _fit(self, data: WindowData) -> None:
        centre, deviation = train_moments(data)
        most = min(max(self.config.components), data.n_neurons)
        projection = Projection(centre, leading_components(data, centre, deviation, most))
        self.chosen = self._choose(data, projection)
        projection.weights = projection.weights[:, : self.chosen.components]
        chosen, horizon = self.chosen, data.horizon
        parts = [
            next(_chunk_maps(train, count, horizon, chosen, [chosen.shared_ridge]))
            for count, train in self._moments(data, data.train, projection)
        ]
        own, shared, bias = (torch.cat(part) for part in zip(*parts))
        shape = self._lags(data)[1], self.chosen.components
        self.own = own.float()  # (neuron, horizon, own lag)
        self.shared = shared.unflatten(2, shape).float()  # (neuron, horizon, lag, component)
        self.bias = (bias + centre[:, None]).float()
        self.centre, self.components = centre.float(), projection.weights.float()

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        own, shared, bias, centre, components = (
            part.to(past.device) for part in self._arrays().values()
        )
        recent = (fill_missing(past, mask) - centre)[:, -own.shape[2] :]
        future = torch.einsum("bln,nhl->bhn", recent, own) + bias.T
        deviation = past[:, -shared.shape[2] :] - centre
        if mask is not None:
            deviation = deviation * mask[:, -shared.shape[2] :]
        return (future + torch.einsum("blk,nhlk->bhn", deviation @ components, shared)).contiguous()

    def _lags(self, data: WindowData) -> tuple[int, int]:
        return min(self.config.own_lags, data.context), min(self.config.shared_lags, data.context)

    def _moments(
        self, data: WindowData, split: WindowSplit, projection: Projection
    ) -> Iterator[tuple[int, list[Moments]]]:
        """Number of neurons and moments of one chunk after the other."""
        series = component_series(data, split, projection)
        for neurons in neuron_chunks(data.n_neurons):
            centre = projection.centre[neurons]
            moments = population_moments(data, split, neurons, centre, series, *self._lags(data))
            yield len(centre), moments

    def _choose(self, data: WindowData, projection: Projection) -> Choice:
        """Strengths and number of components with the smallest squared error on validation."""
        config: PopulationRidgeConfig = self.config
        own_lags = self._lags(data)[0]
        alone = LinearForecaster(lags=[own_lags], ridge=config.own_ridge).fit(data)
        own_ridge = alone.chosen[1]
        counts = sorted({min(count, data.n_neurons) for count in config.components})
        candidates = [
            Choice(count, own_ridge, ridge)
            for count in counts
            for ridge in (config.shared_ridge if count else config.shared_ridge[:1])
        ]
        if len(candidates) == 1:
            return candidates[0]
        errors = dict.fromkeys(candidates, 0.0)
        blocks = (self._moments(data, split, projection) for split in (data.train, data.validation))
        for (n_neurons, train), (_, validation) in zip(*blocks):
            for count in counts:
                tried = [choice for choice in candidates if choice.components == count]
                ridges = [choice.shared_ridge for choice in tried]
                maps = _chunk_maps(train, n_neurons, data.horizon, tried[0], ridges)
                for choice, one in zip(tried, maps):
                    errors[choice] += sum(squared_error(m, one) for m in validation)
        return min(errors, key=errors.get)


def leading_components(
    data: WindowData, mean: Tensor, deviation: Tensor, n_components: int
) -> Tensor:
    """Principal axes of the standardised training block, (neuron, component), for raw values.

    By subspace iteration, which streams the block. The most important component comes first.
    """
    n = data.n_neurons
    if n_components == 0:
        return torch.zeros(n, 0, dtype=torch.float64)
    typical = deviation.square().mean().sqrt()
    scale = torch.where(deviation > SILENT * typical, 1 / deviation, 0.0)

    def covariance_times(vectors: Tensor) -> Tensor:
        total = torch.zeros_like(vectors)
        for piece in train_pieces(data):
            values = ((piece - mean) * scale).nan_to_num(0.0)
            total += values.T @ (values @ vectors)
        return total

    generator = torch.Generator().manual_seed(0)
    size = min(n, n_components + SPARE_COMPONENTS)
    basis = torch.randn(n, size, generator=generator, dtype=torch.float64)
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(covariance_times(basis)).Q
    rotation = torch.linalg.eigh(basis.T @ covariance_times(basis)).eigenvectors.flip(1)
    return (basis @ rotation)[:, :n_components] * scale[:, None]


def ridge_maps(
    moments: Moments, horizon: int, n_components: int, own_ridge: float, shared: Iterable[float]
) -> Iterator[Maps]:
    """Exact ridge maps with a free intercept, one for each strength of the ``shared`` penalty."""
    lags = moments.mean.shape[1] - horizon
    keep = moments.leading(n_components)
    eigenvalues, basis = torch.linalg.eigh(moments.shared[keep][:, keep])
    cross = moments.cross[:, :, keep] @ basis  # (neuron, part, feature)
    variance = moments.covariance[:, :lags, :lags].diagonal(dim1=1, dim2=2).mean(dim=1)
    usable = ((variance > 1e-12) & (moments.count >= lags + horizon))[:, None, None]
    penalty = torch.where(usable, own_ridge * variance[:, None, None], 1.0)
    penalty = penalty * torch.eye(lags, dtype=torch.float64)
    for ridge in shared:
        inverse = 1 / (eigenvalues + ridge * eigenvalues.mean()).clamp(min=1e-12)
        schur = moments.covariance[:, :lags] - (cross[:, :lags] * inverse) @ cross.mT
        own_map = _solve(schur[:, :, :lags] + penalty, schur[:, :, lags:]).mT
        shared_map = (cross[:, lags:] - own_map @ cross[:, :lags]) * inverse @ basis.T
        own_map, shared_map = own_map * usable, shared_map * usable
        bias = moments.mean[:, lags:] - (own_map @ moments.mean[:, :lags, None])[..., 0]
        yield Maps(own_map, shared_map, bias - shared_map @ moments.shared_mean[keep])


def squared_error(moments: Moments, maps: Maps) -> float:
    """Sum over windows, horizons and neurons of the squared error of a chunk's ``maps``."""
    own, shared, bias = (part[moments.members] for part in maps)
    lags = own.shape[2]
    keep = moments.leading(shared.shape[2] // moments.shared_lags)
    offset = moments.mean[:, lags:] - (own @ moments.mean[:, :lags, None])[..., 0]
    offset = offset - shared @ moments.shared_mean[keep] - bias
    covariance, cross = moments.covariance, moments.cross[:, :, keep]
    # of the residual: what the own lags leave, then what the shared ones take from that
    left = covariance[:, lags:, lags:].diagonal(dim1=1, dim2=2).sum()
    left -= 2 * (own * covariance[:, lags:, :lags]).sum()
    left += (own @ covariance[:, :lags, :lags] * own).sum()
    left -= 2 * (shared * (cross[:, lags:] - own @ cross[:, :lags])).sum()
    left += (shared @ moments.shared[keep][:, keep] * shared).sum()
    return moments.count * float(left + offset.square().sum())


def _solve(matrices: Tensor, sides: Tensor) -> Tensor:
    """Many small systems; numpy, because threads would only wait for each other."""
    return torch.from_numpy(np.linalg.solve(matrices.numpy(), sides.numpy()))


def _chunk_maps(
    train: list[Moments], n_neurons: int, horizon: int, choice: Choice, ridges: list[float]
) -> Iterator[Maps]:
    """Maps of a chunk of neurons, one for each shared strength."""
    groups = [
        ridge_maps(group, horizon, choice.components, choice.own_ridge, ridges) for group in train
    ]
    for maps in zip(*groups):
        whole = Maps(*(part.new_zeros(n_neurons, *part.shape[1:]) for part in maps[0]))
        for group, parts in zip(train, maps):
            for target, part in zip(whole, parts):
                target[group.members] = part
        yield whole
