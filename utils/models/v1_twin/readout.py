"""Readouts: from the features of the core to the drive of each recorded cell, frame by frame."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from utils.models.v1_twin.config import (
    GaussianReadoutConfig,
    Grid,
    LinearReadoutConfig,
    ReadoutConfig,
)

MIN_STD = 1e-3  # pixels
FAR = 80.0  # squared deviations: fainter weights are denormal numbers, which CPUs are slow at


class GaussianReadout(nn.Module):
    """Every cell weighs the features, and looks at one place through a rotated Gaussian.

    Attributes
    ----------
    mean : (cell, 2) centre of the mask, x right and y up; the outermost pixels lie at -1 and 1.
    std : (cell, 2) in pixels of the features, along the two axes of the mask; at least 1e-3.
    theta : (cell,) direction of the mask's first axis, rad, anticlockwise from right.
    features : (cell, channel) weights.
    bias : (cell,) drive without input.
    """

    def __init__(
        self, config: GaussianReadoutConfig, in_channels: int, n_cells: int, size: Grid
    ) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_cells, 2))
        self.std = nn.Parameter(torch.full((n_cells, 2), config.std))
        self.theta = nn.Parameter(torch.zeros(n_cells))
        self.features = nn.Parameter(_uniform(n_cells, in_channels, fan_in=in_channels))
        self.bias = nn.Parameter(torch.zeros(n_cells))
        height, width = size
        columns = torch.arange(width, dtype=torch.get_default_dtype()) - (width - 1) / 2
        rows = (height - 1) / 2 - torch.arange(height, dtype=torch.get_default_dtype())
        self.register_buffer("columns", columns, persistent=False)  # x of each, pixels
        self.register_buffer("rows", rows, persistent=False)  # y of each, pixels

    def masks(self) -> Tensor:
        """Masks (cell, row, column); each sums to 1."""
        x = self.columns[None, None] - (self.mean[:, 0] * self.columns[-1])[:, None, None]
        y = self.rows[None, :, None] - (self.mean[:, 1] * self.rows[0])[:, None, None]
        cos, sin = self.theta.cos()[:, None, None], self.theta.sin()[:, None, None]
        along, across = self.std.clamp(min=MIN_STD).mT[:, :, None, None]
        distance = ((cos * x + sin * y) / along) ** 2 + ((cos * y - sin * x) / across) ** 2
        nearest = (
            distance.detach().flatten(1).amin(1)[:, None, None]
        )  # a mask may lie between pixels
        distance = (distance - nearest).clamp(max=FAR)
        return torch.softmax(-distance.flatten(1) / 2, dim=1).view_as(distance)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channel, frame, row, column) -> drive (batch, frame, cell)."""
        weights = self.masks()[..., None] * self.features[:, None, None, :]
        return _weighted(features, weights.flatten(1)) + self.bias


class LinearReadout(nn.Module):
    """Every cell weighs every feature at every place.

    Attributes
    ----------
    features : (cell, row * column * channel) weights.
    bias : (cell,) drive without input.
    """

    def __init__(
        self, config: LinearReadoutConfig, in_channels: int, n_cells: int, size: Grid
    ) -> None:
        super().__init__()
        inputs = in_channels * math.prod(size)
        self.features = nn.Parameter(_uniform(n_cells, inputs, fan_in=inputs))
        self.bias = nn.Parameter(torch.zeros(n_cells))

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channel, frame, row, column) -> drive (batch, frame, cell)."""
        return _weighted(features, self.features) + self.bias


def build_readout(
    config: ReadoutConfig, in_channels: int, n_cells: int, size: Grid
) -> GaussianReadout | LinearReadout:
    """The readout of one data set's cells from features of ``size`` (rows, columns)."""
    kind = GaussianReadout if config.type == "gaussian" else LinearReadout
    return kind(config, in_channels, n_cells, size)


def _weighted(features: Tensor, weights: Tensor) -> Tensor:
    channels_last = features.movedim(1, -1)  # as they lie in memory: no copy
    return functional.linear(channels_last.flatten(2), weights)


def _uniform(*shape: int, fan_in: int) -> Tensor:
    bound = 1 / math.sqrt(fan_in)
    return torch.empty(shape).uniform_(-bound, bound)
