"""The iTransformer (Liu et al. 2024): a neuron's whole past is one token, neurons attend to others.

Tokens have no order and no identity: relabelled neurons give relabelled forecasts, and one with
normalise=window and skip=mean forecasts populations that it has never seen. Time grows with the
square of the number of neurons, memory in proportion to it: 8 windows of 8000 neurons took 1.3 GB
and 18 s of one CPU core to train on, so thousands of neurons want a GPU.

Liu et al., "iTransformer: Inverted Transformers Are Effective for Time Series Forecasting",
ICLR 2024.
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
from utils.models.forecasting.parts import SkipKind

TOKENS_AT_ONCE = 65_536  # bounds the memory for thousands of neurons


class ITransformerConfig(AttentionConfig):
    """Size of the transformer."""

    skip: SkipKind = "population"
    layers: int = Field(2, ge=1)
    ffn_dim: int = Field(128, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)


class ITransformerNetwork(ForecastModule):
    """Attention between neurons; a feed-forward network on the past of each."""

    def __init__(self, config: ITransformerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.embed = nn.Linear(sizes.context, config.d_model)
        if sizes.n_covariates:  # unlike neurons, which covariate it is matters
            self.covariate_code = nn.Parameter(
                0.02 * torch.randn(sizes.n_covariates, config.d_model)
            )
        self.dropout = Dropout(config.dropout)
        width = (config.d_model, config.n_heads, config.ffn_dim, config.dropout)
        self.layers = nn.Sequential(*(TransformerLayer(*width) for _ in range(config.layers)))
        self.to_future = near_zero(config.d_model, sizes.horizon * self.head.n_outputs)

    def core(self, inputs: Tensor, covariates: Tensor | None) -> Tensor:
        """Behaviour gives further tokens, which neurons attend to."""
        n_neurons = inputs.shape[2]
        tokens = self.embed(inputs.mT)  # (batch, neuron, d_model)
        if covariates is not None:
            behaviour = self.embed(covariates.mT) + self.covariate_code
            tokens = torch.cat([tokens, behaviour], dim=1)
        windows_at_once = max(1, TOKENS_AT_ONCE // tokens.shape[1])
        hidden = in_pieces(self._encode, tokens, windows_at_once, self.layers)
        outputs = self.to_future(hidden[:, :n_neurons])  # (batch, neuron, horizon * output)
        return outputs.unflatten(2, (self.sizes.horizon, -1)).transpose(1, 2)

    def _encode(self, tokens: Tensor) -> Tensor:
        return self.layers(self.dropout(tokens))


class ITransformerForecaster(NetworkForecaster):
    """Transformer whose tokens are neurons."""

    name = "itransformer"
    uses_population = True
    Config = ITransformerConfig
    Module = ITransformerNetwork

    @property
    def transfers(self) -> bool:
        """Whether scaling and skip belong to no certain neuron; the transformer never does."""
        return self.config.fits_any_neuron
