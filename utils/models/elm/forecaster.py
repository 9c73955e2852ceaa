"""ELM as a population forecaster: one ELM neuron watches the session, all cells read its memory.

The synaptic weights of an ELM neuron are not negative: they were made for spikes, whose sign says
whether they excite or inhibit. Activity about its mean has no such sign; less than usual tells as
much as more. So a signed projection stands in front of the synapses. It has two steps, for the
reason that :mod:`utils.models.forecasting.population_network` gives: a free weight per cell and
branch learns the noise of a recording by heart (on validation it did worse than no network). Fixed
weights turn the cells into the slow components of the session, a small learnt matrix turns those,
and behaviour, into the inputs of the branches. The way back to the cells is the same: the memory
after the last frame says what becomes of the components, and each cell follows them as it did in
the training block.

What a cell's own past tells, and what a linear map of the population tells, is left to the
forecast that is corrected (``skip``). Time constants are fixed: a frame for the branches, and from
a frame to the whole context for the memory. Learning them gained nothing on validation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from utils.models.elm.neuron import ELMv2
from utils.models.forecasting.network import (
    ForecastModule,
    NetworkConfig,
    NetworkForecaster,
    NetworkTrainer,
    Sizes,
)
from utils.models.forecasting.parts import SkipKind
from utils.models.forecasting.simple import train_moments
from utils.models.forecasting.slow_components import slow_components

if TYPE_CHECKING:
    from utils.windows import WindowData

SHORTEST_TAU = 1.0  # frames; also that of the branches


class ELMTrainer(NetworkTrainer):
    """Trained faster than the others: few weights, held back by a strong decay."""

    learning_rate: float = Field(1e-2, gt=0)
    weight_decay: float = Field(0.3, ge=0)


class ELMConfig(NetworkConfig):
    """Size of the neuron and of what it sees of the population."""

    trainer: ELMTrainer = ELMTrainer()
    skip: SkipKind = "population"
    latents: int = Field(8, ge=1, description="slow components that are seen and forecast")
    branches: int = Field(16, ge=1, description="mixtures of components and behaviour")
    memory: int = Field(32, ge=1, description="memory units, time constants 1 frame to context")


class ELMModule(ForecastModule):
    """Components and behaviour to branches, an ELM neuron over the context, memory to cells."""

    def __init__(self, config: ELMConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        n_series = config.latents + sizes.n_covariates
        self.register_buffer("writes", torch.zeros(sizes.n_neurons, config.latents))
        self.register_buffer("reads", torch.zeros(sizes.n_neurons, config.latents))
        self.turn = nn.Parameter(torch.eye(config.latents))
        self.projection = nn.Linear(n_series, config.branches, bias=False)
        self.neuron = ELMv2(
            num_input=config.branches,
            num_output=sizes.horizon * self.head.n_outputs * config.latents,
            num_memory=config.memory,
            mlp_activation="silu",
            tau_b_value=SHORTEST_TAU,
            memory_tau_min=SHORTEST_TAU,
            memory_tau_max=float(sizes.context),
            w_s_value=1.0,
        )
        nn.init.normal_(self.projection.weight, std=n_series**-0.5)  # components have variance 1
        nn.init.zeros_(self.neuron.w_y.weight)  # training starts at the forecast that is corrected
        nn.init.zeros_(self.neuron.w_y.bias)

    def prepare(self, data: WindowData) -> None:
        """Statistics, the skip, and the slow components of the training block."""
        super().prepare(data)
        mean, deviation = train_moments(data)
        writes, reads = slow_components(data, mean, deviation, self.config.latents)
        unit = self.neurons.deviation[:, None] / deviation[:, None].clamp(min=1e-12)
        self.writes.copy_(writes * unit)  # inputs are in units of the standardiser
        self.reads.copy_(reads / unit)

    def core(self, inputs: Tensor, covariates: Tensor | None) -> Tensor:
        """Behaviour stands beside the components."""
        series = inputs @ self.writes  # (batch, context, latent)
        if covariates is not None:
            series = torch.cat([series, covariates], dim=2)
        last = self.neuron(self.projection(series))[:, -1]
        shape = self.sizes.horizon, self.head.n_outputs, self.config.latents
        futures = last.unflatten(1, shape)  # of the components
        return (futures @ (self.reads @ self.turn).T).transpose(2, 3)


class ELMForecaster(NetworkForecaster):
    """An ELM neuron over the population as a correction of the population ridge."""

    name = "elm"
    uses_population = True
    Config = ELMConfig
    Module = ELMModule
