"""Adapters: bring the frames of a data set onto the grid that all data sets share.

Each data set has its own. The optics and the gaze calibration of a recording blur, magnify, turn
and shift what its cells see; the affine adapter learns how.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from utils.models.v1_twin.config import AdapterConfig, AffineAdapterConfig, Grid


class AffineAdapter(nn.Module):
    """Gaussian blur, then bilinear samples at ``scale * rotation(place) + shift``; 0 outside.

    Attributes
    ----------
    log_scale : (2,) right, up; the scale is exactly 1 at the start, so that frames fill the grid.
    angle : rotation of the sampled places in rad, anticlockwise; starts at 0.
    shift : (2,) right, up, in halves of the frame; starts at 0.
    log_blur : log of the blur's standard deviation in pixels of the frame.
    """

    def __init__(self, config: AffineAdapterConfig) -> None:
        super().__init__()
        self.grid = config.grid
        self.log_scale = nn.Parameter(torch.zeros(2))
        self.angle = nn.Parameter(torch.zeros(()))
        self.shift = nn.Parameter(torch.zeros(2))
        self.log_blur = nn.Parameter(torch.tensor(math.log(config.blur)))

    def output_size(self, height: int, width: int) -> Grid:
        """Rows and columns that come out, whatever goes in."""
        return self.grid

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, frame, row, column) -> the same with rows and columns of the grid."""
        with torch.autocast(x.device.type, enabled=False):  # places need the full precision
            planes = self._blurred(x.flatten(1, 2))
            places = self._places(*x.shape[-2:]).expand(len(x), -1, -1, -1)
            sampled = functional.grid_sample(planes, places, align_corners=False)
        return sampled.unflatten(1, x.shape[1:3])

    def _blurred(self, planes: Tensor) -> Tensor:
        height, width = planes.shape[-2:]
        std = self.log_blur.exp()
        return gaussian_matrix(height, std) @ planes @ gaussian_matrix(width, std)

    def _places(self, height: int, width: int) -> Tensor:
        """Where to sample: (1, row, column, 2) in [-1, 1], x right, y down."""
        cos, sin = self.angle.cos(), self.angle.sin()
        x_scale, y_scale = self.log_scale.exp()
        rows = (  # y counts downwards here; a turn keeps lengths in pixels
            torch.stack([x_scale * cos, y_scale * sin * (height / width), self.shift[0]]),
            torch.stack([-x_scale * sin * (width / height), y_scale * cos, -self.shift[1]]),
        )
        size = [1, 1, *self.grid]
        return functional.affine_grid(torch.stack(rows)[None], size, align_corners=False)


def gaussian_matrix(n: int, std: Tensor) -> Tensor:
    """Matrix (n, n) that blurs n samples; what lies outside them counts as 0."""
    offsets = torch.arange(1 - n, n, device=std.device, dtype=std.dtype)
    weights = torch.softmax(-(offsets**2) / (2 * std**2), dim=0)
    places = torch.arange(n, device=std.device)
    return weights[places[:, None] - places + n - 1]


class NoAdapter(nn.Identity):
    """Frames as they are."""

    def output_size(self, height: int, width: int) -> Grid:
        """Rows and columns stay what they are."""
        return height, width


def build_adapter(config: AdapterConfig) -> AffineAdapter | NoAdapter:
    """The adapter of one data set."""
    return NoAdapter() if config.type == "none" else AffineAdapter(config)
