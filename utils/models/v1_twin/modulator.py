"""Modulators: how behaviour changes the features of the core.

A small network turns the behaviour of each frame into an embedding, the same for all places.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.models.v1_twin.activations import build_activation
from utils.models.v1_twin.config import ModulatorConfig, NoStage, RecurrentConfig
from utils.models.v1_twin.recurrent import build_recurrent


class NoModulator(nn.Module):
    """Behaviour changes nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels

    def forward(self, features: Tensor, behavior: Tensor | None) -> Tensor:
        """Features as they are."""
        return features


class Concat(nn.Module):
    """The embedding as further channels; without features it is all there is."""

    def __init__(self, config: ModulatorConfig, behavior_dims: int, channels: int) -> None:
        super().__init__()
        self.network = _network(config, behavior_dims)
        self.out_channels = channels + config.hidden[-1]

    def forward(self, features: Tensor | None, behavior: Tensor) -> Tensor:
        """(batch, channel, frame, row, column), (batch, frame, column) -> more channels."""
        embedding = self.network(behavior)[..., None, None, :]  # (batch, frame, 1, 1, channel)
        if features is not None:
            features = features.movedim(1, -1)  # channels are last in memory
            embedding = embedding.expand(*features.shape[:-1], -1)
            embedding = torch.cat([features, embedding], dim=-1)
        return embedding.movedim(-1, 1)


class FiLM(nn.Module):
    """Scale and shift every feature (Perez et al. 2018); the identity at the start."""

    def __init__(self, config: ModulatorConfig, behavior_dims: int, channels: int) -> None:
        super().__init__()
        self.network = _network(config, behavior_dims)
        self.to_scale_and_shift = nn.Linear(config.hidden[-1], 2 * channels)
        nn.init.zeros_(self.to_scale_and_shift.weight)
        nn.init.zeros_(self.to_scale_and_shift.bias)
        self.out_channels = channels

    def forward(self, features: Tensor, behavior: Tensor) -> Tensor:
        """(batch, channel, frame, row, column), (batch, frame, column) -> the same shape."""
        both = self.to_scale_and_shift(self.network(behavior)).mT[..., None, None]
        change, shift = both.chunk(2, dim=1)
        return torch.addcmul(features + shift, features, change)  # (1 + change) features + shift


class ConvGRUModulator(nn.Module):
    """A convolutional GRU over features and embedding together."""

    def __init__(self, config: ModulatorConfig, behavior_dims: int, channels: int) -> None:
        super().__init__()
        self.concat = Concat(config, behavior_dims, channels)
        recurrence = RecurrentConfig(type="convgru", channels=config.channels, kernel=config.kernel)
        self.recurrent = build_recurrent(recurrence, self.concat.out_channels)
        self.out_channels = self.recurrent.out_channels

    def forward(self, features: Tensor | None, behavior: Tensor) -> Tensor:
        """(batch, channel, frame, row, column), (batch, frame, column) -> hidden states."""
        return self.recurrent(self.concat(features, behavior))


def build_modulator(
    config: ModulatorConfig | NoStage, behavior_dims: int, channels: int
) -> NoModulator | Concat | FiLM | ConvGRUModulator:
    """The modulator of ``channels`` features by ``behavior_dims`` columns of behaviour."""
    if config.type == "none":
        return NoModulator(channels)
    kinds = {"concat": Concat, "film": FiLM, "convgru": ConvGRUModulator}
    return kinds[config.type](config, behavior_dims, channels)


def _network(config: ModulatorConfig, behavior_dims: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((behavior_dims, *config.hidden), config.hidden):
        layers += [nn.Linear(before, after), build_activation(config.activation)]
        layers += [nn.Dropout(config.dropout)] if config.dropout else []
    return nn.Sequential(*layers)
