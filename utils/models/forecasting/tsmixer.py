"""TSMixer (Chen et al. 2023): two small networks in turn mix the frames and the neurons.

Neurons are mixed through ``d_channel`` hidden units, so that cost and weights grow in proportion
to the number of neurons.

Chen et al., "TSMixer: An All-MLP Architecture for Time Series Forecasting", TMLR 2023.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from utils.models.forecasting.blocks import Dropout, TokenBatchNorm, near_zero
from utils.models.forecasting.network import (
    ForecastModule,
    NetworkConfig,
    NetworkForecaster,
    Sizes,
)
from utils.models.forecasting.parts import SkipKind


class TSMixerConfig(NetworkConfig):
    """Size of the mixer."""

    skip: SkipKind = "population"
    layers: int = Field(2, ge=1)
    d_channel: int = Field(32, ge=1, description="hidden units between all neurons and back")
    dropout: float = Field(0.2, ge=0, lt=1)


class MixerLayer(nn.Module):
    """Mix the frames of each channel, then the channels of each frame."""

    def __init__(self, context: int, n_channels: int, d_channel: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(TokenBatchNorm(n_channels) for _ in range(2))
        self.time = nn.Sequential(nn.Linear(context, context), nn.ReLU(), Dropout(dropout))
        self.channels = nn.Sequential(
            nn.Linear(n_channels, d_channel),
            nn.ReLU(),
            Dropout(dropout),
            nn.Linear(d_channel, n_channels),
            Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, context, channel) -> the same shape."""
        x = x + self.time(self.norms[0](x).mT).mT
        return x + self.channels(self.norms[1](x))


class TSMixerNetwork(ForecastModule):
    """Mixer layers, then one linear map from context to horizon for all neurons."""

    def __init__(self, config: TSMixerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        n_channels = sizes.n_neurons + sizes.n_covariates
        width = (sizes.context, n_channels, config.d_channel, config.dropout)
        self.layers = nn.Sequential(*(MixerLayer(*width) for _ in range(config.layers)))
        self.to_future = near_zero(sizes.context, sizes.horizon * self.head.n_outputs)

    def core(self, inputs: Tensor, covariates: Tensor | None) -> Tensor:
        """Behaviour is mixed as further channels."""
        if covariates is not None:
            inputs = torch.cat([inputs, covariates], dim=2)
        mixed = self.layers(inputs)[:, :, : self.sizes.n_neurons]
        outputs = self.to_future(mixed.mT)  # (batch, neuron, horizon * output)
        return outputs.unflatten(2, (self.sizes.horizon, -1)).transpose(1, 2)


class TSMixerForecaster(NetworkForecaster):
    """Multilayer perceptrons over time and over neurons in turn."""

    name = "tsmixer"
    uses_population = True
    Config = TSMixerConfig
    Module = TSMixerNetwork
