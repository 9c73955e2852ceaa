"""What one would build without mesotwin: the forecasters of the libraries, used as they come.

Each network has the size of our model of that name. A closed-form peer solves the explicit least
squares of a model that is already fitted, with the penalties that this one chose.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn
from transformers import (
    AutoformerConfig,
    AutoformerForPrediction,
    InformerConfig,
    InformerForPrediction,
    PatchTSTConfig,
    PatchTSTForPrediction,
)

from utils.models.forecasting.base import Forecaster
from utils.windows import WindowData


class GeneratingPeer(nn.Module):
    """Informer or Autoformer: trained with the true future in the decoder, forecasts by sampling.

    Everything that our models leave out is as the library has it: lags, scaling, LayerDrop, a
    distribution, its mean from 100 samples; the past lacks the frame that the lag needs, so the
    context is shorter by it.
    """

    windows_at_once = 2  # 100 samples of each are generated together

    def __init__(self, config_class: type, network_class: type, model: Forecaster) -> None:
        super().__init__()
        seen, config = model.fitted_on, model.config
        heads = getattr(config, "n_heads", 4)  # our Autoformer has none
        self.network = network_class(
            config_class(
                context_length=seen.context - 1,
                prediction_length=seen.horizon,
                input_size=seen.n_neurons,
                lags_sequence=[1],
                num_time_features=1,
                d_model=config.d_model,
                encoder_attention_heads=heads,
                decoder_attention_heads=heads,
                encoder_layers=config.encoder_layers,
                decoder_layers=config.decoder_layers,
                encoder_ffn_dim=config.ffn_dim,
                decoder_ffn_dim=config.ffn_dim,
            )
        )
        age = torch.arange(seen.context + seen.horizon)[None, :, None] / seen.context
        self.register_buffer("ages", age.log1p())

    def loss(self, past: Tensor, future: Tensor) -> Tensor:
        """Of the teacher-forced pass."""
        return self.network(**self._inputs(past), future_values=future).loss

    def forecast(self, past: Tensor) -> Tensor:
        """Mean of the samples."""
        return self.network.generate(**self._inputs(past)).sequences.mean(dim=1)

    def _inputs(self, past: Tensor) -> dict[str, Tensor]:
        ages = self.ages.expand(len(past), -1, -1)
        return {
            "past_values": past,
            "past_observed_mask": torch.ones_like(past),
            "past_time_features": ages[:, : past.shape[1]],
            "future_time_features": ages[:, past.shape[1] :],
        }


class PatchPeer(nn.Module):
    """PatchTST of transformers."""

    windows_at_once = None

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        seen, config = model.fitted_on, model.config
        self.network = PatchTSTForPrediction(
            PatchTSTConfig(
                num_input_channels=seen.n_neurons,
                context_length=seen.context,
                prediction_length=seen.horizon,
                patch_length=config.patch,
                patch_stride=config.stride,
                d_model=config.d_model,
                num_attention_heads=config.n_heads,
                num_hidden_layers=config.layers,
                ffn_dim=config.ffn_dim,
                attention_dropout=config.dropout,
                positional_dropout=config.dropout,
                ff_dropout=config.dropout,
                pooling_type=None,  # as in the paper, and here: a map from all patches
            )
        )

    def loss(self, past: Tensor, future: Tensor) -> Tensor:
        """Mean squared error."""
        return self.network(past_values=past, future_values=future).loss

    def forecast(self, past: Tensor) -> Tensor:
        """In one pass."""
        return self.network(past_values=past).prediction_outputs


class InvertedPeer(nn.Module):
    """A whole past is one token of torch's own encoder, attention written out (not fused)."""

    windows_at_once = None

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        seen, config = model.fitted_on, model.config
        layer = nn.TransformerEncoderLayer(
            config.d_model, config.n_heads, config.ffn_dim, config.dropout, batch_first=True
        )
        self.embed = nn.Linear(seen.context, config.d_model)
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.to_future = nn.Linear(config.d_model, seen.horizon)

    def loss(self, past: Tensor, future: Tensor) -> Tensor:
        """Mean squared error."""
        return nn.functional.mse_loss(self.forecast(past), future)

    def forecast(self, past: Tensor) -> Tensor:
        """In one pass, in units of the window."""
        level, scale = past.mean(1, keepdim=True), past.std(1, keepdim=True) + 1e-5
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            hidden = self.encoder(self.embed(((past - level) / scale).mT))
        return self.to_future(hidden).mT * scale + level


