"""Population network: one small forecaster for all neurons, modulated by the population.

Population conditioning follows the idea of POCO (Duan et al. 2025, arXiv 2506.14957). A neuron's
own context passes through one layer that all neurons share; the population scales and shifts its
hidden units (FiLM, Perez et al. 2018). Each neuron has an embedding: how it writes to a few
latents, and how it reads from them. It depends on the neuron alone, not on the window, so that the
attention of latents to neurons is one product with a (neuron, latent) matrix and cost grows in
proportion to the number of neurons.

Embeddings start at the slow components of the session, which a small learnt matrix turns into the
space of the latents. Free embeddings, learnt by gradient, memorise the noise of a recording. One
session learns ``2 latents^2 + features`` numbers of its own; all else is the core, which can be
shared by sessions with different neurons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from utils.models.forecasting.blocks import Dropout
from utils.models.forecasting.network import ForecastModule, NetworkConfig, NetworkTrainer, Sizes
from utils.models.forecasting.parts import SkipKind
from utils.models.forecasting.sessions import SessionsForecaster
from utils.models.forecasting.simple import train_moments
from utils.models.forecasting.slow_components import slow_components

if TYPE_CHECKING:
    from utils.windows import WindowData


class PopulationTrainer(NetworkTrainer):
    """Trained faster and longer than the others: few weights, which cannot overfit much."""

    max_epochs: int = Field(20, ge=1)
    patience: int = Field(5, ge=1)
    learning_rate: float = Field(1e-2, gt=0)
    weight_decay: float = Field(1e-2, ge=0)


class PopulationNetworkConfig(NetworkConfig):
    """Size of the population encoder and of the forecaster of a neuron."""

    trainer: PopulationTrainer = PopulationTrainer()
    skip: SkipKind = "none"
    latents: int = Field(8, ge=1, description="what is kept of the population")
    memories: int = Field(8, ge=1, description="exponential averages over the context of a latent")
    hidden: int = Field(16, ge=1, description="hidden units of a neuron's forecaster")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the population's features")


class PopulationCore(nn.Module):
    """What all sessions share: from the latents to the modulation, and the forecaster."""

    def __init__(self, config: PopulationNetworkConfig, sizes: Sizes, n_outputs: int) -> None:
        super().__init__()
        context, horizon, _, n_covariates = sizes
        self.n_features = (config.latents + n_covariates) * config.memories
        self.n_latents, self.shape = config.latents, (horizon, n_outputs)
        n_modulations = config.latents * 2 * config.hidden
        self.register_buffer("memory", exponential_averages(context, config.memories))
        self.dropout = Dropout(config.dropout)
        self.encoder = nn.Linear(self.n_features, n_modulations)
        self.own = nn.Linear(context, config.hidden)
        self.out = nn.Linear(config.hidden, horizon * n_outputs)
        nn.init.zeros_(self.out.weight)  # training starts at the skip forecast
        nn.init.zeros_(self.out.bias)

    def forward(self, past: Tensor, series: Tensor, session: Tensor, reads: Tensor) -> Tensor:
        """Own contexts and shared series to the outputs of all neurons.

        (batch, context, neuron), (batch, context, latent and covariate), (feature,),
        (neuron, latent) -> (batch, horizon, neuron, output)
        """
        features = torch.einsum("bls,lm->bsm", series, self.memory).flatten(1)
        modulation = self.encoder(self.dropout(features + session))
        modulation = modulation.unflatten(1, (self.n_latents, -1))  # (batch, latent, 2 hidden)
        scale, shift = (reads @ modulation).chunk(2, dim=-1)  # (batch, neuron, hidden)
        hidden = self.own(past.mT) * (1 + scale) + shift
        return self.out(hidden).unflatten(2, self.shape).transpose(1, 2)


class PopulationModule(ForecastModule):
    """The core with what belongs to one session: its neurons and how they meet the latents."""

    def __init__(self, config: PopulationNetworkConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        shape = sizes.n_neurons, config.latents
        self.shared = PopulationCore(config, sizes, self.head.n_outputs)
        self.register_buffer("writes", torch.zeros(shape))
        self.register_buffer("reads", torch.zeros(shape))
        self.turn_in = nn.Parameter(torch.eye(config.latents))
        self.turn_out = nn.Parameter(torch.eye(config.latents))
        self.session = nn.Parameter(torch.zeros(self.shared.n_features))

    def prepare(self, data: WindowData) -> None:
        """Statistics, the skip, and embeddings from the slow components of the training block."""
        super().prepare(data)
        mean, deviation = train_moments(data)
        writes, reads = slow_components(data, mean, deviation, self.config.latents)
        unit = self.neurons.deviation[:, None] / deviation[:, None].clamp(min=1e-12)
        self.writes.copy_(writes * unit)  # inputs are in units of the standardiser
        self.reads.copy_(reads / unit)

    @property
    def embeddings(self) -> Tensor:
        """How each neuron writes to the latents and reads from them, (neuron, 2 latent)."""
        return torch.cat([self.writes @ self.turn_in, self.reads @ self.turn_out], dim=1)

    def core(self, inputs: Tensor, covariates: Tensor | None) -> Tensor:
        """Behaviour stands beside the latents of the population."""
        writes, reads = self.embeddings.chunk(2, dim=1)
        series = inputs @ writes  # (batch, context, latent)
        if covariates is not None:
            series = torch.cat([series, covariates], dim=2)
        return self.shared(inputs, series, self.session, reads)


class PopulationNetwork(SessionsForecaster):
    """Forecasts each neuron from itself and the population; trains on one session or several."""

    name = "population_network"
    Config = PopulationNetworkConfig
    Module = PopulationModule
    uses_population = True


def exponential_averages(context: int, n: int) -> Tensor:
    """Weights (context, n) of the last frame and of averages with longer and longer memory."""
    age = torch.arange(context).flip(0)[:, None]
    memory = torch.as_tensor(np.geomspace(1.0, max(context / 2, 1.0), n))
    weights = torch.exp(-age / memory)
    weights[:, 0] = (age == 0)[:, 0]
    return (weights / weights.sum(dim=0)).float()
