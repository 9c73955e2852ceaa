"""A small ConvNeXt V2 (Woo et al. 2023, arXiv 2301.00808)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from utils.models.spectral.config import ConvNeXtConfig
from utils.models.spectral.shapes import ImageShape, check_divisible

KERNEL, EXPANSION, STRIDE, STAGES = 7, 4, 2, 2


class ConvNeXtSize(NamedTuple):
    """Channels and blocks of both stages."""

    widths: tuple[int, int]
    depths: tuple[int, int]


CONVNEXT_SIZES = {
    "18k": ConvNeXtSize((16, 24), (1, 2)),
    "70k": ConvNeXtSize((40, 40), (2, 2)),
    "288k": ConvNeXtSize((40, 80), (3, 4)),
}


class ConvNeXt(nn.Module):
    """Images (batch, channel, frequency, time) to features (batch, channel of the last stage).

    Inside, channels come last.
    """

    def __init__(self, config: ConvNeXtConfig, shape: ImageShape) -> None:
        super().__init__()
        check_divisible(shape, (STRIDE**STAGES,) * 2, "a convnext")
        (first, second), depths = CONVNEXT_SIZES[config.size]
        self.n_features = second
        self.stem = _Halve(shape[0], first)
        self.stem_norm = nn.LayerNorm(first)
        self.first = nn.Sequential(*(Block(first) for _ in range(depths[0])))
        self.between = nn.Sequential(nn.LayerNorm(first), _Halve(first, second))
        self.second = nn.Sequential(*(Block(second) for _ in range(depths[1])))
        self.norm = nn.LayerNorm(second)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channel, frequency, time) -> (batch, feature)."""
        pixels = self.first(self.stem_norm(self.stem(images.permute(0, 2, 3, 1))))
        pixels = self.second(self.between(pixels))  # (batch, frequency, time, channel)
        return self.norm(pixels.mean(dim=(1, 2)))


class Block(nn.Module):
    """Depthwise convolution and a perceptron of each pixel, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, EXPANSION * width)
        self.respond = ResponseNorm(EXPANSION * width)
        self.reduce = nn.Linear(EXPANSION * width, width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, frequency, time, channel) -> the same."""
        mixed = self.depthwise(pixels.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        hidden = self.respond(functional.gelu(self.expand(self.norm(mixed))))
        return pixels + self.reduce(hidden)


class ResponseNorm(nn.Module):
    """Global response normalisation: channels compete by their energy in the whole image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, frequency, time, channel) -> the same."""
        energy = torch.linalg.vector_norm(pixels, dim=(1, 2), keepdim=True)
        share = energy / (energy.mean(dim=3, keepdim=True) + 1e-6)
        return pixels + self.gain * (pixels * share) + self.shift


class _Halve(nn.Module):
    """A convolution over each 2 x 2 pixels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, STRIDE, stride=STRIDE)

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, frequency, time, channel) -> half the size."""
        return self.convolution(pixels.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
