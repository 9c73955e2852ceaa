"""What neurons share: the leading components of the population, and past covariates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import torch
from torch import Tensor

from utils.models.forecasting.base import DataMismatchError
from utils.models.forecasting.moments import Series
from utils.models.forecasting.simple import train_moments, train_pieces

if TYPE_CHECKING:
    from utils.windows import WindowData

ITERATIONS, SPARE_COMPONENTS = 6, 8  # of the subspace iteration
ROWS_AT_ONCE = 1024
SILENT = 1e-6  # a series that varies less than this part of the typical one is no part of it


class PastCovariates(NamedTuple):
    """Behaviour and stimulus in units of their training block; what is missing is at the mean."""

    mean: Tensor  # (covariate,) float64
    scale: Tensor  # (covariate,) one over the standard deviation, 0 where there is none

    @classmethod
    def of(cls, data: WindowData, wanted: bool = True) -> Self:
        """With statistics of the training block; without any covariate where there are none."""
        if not wanted or data.covariates is None:
            return NO_COVARIATES
        mean, deviation = train_moments(data, data.covariates)
        return cls(mean, inverse_deviation(deviation))

    def __call__(self, values: Tensor) -> Tensor:
        """(..., covariate), NaN where missing, -> the same, standardised."""
        return ((values - self.mean) * self.scale).nan_to_num(0.0)

    def series(self, data: WindowData) -> Series:
        """Rows of the recording to (time, covariate)."""
        if not len(self.mean):
            return lambda rows: torch.zeros(rows.stop - rows.start, 0).double()
        return lambda rows: self(data.covariates[rows].double())

    def window(self, covariates: Tensor | None, model: str) -> Tensor:
        """Standardised covariates of windows for a forecast; without them it is refused."""
        if covariates is None:
            raise DataMismatchError(
                f"forecaster '{model}' was fitted with covariates and found none; give "
                "predict(past, covariates), or fit it with covariates=False"
            )
        if covariates.shape[2] != len(self.mean):
            raise DataMismatchError(
                f"forecaster '{model}' was fitted with {len(self.mean)} covariates, found "
                f"{covariates.shape[2]}"
            )
        return self(covariates)


NO_COVARIATES = PastCovariates(torch.zeros(0).double(), torch.zeros(0).double())


class Components(NamedTuple):
    """From activity to component series."""

    centre: Tensor  # (neuron,)
    weights: Tensor  # (neuron, component)

    def __call__(self, values: Tensor) -> Tensor:
        """(..., neuron), NaN where missing, -> (..., component); missing counts as centre."""
        return (values - self.centre).nan_to_num(0.0) @ self.weights

    def series(self, data: WindowData) -> Series:
        """Rows of the recording to (time, component), in portions."""

        def rows_to_series(rows: slice) -> Tensor:
            pieces = data.activity[rows].split(ROWS_AT_ONCE)
            return torch.cat([self(piece.double()) for piece in pieces])

        return rows_to_series


def joined(*series: Series) -> Series:
    """Several series beside one another."""
    return lambda rows: torch.cat([one(rows) for one in series], dim=1)


def inverse_deviation(deviation: Tensor) -> Tensor:
    """One over it, and 0 for series that (almost) do not vary."""
    typical = deviation.square().mean().sqrt()
    return torch.where(deviation > SILENT * typical, 1 / deviation, 0.0)


def leading_components(
    data: WindowData, mean: Tensor, deviation: Tensor, n_components: int
) -> Components:
    """Principal axes of the standardised training block, the most important first.

    By subspace iteration, which streams the block (float32 products, float64 sums).
    """
    n = data.n_neurons
    if n_components == 0:
        return Components(mean, torch.zeros(n, 0, dtype=torch.float64))
    scale = inverse_deviation(deviation)
    centre, factor = mean.float(), scale.float()

    def covariance_times(vectors: Tensor) -> Tensor:
        total, vectors = torch.zeros_like(vectors), vectors.float()
        for piece in train_pieces(data, data.activity):
            values = (piece - centre).mul_(factor).nan_to_num_(0.0)
            total += values.T @ (values @ vectors)
        return total

    generator = torch.Generator().manual_seed(0)
    size = min(n, n_components + SPARE_COMPONENTS)
    basis = torch.randn(n, size, generator=generator, dtype=torch.float64)
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(covariance_times(basis)).Q
    rotation = torch.linalg.eigh(basis.T @ covariance_times(basis)).eigenvectors.flip(1)
    return Components(mean, (basis @ rotation)[:, :n_components] * scale[:, None])