NETWORKS: dict[str, Callable[[Forecaster], nn.Module]] = {
    "informer": lambda model: GeneratingPeer(InformerConfig, InformerForPrediction, model),
    "autoformer": lambda model: GeneratingPeer(AutoformerConfig, AutoformerForPrediction, model),
    "patchtst": PatchPeer,
    "itransformer": InvertedPeer,
}


def solve_own_lags(model: Forecaster, data: WindowData, neurons: range) -> np.ndarray:
    """linear, ar16: one Ridge per neuron on its lags; (neuron, horizon, lag)."""
    past = _lags(data, data.activity[:, neurons], model.chosen.lags)
    future = _futures(data, neurons)
    weights = [
        Ridge(model.chosen.ridge * past[..., i].var(axis=0).mean() * len(past))
        .fit(past[..., i], future[..., i])
        .coef_
        for i in range(len(neurons))
    ]
    return np.stack(weights)


def solve_population(model: Forecaster, data: WindowData, neurons: range) -> np.ndarray:
    """population_ridge: one Ridge per neuron on its lags and those of the components.

    Two penalties are one where each input is divided by the root of its own; (neuron, horizon,
    own lag).
    """
    components = (data.activity - model.centre) @ model.components
    shared = _lags(data, components, model.shared.shape[2]).reshape(len(data.train), -1)
    shared /= np.sqrt(model.chosen.shared_ridge * shared.var(axis=0).mean())
    past = _lags(data, data.activity[:, neurons], model.own.shape[2])
    future = _futures(data, neurons)
    weights = []
    for i in range(len(neurons)):
        scale = np.sqrt(model.chosen.own_ridge * past[..., i].var(axis=0).mean())
        inputs = np.concatenate([past[..., i] / scale, shared], axis=1)
        coefficients = Ridge(len(past)).fit(inputs, future[..., i]).coef_
        weights.append(coefficients[:, : past.shape[1]] / scale)
    return np.stack(weights)


def solve_all_lags(model: Forecaster, data: WindowData, neurons: range) -> np.ndarray:
    """var: one Ridge from the lags of all neurons; (neuron, horizon, lag, neuron)."""
    everyone = (data.activity - model.centre) * model.scale
    past, future = _lags(data, everyone, model.chosen.lags), _futures(data, neurons)
    inputs = past.reshape(len(past), -1)
    penalty = model.chosen.ridge * inputs.var(axis=0).mean() * len(inputs)
    coefficients = Ridge(penalty).fit(inputs, future.reshape(len(inputs), -1)).coef_
    return coefficients.reshape(data.horizon, len(neurons), *past.shape[1:]).swapaxes(0, 1)


# How, the attribute with our weights, and whether the time grows with the number of neurons.
CLOSED_FORMS: dict[str, tuple[Callable, str, bool]] = {
    "linear": (solve_own_lags, "weight", True),
    "ar16": (solve_own_lags, "weight", True),
    "population_ridge": (solve_population, "own", True),
    "var": (solve_all_lags, "weight", False),
}


def _lags(data: WindowData, series: Tensor, n_lags: int) -> np.ndarray:
    """The last frames before the future of all training windows, (window, lag, channel) float64."""
    frames = data.train.starts[:, None] + torch.arange(data.context - n_lags, data.context)
    return series.double()[frames].numpy()


def _futures(data: WindowData, neurons: range) -> np.ndarray:
    """(window, horizon, neuron) float64."""
    frames = data.train.starts[:, None] + torch.arange(data.context, data.context + data.horizon)
    return data.activity[:, neurons].double()[frames].numpy()
