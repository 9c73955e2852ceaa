"""The Autoformer (Wu et al. 2021) from the library ``transformers``, with its own mechanism mended.

The series is decomposed in every layer into a moving average, which is summed up as the trend, and
a seasonal rest. Instead of attending to single frames, the seasonal part is averaged over copies of
itself that are shifted by the delays at which it correlates with itself most.

Two things differ from the library. Its autocorrelation confuses windows of a batch (delays and
weights of one window are applied to another), shortens the queries of a decoder that is longer
than the context, and chooses delays for the whole batch in training: ours treats each window by
itself, always. And no future value is given: the decoder sees the seasonal part of the last frames
and zeros for the horizon, in one pass. The mean of the context, with which the trend starts in the
paper, is the skip forecast (``skip="mean"``).
"""

from __future__ import annotations

import math

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.fft import irfft, rfft
from transformers import AutoformerConfig as LibraryConfig
from transformers.models.autoformer.modeling_autoformer import (
    AutoformerDecoder,
    AutoformerEncoder,
    AutoformerSeriesDecompositionLayer,
)

from utils.models.forecasting.blocks import near_zero
from utils.models.forecasting.network import (
    ForecastModule,
    NetworkConfig,
    NetworkForecaster,
    Sizes,
)
from utils.models.forecasting.parts import SkipKind


class AutoformerConfig(NetworkConfig):
    """Size and inputs of the Autoformer."""

    d_model: int = Field(64, ge=4, multiple_of=2)
    encoder_layers: int = Field(2, ge=1)
    decoder_layers: int = Field(1, ge=1)
    ffn_dim: int = Field(128, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    moving_average: int = Field(25, ge=1, description="frames of the average that is the trend")
    factor: float = Field(
        3.0, gt=0, description="delays are chosen: factor * log(frames); the paper takes 1 to 3"
    )
    label: int | None = Field(
        None, ge=1, description="last context frames given to the decoder; None: half the context"
    )
    skip: SkipKind = Field("mean", description="the simple forecast at which the trend starts")

    @field_validator("moving_average")
    @classmethod
    def _centred(cls, frames: int) -> int:
        if frames % 2 == 0:
            raise ValueError(f"must be odd, so that the average has a centre, found {frames}")
        return frames


class AutoformerNetwork(ForecastModule):
    """Encoder over the context; decoder over its last seasonal frames and zeros."""

    def __init__(self, config: AutoformerConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        context = sizes.context
        self.label = min(config.label or max(context // 2, 1), context)
        library = _library_config(config, sizes, self.label)
        self.decompose = AutoformerSeriesDecompositionLayer(library)
        self.encoder = AutoformerEncoder(library)
        self.decoder = AutoformerDecoder(library)
        self.n_outputs = sizes.n_neurons * self.head.n_outputs
        _mend(self.encoder, self.decoder, config, self.n_outputs)

    def core(self, inputs: Tensor, covariates: Tensor | None) -> Tensor:
        """A frame is one token: the vector of all neurons and covariates."""
        if covariates is not None:
            inputs = torch.cat([inputs, covariates], dim=2)
        horizon = self.sizes.horizon
        seasonal, _ = self.decompose(inputs)
        known = seasonal[:, -self.label :]
        unknown = inputs.new_zeros(len(inputs), horizon, inputs.shape[2])
        decoded = self.decoder(
            trend=inputs.new_zeros(len(inputs), self.label + horizon, self.n_outputs),
            inputs_embeds=torch.cat([known, unknown], dim=1),
            encoder_hidden_states=self.encoder(inputs_embeds=inputs).last_hidden_state,
            use_cache=False,
        )
        outputs = decoded.last_hidden_state + decoded.trend  # seasonal part + summed trends
        return outputs[:, -horizon:].unflatten(2, (self.sizes.n_neurons, -1))


class AutoformerForecaster(NetworkForecaster):
    """Transformer over frames that correlates and decomposes instead of attending."""

    name = "autoformer"
    uses_population = True
    Config = AutoformerConfig
    Module = AutoformerNetwork


class AutoCorrelation(nn.Module):
    """Mixes copies of a sequence, each shifted by a delay at which it resembles the queries.

    Correlation and mixing are circular and computed by Fourier transform; for each window the
    ``factor * log(length)`` delays with the largest correlation (the mean over features) count,
    weighted by the softmax of the correlation. A source longer than the queries gives its last
    frames, a shorter one is padded with zeros. Queries and keys have no bias, which would add the
    same to all delays.
    """

    def __init__(self, d_model: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model, bias=False)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(
        self, hidden_states: Tensor, key_value_states: Tensor | None = None, **_: object
    ) -> tuple[Tensor, None]:
        """(batch, frame, feature), as the layers of the library call it."""
        n = hidden_states.shape[1]
        source = hidden_states if key_value_states is None else key_value_states[:, -n:]
        query, key, value = (
            rfft(part.float(), n=n, dim=1)  # (batch, frequency, feature)
            for part in (self.query(hidden_states), self.key(source), self.value(source))
        )
        correlation = irfft((query * key.conj()).mean(dim=2), n=n)  # (batch, delay)
        n_delays = min(max(int(self.factor * math.log(n)), 1), n)
        best, delays = correlation.topk(n_delays)
        weights = torch.zeros_like(correlation).scatter(1, delays, best.softmax(dim=1))
        mixed = irfft(value * rfft(weights, n=n).conj()[:, :, None], n=n, dim=1)
        return self.out(mixed), None


def _mend(
    encoder: AutoformerEncoder, decoder: AutoformerDecoder, config: AutoformerConfig, n_outputs: int
) -> None:
    """Give the layers our autocorrelation and outputs; drop the biases that cannot matter.

    A decomposition or a removed mean follows these biases and cancels what is constant in time.
    """
    size = config.d_model
    for layer in encoder.layers:
        layer.self_attn = AutoCorrelation(size, config.factor)
        layer.self_attn_layer_norm.bias = None
        layer.fc2.bias = None
        layer.final_layer_norm.layernorm.bias = None
    for layer in decoder.layers:
        layer.self_attn = AutoCorrelation(size, config.factor)
        layer.encoder_attn = AutoCorrelation(size, config.factor)
        layer.final_layer_norm.layernorm.bias = None
        layer.trend_projection = nn.Conv1d(
            size, n_outputs, 3, padding=1, padding_mode="circular", bias=False
        )
        nn.init.normal_(layer.trend_projection.weight, std=0.01)
    decoder.seasonality_projection = near_zero(size, n_outputs)


def _library_config(config: AutoformerConfig, sizes: Sizes, label: int) -> LibraryConfig:
    library = LibraryConfig(
        context_length=sizes.context,
        prediction_length=label + sizes.horizon,  # the library counts what the decoder sees
        label_length=label,
        d_model=config.d_model,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        encoder_ffn_dim=config.ffn_dim,
        decoder_ffn_dim=config.ffn_dim,
        dropout=config.dropout,
        activation_dropout=config.dropout,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        moving_average=config.moving_average,
        use_cache=False,
    )
    library.feature_size = sizes.n_neurons + sizes.n_covariates  # no features of time
    return library
