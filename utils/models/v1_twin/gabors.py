"""Filters to start convolutions from: a bank of Gabors in space, two phases in time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

PIXELS_PER_DEGREE = 37.5
LOWEST, HIGHEST = 1.5, 8.0  # cycles per degree
GOLDEN = (math.sqrt(5) - 1) / 2
WEIGHT_RMS = 0.25
SD_PERIODS, SD_KERNEL = 0.4, 0.25  # sd of the envelope: in periods, and at most in kernel widths


def gabor_bank(n: int, rows: int, columns: int) -> Tensor:
    """Filters (n, row, column), two by two in quadrature, each of norm 1 and blind to a mean.

    Spatial frequency rises evenly in its logarithm from pair to pair and orientation advances by
    the golden ratio, so that any number of pairs covers both.
    """
    pairs = torch.arange(math.ceil(n / 2), dtype=torch.float64)
    share = (pairs + 0.5) / len(pairs)
    frequency = LOWEST * (HIGHEST / LOWEST) ** share / PIXELS_PER_DEGREE  # cycles per pixel
    angle = math.pi * (pairs * GOLDEN % 1)
    up, right = torch.meshgrid(-_centred(rows), _centred(columns), indexing="ij")
    along = torch.einsum("pk,kij->pij", _directions(angle), torch.stack([right, up]))
    phase = 2 * math.pi * frequency[:, None, None] * along
    sd = (SD_PERIODS / frequency).clamp(max=SD_KERNEL * min(rows, columns))[:, None, None]
    envelope = torch.exp(-(right**2 + up**2) / (2 * sd**2))
    even = envelope * phase.cos()
    even = even - envelope * (even.sum((1, 2)) / envelope.sum((1, 2)))[:, None, None]
    bank = torch.stack([even, envelope * phase.sin()], dim=1).flatten(0, 1)[:n]
    return (bank / bank.flatten(1).norm(dim=1)[:, None, None]).float()


def gabor_weights(shape: tuple[int, ...]) -> Tensor:
    """Weights (output, channel, frame, row, column): Gabors in space, random over the rest.

    Both filters of a pair share their weights of channels and frames. Weights of a channel and
    frame alone have a root mean square of .25 over a large filter's many pixels as over a small
    one's: Adam moves each weight as far in a step, and must not wipe the filter out.
    """
    n, channels, frames, rows, columns = shape
    mix = torch.randn(math.ceil(n / 2), channels * frames).abs()
    mix = (mix / mix.norm(dim=1, keepdim=True)).repeat_interleave(2, dim=0)[:n]
    space = gabor_bank(n, rows, columns)
    space = WEIGHT_RMS * math.sqrt(rows * columns) * space
    return mix.unflatten(1, (channels, frames))[..., None, None] * space[:, None, None]


def biphasic_weights(shape: tuple[int, ...]) -> Tensor:
    """Weights (output, channel, frame, row, column): recent frames minus the ones before them.

    Over time the derivative of a Gaussian of a sixth of the kernel: with 16 frames at 120 Hz its
    lobes lie 40 and 85 ms ago, as in V1. Frames of one place and channel are filtered with norm 1.
    """
    _, channels, frames, rows, columns = shape
    age = -_centred(frames) / (frames / 6)  # the present frame is last
    lobes = -age * torch.exp(-age.square() / 2)
    lobes = lobes / lobes.norm() if frames > 1 else torch.ones(1, dtype=lobes.dtype)
    return (lobes[:, None, None] / (channels * rows * columns)).expand(shape).float()


def _centred(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.float64) - (n - 1) / 2


def _directions(angle: Tensor) -> Tensor:
    """Unit vectors (.., right and up) of angles counted anticlockwise from right."""
    return torch.stack([angle.cos(), angle.sin()], dim=-1)
