"""The convolutional network of NSMT: two convolutions and a hidden layer."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from utils.models.spectral.config import CNNConfig
from utils.models.spectral.shapes import ImageShape, check_sides

GRID = 4  # rows and columns that any image is pooled to


class CNNSize(NamedTuple):
    """Channels of both convolutions, and hidden units."""

    first: int
    second: int
    hidden: int


CNN_SIZES = {
    "micro": CNNSize(8, 16, 32),
    "tiny": CNNSize(16, 32, 64),
    "64k": CNNSize(24, 48, 67),
    "large": CNNSize(64, 128, 512),
}


class CNN(nn.Sequential):
    """Images (batch, channel, frequency, time) to features (batch, hidden)."""

    def __init__(self, config: CNNConfig, shape: ImageShape) -> None:
        check_sides(shape, 2 * GRID, "a cnn")
        size = CNN_SIZES[config.size]
        self.n_features = size.hidden
        super().__init__(
            *_convolution(shape[0], size.first, config),
            _pool(config),
            *_convolution(size.first, size.second, config),
            _pool(config),
            nn.AdaptiveAvgPool2d(GRID),
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(size.second * GRID**2, size.hidden),
            nn.ReLU(),
        )


def _convolution(inputs: int, outputs: int, config: CNNConfig) -> list[nn.Module]:
    norm = nn.BatchNorm2d(outputs) if config.norm == "batch" else nn.GroupNorm(1, outputs)
    return [nn.Conv2d(inputs, outputs, 3, padding=1), norm, nn.ReLU()]


def _pool(config: CNNConfig) -> nn.Module:
    return nn.MaxPool2d(2) if config.pool == "max" else nn.AvgPool2d(2)
