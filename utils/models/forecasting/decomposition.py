"""DLinear, NLinear and RLinear: one linear layer from context to horizon, trained by gradient.

They differ in what the layer sees. DLinear: the trend (a moving average whose ends are repeated)
and the rest, each with weights of its own. NLinear: the window from its last value. RLinear: the
window in units of its own mean and deviation. Weights start at one over the context, so that the
first forecast is the mean of what the layer sees.

Zeng et al., "Are Transformers Effective for Time Series Forecasting?", AAAI 2023 (DLinear,
NLinear); Li et al., "Revisiting Long-term Time Series Forecasting: An Investigation on Linear
Mapping", 2023 (RLinear).
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from utils.models.forecasting.base import last_observed
from utils.models.forecasting.network import (
    ForecastModule,
    NetworkConfig,
    NetworkForecaster,
    Sizes,
)
from utils.models.forecasting.parts import SkipKind


class LinearLayerConfig(NetworkConfig):
    """One map for all neurons, or one for each."""

    individual: bool = Field(
        False, description="a map per neuron; one for all transfers to other sessions"
    )
    normalise: Literal["train", "window", "none"] = "none"
    skip: SkipKind = Field("none", description="the simple forecast that the layer corrects")

    @property
    def fits_any_neuron(self) -> bool:
        """Whether nothing belongs to a certain neuron."""
        return super().fits_any_neuron and not self.individual


class DLinearConfig(LinearLayerConfig):
    """Width of the trend."""

    kernel: int = Field(25, ge=1, description="frames of the moving average that is the trend")


class NLinearConfig(LinearLayerConfig):
    """Measured from the last observed value."""

    skip: SkipKind = "last"


class RLinearConfig(LinearLayerConfig):
    """Measured from the mean of the window, in units of its deviation."""

    normalise: Literal["train", "window", "none"] = "window"
    skip: SkipKind = "mean"


class LinearLayerNetwork(ForecastModule):
    """(batch, context, neuron) times weights; covariates have weights of their own, from 0."""

    def __init__(self, config: LinearLayerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.n_maps = sizes.n_neurons if config.individual else 1
        self.weight = self._average_weight()
        n_inputs, n_outputs = sizes.context * sizes.n_covariates, self.weight.shape[2]
        self.bias = nn.Parameter(torch.zeros(self.n_maps, n_outputs))
        if sizes.n_covariates:
            self.covariate_weight = nn.Parameter(torch.zeros(self.n_maps, n_inputs, n_outputs))

    def core(self, inputs: Tensor, covariates: Tensor | None) -> Tensor:
        """One product per map."""
        outputs = _product(inputs.permute(2, 0, 1), self._map())  # (neuron, batch, output)
        outputs = outputs + self.bias[:, None]
        if covariates is not None:
            outputs = outputs + covariates.flatten(1) @ self.covariate_weight
        outputs = outputs.unflatten(2, (self.sizes.horizon, self.head.n_outputs))
        return outputs.permute(1, 2, 0, 3)

    def _map(self) -> Tensor:
        """(map, context, output)."""
        return self.weight

    def _average_weight(self) -> nn.Parameter:
        """The expected value starts at the mean of the context, all else at 0."""
        shape = self.n_maps, self.sizes.context, self.sizes.horizon, self.head.n_outputs
        weight = torch.zeros(shape)
        weight[..., 0] = 1 / self.sizes.context
        return nn.Parameter(weight.flatten(2))


class DLinearNetwork(LinearLayerNetwork):
    """Weights for the trend, and others for what remains."""

    def __init__(self, config: DLinearConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trend_weight = self._average_weight()
        average = moving_average(sizes.context, config.kernel)
        self.register_buffer("average", average, persistent=False)

    def _map(self) -> Tensor:
        """The trend is itself linear in the window, so that one product gives both parts."""
        return self.weight + self.average.T @ (self.trend_weight - self.weight)


class NLinearNetwork(LinearLayerNetwork):
    """Sees the window from its last observed value, where its forecast starts too."""

    def _units(self, past: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return last_observed(past, mask), super()._units(past, mask)[1]


class DLinearForecaster(NetworkForecaster):
    """Linear maps of trend and remainder."""

    name = "dlinear"
    Config = DLinearConfig
    Module = DLinearNetwork
    channel_independent = True


class NLinearForecaster(NetworkForecaster):
    """Linear map of the window from its last value."""

    name = "nlinear"
    Config = NLinearConfig
    Module = NLinearNetwork
    channel_independent = True


class RLinearForecaster(NetworkForecaster):
    """Linear map of the window in units of its own mean and deviation."""

    name = "rlinear"
    Config = RLinearConfig
    Module = LinearLayerNetwork
    channel_independent = True


def moving_average(n_frames: int, kernel: int) -> Tensor:
    """(frame, frame) matrix of a centred moving average whose first and last frame are repeated."""
    sources = torch.arange(n_frames)[:, None] + torch.arange(kernel) - (kernel - 1) // 2
    parts = torch.full((n_frames, kernel), 1 / kernel)
    return torch.zeros(n_frames, n_frames).scatter_add_(1, sources.clamp(0, n_frames - 1), parts)


def _product(inputs: Tensor, weight: Tensor) -> Tensor:
    """(neuron, batch, context) times (neuron or 1, context, output)."""
    return inputs @ weight[0] if len(weight) == 1 else inputs @ weight
