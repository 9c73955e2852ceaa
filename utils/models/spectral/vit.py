"""A small vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from utils.models.spectral.config import ViTConfig
from utils.models.spectral.shapes import ImageShape, check_divisible


class ViTSize(NamedTuple):
    """Width, layers, attention heads, and hidden units per width of a layer."""

    width: int
    depth: int
    n_heads: int
    expansion: int


VIT_SIZES = {
    "23k": ViTSize(28, 3, 4, 2),
    "38k": ViTSize(32, 4, 4, 2),
    "116k": ViTSize(52, 4, 4, 3),
}


class ViT(nn.Module):
    """Images (batch, channel, frequency, time) to features (batch, width): the mean of patches."""

    def __init__(self, config: ViTConfig, shape: ImageShape) -> None:
        super().__init__()
        check_divisible(shape, config.patch, "a vit")
        channels, height, width = shape
        size = VIT_SIZES[config.size]
        n_patches = (height // config.patch[0]) * (width // config.patch[1])
        self.n_features = size.width
        self.embed = nn.Conv2d(channels, size.width, config.patch, stride=config.patch)
        self.place = nn.Parameter(0.02 * torch.randn(n_patches, size.width))
        layer = nn.TransformerEncoderLayer(
            size.width,
            size.n_heads,
            size.expansion * size.width,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, size.depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(size.width)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channel, frequency, time) -> (batch, width)."""
        patches = self.embed(images).flatten(2).mT + self.place  # (batch, patch, width)
        return self.norm(self.layers(patches)).mean(dim=1)
