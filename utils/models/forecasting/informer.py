"""The Informer (Zhou et al. 2021) from the library ``transformers``, used so that it is honest.

Three pitfalls of the library are avoided here. Its training pass is teacher-forced (the decoder
sees the future shifted by one), so scoring that pass is a leak: we give the decoder zeros for the
horizon and take all frames in one pass. Its ProbSparse attention is random in evaluation and
leaks in teacher-forced passes: full attention is the default. Its mean scaler divides a silent
neuron by 1e-10, and LayerDrop is on by default: both are off. Full attention runs in the fused
kernel of torch.
"""

from __future__ import annotations

import logging
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from transformers import InformerConfig as LibraryConfig
from transformers.models.informer.modeling_informer import InformerDecoder, InformerEncoder

from utils.models.forecasting.blocks import near_zero
from utils.models.forecasting.network import (
    AttentionConfig,
    ForecastModule,
    NetworkForecaster,
    Sizes,
)

log = logging.getLogger(__name__)


class InformerConfig(AttentionConfig):
    """Size and inputs of the Informer."""

    d_model: int = Field(64, ge=4)
    encoder_layers: int = Field(2, ge=1)
    decoder_layers: int = Field(1, ge=1)
    ffn_dim: int = Field(128, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    attention: Literal["full", "prob"] = "full"
    distil: bool = Field(False, description="halve the sequence after each encoder layer")
    label: int | None = Field(
        None, ge=1, description="last context frames given to the decoder; None: half the context"
    )

    @model_validator(mode="after")
    def _warn_of_sampled_attention(self) -> InformerConfig:
        if self.attention == "prob":
            log.warning(
                "attention=prob (ProbSparse) samples keys at random, also in evaluation, and is "
                "slower than full attention at these lengths; use attention=full"
            )
        return self


class InformerNetwork(ForecastModule):
    """Encoder over the context; decoder over its last frames and zeros for the horizon."""

    def __init__(self, config: InformerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        context, horizon, n_neurons, n_covariates = sizes
        self.label = min(config.label or max(context // 2, 1), context)
        library = _library_config(config, context, self.label + horizon, n_neurons + n_covariates)
        self.encoder = InformerEncoder(library)
        self.decoder = InformerDecoder(library)
        if config.attention == "full":
            _fuse_attention(self.encoder, self.decoder)
        self.to_neurons = near_zero(config.d_model, n_neurons * self.head.n_outputs)

    def core(self, inputs: Tensor, covariates: Tensor | None) -> Tensor:
        """A frame is one token: the vector of all neurons and covariates."""
        if covariates is not None:
            inputs = torch.cat([inputs, covariates], dim=2)
        horizon = self.sizes.horizon
        unknown = inputs.new_zeros(len(inputs), horizon, inputs.shape[2])
        hidden = self.encoder(inputs_embeds=inputs).last_hidden_state
        decoded = self.decoder(
            inputs_embeds=torch.cat([inputs[:, -self.label :], unknown], dim=1),
            encoder_hidden_states=hidden,
            use_cache=False,
        ).last_hidden_state
        return self.to_neurons(decoded[:, -horizon:]).unflatten(2, (self.sizes.n_neurons, -1))


class InformerForecaster(NetworkForecaster):
    """Encoder-decoder transformer over frames; each frame is the vector of all neurons."""

    name = "informer"
    uses_population = True
    Config = InformerConfig
    Module = InformerNetwork


def _fuse_attention(encoder: InformerEncoder, decoder: InformerDecoder) -> None:
    """Choose the fused kernel of torch, which the library does not offer for this model by name.

    It then leaves the causal mask of the decoder to the kernel, so its layers must ask for one.
    """
    for part in (encoder, decoder):
        part.config._attn_implementation = "sdpa"
    for layer in decoder.layers:
        layer.self_attn.is_causal = True


def _library_config(
    config: InformerConfig, context: int, decoder_length: int, n_features: int
) -> LibraryConfig:
    library = LibraryConfig(
        context_length=context,
        prediction_length=decoder_length,
        input_size=n_features,
        lags_sequence=[1],
        scaling=None,
        d_model=config.d_model,
        encoder_attention_heads=config.n_heads,
        decoder_attention_heads=config.n_heads,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        encoder_ffn_dim=config.ffn_dim,
        decoder_ffn_dim=config.ffn_dim,
        dropout=config.dropout,
        attention_dropout=0.0,  # the fused kernel of CPUs has none
        activation_dropout=config.dropout,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        attention_type=config.attention,
        distil=config.distil,
        use_cache=False,
    )
    library.feature_size = n_features  # the library adds its own time features, which we have not
    return library
