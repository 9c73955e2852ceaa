"""PatchTST (Nie et al. 2023): pieces of one neuron's past are the tokens of a transformer.

Every neuron is forecast from its own past by the same network, so that one with normalise=window
and skip=mean forecasts neurons that it has never seen.

Nie et al., "A Time Series is Worth 64 Words", ICLR 2023.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from utils.models.forecasting.blocks import Dropout, TransformerLayer, in_pieces, near_zero
from utils.models.forecasting.network import (
    AttentionConfig,
    ForecastModule,
    NetworkForecaster,
    Sizes,
)

TOKENS_AT_ONCE = 130_000  # bounds the memory: 1.5 GB to train on 16 windows of 8000 neurons


class PatchTSTConfig(AttentionConfig):
    """Size and patches of the transformer."""

    patch: int = Field(16, ge=1, description="frames of a token; a shorter context is one patch")
    stride: int = Field(8, ge=1, description="frames from one patch to the next")
    d_model: int = Field(16, ge=1)
    layers: int = Field(2, ge=1)
    ffn_dim: int = Field(64, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)


class PatchTSTNetwork(ForecastModule):
    """Patches, a transformer with batch normalisation, one linear map from all tokens."""

    def __init__(self, config: PatchTSTConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.patch = min(config.patch, sizes.context)
        self.stride = min(config.stride, self.patch)  # no frame between two patches
        n_patches = (sizes.context + self.stride - self.patch) // self.stride + 1
        self.embed = nn.Linear(self.patch, config.d_model)
        self.position = nn.Parameter(torch.empty(n_patches, config.d_model).uniform_(-0.02, 0.02))
        if sizes.n_covariates:
            self.embed_covariates = nn.Linear(sizes.n_covariates * self.patch, config.d_model)
        self.dropout = Dropout(config.dropout)
        width = (config.d_model, config.n_heads, config.ffn_dim, config.dropout)
        self.layers = nn.Sequential(
            *(TransformerLayer(*width, norm="batch") for _ in range(config.layers))
        )
        n_outputs = sizes.horizon * self.head.n_outputs
        self.to_future = near_zero(n_patches * config.d_model, n_outputs)

    def core(self, inputs: Tensor, covariates: Tensor | None) -> Tensor:
        """Behaviour during a patch is added to that patch of all neurons."""
        tokens = self.embed(self._patches(inputs)) + self.position
        if covariates is not None:
            behaviour = self._patches(covariates).transpose(1, 2).flatten(2)
            tokens = tokens + self.embed_covariates(behaviour)[:, None]
        # (batch, neuron, patch, d_model) -> (batch * neuron, patch, d_model)
        series_at_once = max(1, TOKENS_AT_ONCE // tokens.shape[2])
        outputs = in_pieces(self._encode, tokens.flatten(0, 1), series_at_once, self.layers)
        outputs = outputs.unflatten(1, (self.sizes.horizon, -1)).unflatten(0, tokens.shape[:2])
        return outputs.transpose(1, 2)

    def _patches(self, values: Tensor) -> Tensor:
        """(batch, context, channel) -> (batch, channel, patch, frame); the end is repeated."""
        end = values[:, -1:].expand(-1, self.stride, -1)
        return torch.cat([values, end], dim=1).unfold(1, self.patch, self.stride).transpose(1, 2)

    def _encode(self, tokens: Tensor) -> Tensor:
        """(series, patch, d_model) -> (series, horizon * output)."""
        return self.to_future(self.layers(self.dropout(tokens)).flatten(1))


class PatchTSTForecaster(NetworkForecaster):
    """Transformer over patches of a single neuron's past; one network for all neurons."""

    name = "patchtst"
    Config = PatchTSTConfig
    Module = PatchTSTNetwork
    channel_independent = True
