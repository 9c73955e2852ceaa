"""Norms of features; all but batch norm use the statistics of one frame only.

A frame that comes later can therefore not change what is computed for those before it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from utils.models.v1_twin.config import BlockConfig
from utils.models.v1_twin.convolution import convolve, per_frame, repeat_first

EPS = 1e-5
PACE = 10.0  # of logarithms: an optimiser moves them by its step, weights by a share of themselves
RECENT = 0.25  # of the frames: time constant with which a pool forgets at the start


class FrameNorm(nn.Module):
    """A norm of images applied to every frame."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frame, channel, row, column) -> the same shape."""
        return per_frame(self.norm, x)


class RMSNorm(nn.Module):
    """Divide an image by the root mean square over all its features, with a gain per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, row, column) -> the same shape."""
        return (
            x * (x.square().mean((1, 2, 3), keepdim=True) + EPS).rsqrt() * self.gain[:, None, None]
        )


class GlobalResponseNorm(nn.Module):
    """Let channels compete: each is scaled by its energy relative to the mean of all.

    The identity at the start. Woo et al., "ConvNeXt V2", CVPR 2023.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, row, column) -> the same shape."""
        energy = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)
        relative = energy / (energy.mean(1, keepdim=True) + EPS)
        gain, shift = self.gain[:, None, None], self.shift[:, None, None]
        return torch.addcmul(shift, x, 1 + gain * relative)


class DivisiveNorm(nn.Module):
    """Divide each channel by the root of 1 + a learned, positive pool of all squares at its place.

    The pool is a filter of the squared features over the last frames (present one included), as in
    models of gain control in visual cortex (Heeger 1992; Carandini & Heeger 2012): squared
    afterwards, a channel is its energy divided by that of all.
    """

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.start = math.log(math.expm1(1 / channels))  # softplus makes it 1 / channels
        self.weight = nn.Parameter(torch.zeros(channels, channels))
        self.time = nn.Parameter(torch.zeros(channels, frames))
        age = torch.arange(frames - 1, -1, -1, dtype=torch.get_default_dtype())
        self.register_buffer("recency", -age / (RECENT * frames), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frame, channel, row, column) -> the same shape."""
        weights = functional.softplus(PACE * self.weight + self.start)
        pool = convolve(x.square(), weights[..., None, None, None])
        if self.time.shape[1] > 1:
            over_time = (PACE * self.time + self.recency).softmax(1)[:, None, :, None, None]
            past = repeat_first(pool, over_time.shape[2] - 1)
            pool = convolve(past, over_time, groups=len(over_time))
        return x * (1 + pool).rsqrt()


def build_norm(config: BlockConfig) -> nn.Module:
    """The norm of a block's convolution: (batch, frame, channel, row, column) -> the same."""
    channels = config.channels
    if config.norm == "none":
        return nn.Identity()
    if config.norm == "divisive":
        return DivisiveNorm(channels, config.norm_frames)
    if config.norm == "group" and channels % config.norm_groups:
        raise ValueError(
            f"norm 'group': {channels} channels do not divide into norm_groups = "
            f"{config.norm_groups}"
        )
    kinds = {
        "batch": lambda: nn.BatchNorm2d(channels),
        "instance": lambda: nn.InstanceNorm2d(channels, affine=True),
        "layer": lambda: nn.GroupNorm(1, channels),
        "group": lambda: nn.GroupNorm(config.norm_groups, channels),
        "rms": lambda: RMSNorm(channels),
        "grn": lambda: GlobalResponseNorm(channels),
    }
    return FrameNorm(kinds[config.norm]())
