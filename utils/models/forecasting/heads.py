"""What a network says of each future entry: a number, a distribution or quantiles.

A head turns the outputs of a network, in units of a scale about a base forecast, into a loss for
each entry, an expected value and quantiles. ``n_outputs`` numbers belong to each entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor, nn
from torch.distributions import Normal, StudentT

from utils.models.forecasting.losses import scale_penalty

HeadKind = Literal["point", "gaussian", "student_t", "quantile"]
PointLoss = Literal["squared", "absolute", "huber"]

N_QUANTILES = 20
_LEVELS = (torch.arange(N_QUANTILES) + 0.5) / N_QUANTILES  # their mean is the expected value
_START = Normal(0.0, 1.0).icdf(_LEVELS)  # an untrained network says a normal distribution
_FREEDOMS = np.geomspace(2.0, 1e4, 400)  # table of Student-t quantiles


@dataclass
class Forecast:
    """What the network says of a batch of windows, on the scale of the data."""

    base: Tensor  # (batch, horizon, neuron): the simple forecast that the network corrects
    scale: Tensor  # broadcasts to base: units of the outputs
    outputs: Tensor  # (batch, horizon, neuron, output)

    @property
    def location(self) -> Tensor:
        """Base corrected by the first output: (batch, horizon, neuron)."""
        return self.base + self.outputs[..., 0] * self.scale

    def standardised(self, future: Tensor) -> Tensor:
        """The future in the units of the outputs."""
        return (future - self.base) / self.scale


class PointHead(nn.Module):
    """One number: the expected value (squared loss) or about the median (absolute, huber)."""

    n_outputs = 1

    def __init__(self, loss: PointLoss = "squared") -> None:
        super().__init__()
        self.loss = loss

    def losses(self, forecast: Forecast, future: Tensor, unit: Tensor) -> Tensor:
        """Loss of each entry; ``unit`` is the typical deviation of the recording."""
        errors = (forecast.location - future) / unit
        if self.loss == "squared":
            return errors.square()
        if self.loss == "absolute":
            return errors.abs()
        return nn.functional.huber_loss(errors, torch.zeros_like(errors), reduction="none")

    def penalty(self, forecast: Forecast) -> Tensor:
        """Nothing to hold in bounds."""
        return forecast.outputs.new_zeros(())

    def point(self, forecast: Forecast) -> Tensor:
        """The forecast itself."""
        return forecast.location


class GaussianHead(nn.Module):
    """Mean and log deviation."""

    n_outputs = 2

    def losses(self, forecast: Forecast, future: Tensor, unit: Tensor) -> Tensor:
        """Negative log likelihood of each entry, in the units of the outputs."""
        return -self._distribution(forecast).log_prob(forecast.standardised(future))

    def penalty(self, forecast: Forecast) -> Tensor:
        """Holds the deviation in bounds."""
        return scale_penalty(forecast.outputs[..., 1]).mean()

    def point(self, forecast: Forecast) -> Tensor:
        """The mean."""
        return forecast.location

    def quantiles(self, forecast: Forecast, levels: Sequence[float]) -> Tensor:
        """(batch, horizon, neuron, level)."""
        wanted = forecast.outputs.new_tensor(levels)
        z = Normal(0.0, 1.0).icdf(wanted) * forecast.outputs[..., 1:2].exp()
        return forecast.location[..., None] + z * forecast.scale[..., None]

    def _distribution(self, forecast: Forecast) -> Normal:
        location, log_scale = forecast.outputs.unbind(-1)
        return Normal(location, log_scale.exp(), validate_args=False)


class StudentTHead(nn.Module):
    """Location, log scale and degrees of freedom: tails for rare large transients."""

    n_outputs = 3

    def losses(self, forecast: Forecast, future: Tensor, unit: Tensor) -> Tensor:
        """Negative log likelihood of each entry, in the units of the outputs."""
        location, log_scale, freedom = self._read(forecast)
        distribution = StudentT(freedom, location, log_scale.exp(), validate_args=False)
        return -distribution.log_prob(forecast.standardised(future))

    def penalty(self, forecast: Forecast) -> Tensor:
        """Holds the scale in bounds."""
        return scale_penalty(forecast.outputs[..., 1]).mean()

    def point(self, forecast: Forecast) -> Tensor:
        """The mean."""
        return forecast.location

    def quantiles(self, forecast: Forecast, levels: Sequence[float]) -> Tensor:
        """(batch, horizon, neuron, level)."""
        _, log_scale, freedom = self._read(forecast)
        place = freedom.log().cpu().numpy()
        tables = [np.interp(place, np.log(_FREEDOMS), stdtrit(_FREEDOMS, p)) for p in levels]
        z = torch.from_numpy(np.stack(tables, axis=-1)).to(log_scale)
        return forecast.location[..., None] + z * (log_scale.exp() * forecast.scale)[..., None]

    def _read(self, forecast: Forecast) -> tuple[Tensor, Tensor, Tensor]:
        location, log_scale, freedom = forecast.outputs.unbind(-1)
        return location, log_scale, 2 + nn.functional.softplus(freedom + 1)  # finite variance


class QuantileHead(nn.Module):
    """Evenly spaced quantiles (0.025, 0.075 .. 0.975), trained with the pinball loss."""

    n_outputs = N_QUANTILES

    def losses(self, forecast: Forecast, future: Tensor, unit: Tensor) -> Tensor:
        """Mean pinball loss over the levels, of each entry."""
        errors = forecast.standardised(future)[..., None] - self._read(forecast)
        levels = _LEVELS.to(errors)
        return torch.maximum(levels * errors, (levels - 1) * errors).mean(dim=-1)

    def penalty(self, forecast: Forecast) -> Tensor:
        """Nothing to hold in bounds."""
        return forecast.outputs.new_zeros(())

    def point(self, forecast: Forecast) -> Tensor:
        """The mean of the quantiles, which is about the expected value."""
        return forecast.base + forecast.outputs.mean(dim=-1) * forecast.scale

    def quantiles(self, forecast: Forecast, levels: Sequence[float]) -> Tensor:
        """(batch, horizon, neuron, level): between the trained levels linear, beyond constant."""
        ordered = self._read(forecast).sort(dim=-1).values
        place = forecast.outputs.new_tensor(levels) * N_QUANTILES - 0.5
        place = place.clamp(0, N_QUANTILES - 1)
        below = place.floor().long().clamp(max=N_QUANTILES - 2)
        part = place - below
        z = ordered[..., below] * (1 - part) + ordered[..., below + 1] * part
        return forecast.base[..., None] + z * forecast.scale[..., None]

    def _read(self, forecast: Forecast) -> Tensor:
        return forecast.outputs + _START.to(forecast.outputs)


Head = PointHead | GaussianHead | StudentTHead | QuantileHead


def make_head(kind: HeadKind, loss: PointLoss) -> Head:
    """The head of a kind; ``loss`` is used by the point head alone."""
    if kind == "point":
        return PointHead(loss)
    return {"gaussian": GaussianHead, "student_t": StudentTHead, "quantile": QuantileHead}[kind]()
