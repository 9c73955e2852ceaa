"""Fully connected layers."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import nn

from utils.models.spectral.config import DenseConfig
from utils.models.spectral.shapes import ImageShape


class Dense(nn.Sequential):
    """Images (batch, channel, frequency, time) to features (batch, last hidden)."""

    def __init__(self, config: DenseConfig, shape: ImageShape) -> None:
        self.n_features = config.hidden[-1]
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise((prod(shape), *config.hidden)):
            layers += [nn.Dropout(config.dropout), nn.Linear(inputs, outputs), nn.ReLU()]
        super().__init__(*layers)
