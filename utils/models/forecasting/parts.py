"""Parts that trained forecasters share: scaling from the training block, and the skip forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from utils.models.forecasting.base import fill_missing, last_observed, observed_mean
from utils.models.forecasting.linear import LinearForecaster

if TYPE_CHECKING:
    from utils.windows import WindowData

SkipKind = Literal["none", "last", "mean", "linear"]

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
    """The simple forecast that a network corrects: train mean, last value, mean or linear."""

    def __init__(self, kind: SkipKind, context: int, horizon: int, n_neurons: int) -> None:
        super().__init__()
        self.kind = kind
        self.horizon = horizon
        self.register_buffer("level", torch.zeros(n_neurons))
        if kind == "linear":
            self.register_buffer("weight", torch.zeros(n_neurons, horizon, context))
            self.register_buffer("bias", torch.zeros(n_neurons, horizon))

    def prepare(self, data: WindowData, level: Tensor) -> None:
        """Fit the linear forecast in closed form; ``level`` is the train mean."""
        self.level.copy_(level)
        if self.kind == "linear":
            linear = LinearForecaster(lags=[16, data.context]).fit(data)
            self.weight[:, :, -linear.weight.shape[2] :] = linear.weight
            self.bias.copy_(linear.bias)

    def forward(self, past: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, context, neuron) -> (batch, horizon, neuron)."""
        if self.kind == "linear":
            filled = fill_missing(past, mask)
            return torch.einsum("bln,nhl->bhn", filled, self.weight) + self.bias.T
        if self.kind == "none":
            return self.level.expand(len(past), self.horizon, -1)
        flat = last_observed(past, mask) if self.kind == "last" else observed_mean(past, mask)
        return flat.expand(-1, self.horizon, -1)


def channel_moments(values: Tensor, segments: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and deviation of (time, channel) over ``segments``; missing entries do not count."""
    rows = torch.cat([values[start:stop] for start, stop in segments.tolist()]).double()
    count = rows.isfinite().sum(dim=0).clamp(min=1)
    mean = rows.nan_to_num(0.0).sum(dim=0) / count
    squares = (rows - mean).nan_to_num(0.0).square().sum(dim=0)
    return mean, (squares / count).sqrt()
