"""Parts that trained forecasters share: scaling from the training block, and the skip forecast."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from utils.models.forecasting.base import Forecaster, last_observed, observed_mean
from utils.models.forecasting.linear import LinearForecaster
from utils.models.forecasting.population import PopulationRidge

if TYPE_CHECKING:
    from utils.windows import WindowData

SkipKind = Literal["none", "last", "mean", "linear", "population"]

SMALLEST_DEVIATION = 0.1  # of the typical one: a silent neuron must not be blown up


class Standardiser(nn.Module):
    """Mean and deviation of each channel over the training block, as buffers."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("deviation", torch.ones(n_channels))
        self.register_buffer("typical", torch.ones(()))

    def prepare(self, mean: Tensor, deviation: Tensor) -> None:
        """Take the statistics; deviations are floored at a tenth of the typical one."""
        typical = deviation.square().mean().sqrt().clamp(min=1e-6)
        self.mean.copy_(mean)
        self.typical.copy_(typical)
        self.deviation.copy_(deviation.clamp(min=float(SMALLEST_DEVIATION * typical)))

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Standardised values; missing ones are at the mean."""
        scaled = (values - self.mean) / self.deviation
        return scaled if mask is None else scaled * mask


class Skip(nn.Module):
    """The simple forecast that a network corrects.

    ``none`` is zero, ``last`` and ``mean`` keep the last value or the mean of the context;
    ``linear`` and ``population`` are fitted in closed form (per-neuron linear map, population
    ridge) and frozen: their arrays are buffers, so they are saved and moved with the network.
    """

    def __init__(self, kind: SkipKind, context: int, horizon: int) -> None:
        super().__init__()
        self.kind, self.horizon = kind, horizon
        self.model = _fitted_skip(kind, context)

    def prepare(self, data: WindowData) -> None:
        """Fit on the training block."""
        if self.model is not None:
            self._keep(self.model.fit(data)._arrays())

    def forward(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        """(batch, context, neuron) -> (batch, horizon, neuron)."""
        if self.model is not None:
            return self.model._forecast(past, mask, covariates)
        if self.kind == "none":
            return past.new_zeros(len(past), self.horizon, past.shape[2])
        flat = last_observed(past, mask) if self.kind == "last" else observed_mean(past, mask)
        return flat.expand(-1, self.horizon, -1)

    def _keep(self, arrays: dict[str, Tensor]) -> None:
        for name, values in arrays.items():
            self.register_buffer(name, values)
        self.model._restore(dict(self.named_buffers()))

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> Skip:
        super()._apply(function, recurse)
        if len(list(self.buffers())):  # the closed-form model computes where the network does
            self.model._restore(dict(self.named_buffers()))
        return self

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        names = [name for name in state if name.startswith(prefix)]
        if names:  # how many lags and components there are was chosen when fitting
            self._keep({name.removeprefix(prefix): state[name] for name in names})
        super()._load_from_state_dict(state, prefix, *rest)


def _fitted_skip(kind: SkipKind, context: int) -> Forecaster | None:
    if kind == "linear":
        return LinearForecaster(lags=[16, context])
    return PopulationRidge() if kind == "population" else None
