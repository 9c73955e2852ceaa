"""The Informer (Zhou et al. 2021) from the library ``transformers``, used so that it is honest.

Three pitfalls of the library are avoided here. Its training pass is teacher-forced (the decoder
sees the future shifted by one), so scoring that pass is a leak: we give the decoder zeros for the
horizon and take all frames in one pass. Its ProbSparse attention is random in evaluation and
leaks in teacher-forced passes: full attention is the default. Its mean scaler divides a silent
neuron by 1e-10, and LayerDrop is on by default: both are off.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.distributions import StudentT
from transformers import InformerConfig as LibraryConfig
from transformers.models.informer.modeling_informer import InformerDecoder, InformerEncoder

from utils.models.forecasting.losses import (
    event_weights,
    scale_penalty,
    student_t_loss,
    weighted_mean,
)
from utils.models.forecasting.network import NetworkConfig, NetworkForecaster
from utils.models.forecasting.parts import Skip, SkipKind, Standardiser, channel_moments
from utils.models.forecasting.simple import train_moments

if TYPE_CHECKING:
    from utils.windows import WindowData

log = logging.getLogger(__name__)


class InformerConfig(NetworkConfig):
    """Size, inputs, head and loss of the Informer."""

    d_model: int = Field(64, ge=4)
    n_heads: int = Field(4, ge=1)
    encoder_layers: int = Field(2, ge=1)
    decoder_layers: int = Field(1, ge=1)
    ffn_dim: int = Field(128, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    attention: Literal["full", "prob"] = "full"
    distil: bool = Field(False, description="halve the sequence after each encoder layer")
    label: int | None = Field(
        None, ge=1, description="last context frames given to the decoder; None: half the context"
    )
    covariates: bool = Field(
        False, description="past behaviour and stimulus as further inputs, where the data hold them"
    )
    skip: SkipKind = Field("linear", description="the simple forecast that the network corrects")
    head: Literal["point", "student_t"] = "point"
    event_weight: float = Field(1.0, ge=1, description="weight of entries that are events")
    event_deviations: float = Field(2.0, description="an event exceeds the mean by so many sd")
    scale_penalty: float = Field(1.0, ge=0, description="holds the Student-t scale in bounds")

    @model_validator(mode="after")
    def _consistent(self) -> InformerConfig:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} must be a multiple of n_heads {self.n_heads}")
        if self.attention == "prob":
            log.warning(
                "attention=prob (ProbSparse) samples keys at random, also in evaluation, and is "
                "slower than full attention at these lengths; use attention=full"
            )
        return self


@dataclass
class Forecast:
    """What the network says of a window, on the scale of the data; (batch, horizon, neuron)."""

    location: Tensor
    log_scale: Tensor | None = None  # Student-t, in units of the neuron's deviation
    freedom: Tensor | None = None


class InformerForecaster(NetworkForecaster):
    """Encoder-decoder transformer over frames; each frame is the vector of all neurons."""

    name = "informer"
    Config = InformerConfig

    def predict_distribution(self, past: Tensor) -> StudentT:
        """Student-t distribution of each future entry; needs ``head="student_t"``."""
        if self.config.head != "student_t":
            raise ValueError("this Informer has a point head; fit one with head='student_t'")
        self._check_shape(past)
        mask = past.isfinite()
        with torch.no_grad():
            output = self.network(past.nan_to_num(0.0), mask, None)
        scale = output.log_scale.exp() * self.network.neurons.deviation
        return StudentT(output.freedom, output.location, scale)

    def _build(self) -> nn.Module:
        seen = self._fitted()
        n_covariates = len(seen.covariate_names) if self.config.covariates else 0
        return InformerNetwork(
            self.config, seen.context, seen.horizon, seen.n_neurons, n_covariates
        )

    def _prepare(self, data: WindowData) -> None:
        network: InformerNetwork = self.network
        mean, deviation = train_moments(data)
        network.neurons.prepare(mean, deviation)
        network.skip.prepare(data, mean)
        if network.behaviour is not None:
            network.behaviour.prepare(*channel_moments(data.covariates, data.train.segments))


class InformerNetwork(nn.Module):
    """(batch, context, neuron) -> :class:`Forecast`, in one pass that never sees the future."""

    def __init__(
        self, config: InformerConfig, context: int, horizon: int, n_neurons: int, n_covariates: int
    ) -> None:
        super().__init__()
        self.config = config
        self.horizon = horizon
        self.label = min(config.label or max(context // 2, 1), context)
        self.neurons = Standardiser(n_neurons)
        self.n_covariates = n_covariates
        self.behaviour = Standardiser(n_covariates) if n_covariates else None
        self.skip = Skip(config.skip, context, horizon, n_neurons)
        library = _library_config(config, context, self.label + horizon, n_neurons + n_covariates)
        self.encoder = InformerEncoder(library)
        self.decoder = InformerDecoder(library)
        n_outputs = n_neurons * (3 if config.head == "student_t" else 1)
        self.head = nn.Linear(config.d_model, n_outputs)
        nn.init.normal_(self.head.weight, std=0.01)  # training starts at the skip forecast
        nn.init.zeros_(self.head.bias)

    def forward(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Forecast:
        """Forecast the horizon of each window."""
        inputs = self.neurons(past, mask)
        if self.behaviour is not None:
            if covariates is None:
                raise ValueError("this Informer was fitted with covariates: give them to predict")
            if covariates.shape[2] != self.n_covariates:
                raise ValueError(
                    f"this Informer was fitted with {self.n_covariates} covariates, found "
                    f"{covariates.shape[2]}"
                )
            inputs = torch.cat([inputs, self.behaviour(covariates).nan_to_num(0.0)], dim=2)
        unknown = inputs.new_zeros(len(past), self.horizon, inputs.shape[2])
        hidden = self.encoder(inputs_embeds=inputs).last_hidden_state
        decoded = self.decoder(
            inputs_embeds=torch.cat([inputs[:, -self.label :], unknown], dim=1),
            encoder_hidden_states=hidden,
            use_cache=False,
        ).last_hidden_state
        outputs = self.head(decoded[:, -self.horizon :]).float()
        base = self.skip(past, mask)
        if self.config.head == "point":
            return Forecast(base + outputs * self.neurons.deviation)
        shift, log_scale, freedom = outputs.chunk(3, dim=2)
        freedom = 2 + nn.functional.softplus(freedom + 1)  # finite variance
        return Forecast(base + shift * self.neurons.deviation, log_scale, freedom)

    def point(self, output: Forecast) -> Tensor:
        """The expected value."""
        return output.location

    def loss(self, output: Forecast, future: Tensor, mask: Tensor | None) -> Tensor:
        """Weighted squared error (in units of the typical deviation) or Student-t likelihood."""
        scale = self.neurons
        threshold = scale.mean + self.config.event_deviations * scale.deviation
        weights = event_weights(future, threshold, self.config.event_weight)
        if self.config.head == "point":
            errors = ((output.location - future) / scale.typical).square()
            return weighted_mean(errors, weights, mask)
        losses = student_t_loss(
            scale(output.location), output.log_scale, output.freedom, scale(future)
        )
        penalty = self.config.scale_penalty * scale_penalty(output.log_scale).mean()
        return weighted_mean(losses, weights, mask) + penalty


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
        attention_dropout=config.dropout,
        activation_dropout=config.dropout,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        attention_type=config.attention,
        distil=config.distil,
        use_cache=False,
    )
    library.feature_size = n_features  # the library adds its own time features, which we have not
    return library
