"""Frontends: what the core does to every pixel's time course before it looks at space."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from utils.models.v1_twin.activations import build_activation, channels_after
from utils.models.v1_twin.config import (
    ConvFrontendConfig,
    DynamicAdaptationConfig,
    FrontendConfig,
    LearnedTemporalConfig,
    TemporalBasisConfig,
)
from utils.models.v1_twin.convolution import CausalConv, convolve, per_frame, repeat_first
from utils.signals import raised_cosines

FRAME_S = 1 / 120  # of the recordings that the initial filters are meant for
TAU_FAST_S, TAU_SLOW_S, SLOW_SHARE = 0.008, 0.022, 0.9  # of the biphasic initial filter


class NoFrontend(nn.Module):
    """Pixels as they are."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x


class LearnedTemporal(nn.Module):
    """Learned filters of each channel's last ``kernel`` frames, the same for all pixels."""

    def __init__(self, config: LearnedTemporalConfig, in_channels: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, in_channels * config.channels
        initial = INITIAL_FILTERS[config.init](config.kernel, config.channels)
        self.weight = nn.Parameter(_as_kernels(initial, in_channels))
        self.bias = nn.Parameter(torch.zeros(self.out_channels)) if config.bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, frame, row, column) -> ``kernel`` - 1 fewer frames, more channels."""
        frames = x.transpose(1, 2)
        return convolve(frames, self.weight, self.bias, groups=self.in_channels).transpose(1, 2)


class TemporalBasis(nn.Module):
    """Fixed raised cosines over the last frames: narrow ones for recent, wide ones for old lags.

    Bumps are evenly spaced in log(lag + 1) and have a sum of 1 (Pillow et al. 2008).
    """

    def __init__(self, config: TemporalBasisConfig, in_channels: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, in_channels * config.channels
        basis = temporal_bumps(config.kernel, config.channels)
        self.register_buffer("weight", _as_kernels(basis, in_channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, frame, row, column) -> ``kernel`` - 1 fewer frames, more channels."""
        weight = self.weight.to(x.dtype)
        return convolve(x.transpose(1, 2), weight, groups=self.in_channels).transpose(1, 2)


class ConvFrontend(nn.Module):
    """One convolution over time and space, valid in both."""

    def __init__(self, config: ConvFrontendConfig, in_channels: int) -> None:
        super().__init__()
        self.conv = CausalConv(in_channels, config.channels, config.kernel, bias=config.bias)
        self.activation = build_activation(config.activation)
        self.out_channels = channels_after(config.activation, config.channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, frame, row, column) -> fewer frames, rows and columns."""
        out = convolve(x.transpose(1, 2), self.conv.weight, self.conv.bias)
        return per_frame(self.activation, out).transpose(1, 2)


class DynamicAdaptation(nn.Module):
    """Photoreceptor adaptation r = alpha y / (1 + beta z) of light intensities.

    y is the light seen through a fast filter, z through a mixture of the fast and a slow one; both
    are fixed. Light is taken to have been that of the first frame before the start.
    Clark et al., "Dynamical adaptation in photoreceptors", PLoS Computational Biology 2013.
    """

    def __init__(self, config: DynamicAdaptationConfig, in_channels: int) -> None:
        super().__init__()
        self.config, self.out_channels = config, in_channels
        n, frame_ms = config.kernel, 1000 / config.rate_hz
        fast = gamma_filter(n, config.order_fast, config.tau_fast_ms / frame_ms)
        slow = gamma_filter(n, config.order_slow, config.tau_slow_ms / frame_ms)
        mixture = config.gamma * fast + (1 - config.gamma) * slow
        filters = _as_kernels(torch.stack([fast, mixture]), in_channels)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, frame, row, column) -> the same shape."""
        frames = repeat_first(x.transpose(1, 2), self.config.kernel - 1)
        filtered = convolve(frames, self.filters.to(x.dtype), groups=self.out_channels)
        y, z = filtered[:, :, 0::2], filtered[:, :, 1::2]  # interleaved: two of each channel
        return (self.config.alpha * y / (1 + self.config.beta * z)).transpose(1, 2)


Frontend = NoFrontend | LearnedTemporal | TemporalBasis | ConvFrontend | DynamicAdaptation


def build_frontend(config: FrontendConfig, in_channels: int) -> Frontend:
    """The frontend for frames of ``in_channels`` channels."""
    if config.type == "none":
        return NoFrontend(in_channels)
    kinds = {
        "learned_temporal": LearnedTemporal,
        "temporal_basis": TemporalBasis,
        "conv": ConvFrontend,
        "dynamic_adaptation": DynamicAdaptation,
    }
    return kinds[config.type](config, in_channels)


def gamma_filter(n: int, order: int, tau: float) -> Tensor:
    """t^order exp(-t / tau) / (tau^(order + 1) order!) at lags 0 to n - 1, float64."""
    lags = torch.arange(n, dtype=torch.float64)
    scale = tau ** (order + 1) * math.factorial(order)
    return lags**order * torch.exp(-lags / tau) / scale


def temporal_bumps(n: int, bumps: int) -> Tensor:
    """(bump, lag) raised cosines over lags 0 to n - 1, each with a sum of 1, float64."""
    cosines = torch.from_numpy(raised_cosines(n, bumps))
    return cosines / cosines.sum(1, keepdim=True)


def gaussian_derivatives(n: int, channels: int) -> Tensor:
    """(channel, lag): a Gaussian in the middle of the lags and its derivatives, of norm 1."""
    z = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) / (n / 6)
    before, now = torch.zeros_like(z), torch.exp(-(z**2) / 2)
    filters = []
    for order in range(channels):
        filters.append(now / now.norm())
        before, now = now, z * now - order * before  # Hermite polynomials by recurrence
    return torch.stack(filters)


def biphasic(n: int, channels: int) -> Tensor:
    """(channel, lag): fast minus slow bump, without mean; the positive part sums to 1."""
    fast, slow = (gamma_filter(n, 1, tau / FRAME_S) for tau in (TAU_FAST_S, TAU_SLOW_S))
    difference = fast - SLOW_SHARE * slow
    difference = difference - difference.mean()
    return (difference / difference.clamp(min=0).sum()).repeat(channels, 1)


def identity(n: int, channels: int) -> Tensor:
    """(channel, lag): channel i is the frame of i frames ago."""
    return torch.eye(channels, n, dtype=torch.float64)


INITIAL_FILTERS = {
    "gaussian_derivatives": gaussian_derivatives,
    "biphasic": biphasic,
    "identity": identity,
}


def _as_kernels(filters: Tensor, in_channels: int) -> Tensor:
    """(filter, lag) -> weights (channel * filter, 1, frame, 1, 1), the present frame last."""
    return filters.flip(1).repeat(in_channels, 1)[:, None, :, None, None].float()
