"""Recurrent stages: gated convolutions from frame to frame, each sequence from a state of zeros."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from utils.models.v1_twin.config import NoStage, RecurrentConfig


class NoRecurrent(nn.Module):
    """No memory from frame to frame."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Features as they are."""
        return x


class Recurrence(nn.Module, ABC):
    """What GRU and LSTM share: orthogonal weights, one convolution for the inputs of all frames.

    ``weight`` is (gate * channel, input + channel, row, column): the filters of each gate for
    inputs and state.
    """

    n_gates: int

    def __init__(self, in_channels: int, channels: int, kernel: int) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(
                f"recurrent kernel = {kernel}: it must be odd to keep the frame's size"
            )
        self.in_channels, self.out_channels = in_channels, channels
        gates = torch.empty(self.n_gates, channels, in_channels + channels, kernel, kernel)
        for gate in gates:
            nn.init.orthogonal_(gate)
        self.weight = nn.Parameter(gates.flatten(0, 1))
        self.bias = nn.Parameter(torch.zeros(self.n_gates * channels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, frame, row, column) -> states (batch, channel, frame, row, column)."""
        of_inputs, of_state = (
            weight.contiguous(memory_format=torch.channels_last)
            for weight in self.weight.split([self.in_channels, self.out_channels], dim=1)
        )
        frames = x.transpose(1, 2)
        drive = _convolve(frames.flatten(0, 1), of_inputs, self.bias)
        drive = drive.unflatten(0, frames.shape[:2])  # (batch, frame, gate * channel, row, column)
        return torch.stack(self._run(drive, of_state), dim=1).transpose(1, 2)

    @abstractmethod
    def _run(self, drive: Tensor, weight: Tensor) -> list[Tensor]:
        """States of all frames."""


class ConvGRU(Recurrence):
    """h = (1 - z) h + z n, with update gate z, reset gate r and candidate n.

    Ballas et al., "Delving deeper into convolutional networks for learning video representations",
    ICLR 2016.
    """

    n_gates = 3

    def __init__(
        self, in_channels: int, channels: int, kernel: int = 3, update_bias: float = 1.0
    ) -> None:
        super().__init__(in_channels, channels, kernel)
        nn.init.constant_(self.bias[:channels], update_bias)

    def _run(self, drive: Tensor, weight: Tensor) -> list[Tensor]:
        n = self.out_channels
        of_gates, of_candidate = weight[: 2 * n], weight[2 * n :]
        states = [torch.zeros_like(drive[:, 0, :n])]
        for frame in drive.unbind(1):
            state = states[-1]
            update, reset = (frame[:, : 2 * n] + _convolve(state, of_gates)).sigmoid().chunk(2, 1)
            candidate = (frame[:, 2 * n :] + _convolve(reset * state, of_candidate)).tanh()
            states.append(torch.lerp(state, candidate, update))
        return states[1:]


class ConvLSTM(Recurrence):
    """Input, forget and output gates around a memory; forget gates start at a bias of 1.

    Shi et al., "Convolutional LSTM network", NeurIPS 2015; bias: Jozefowicz et al., ICML 2015.
    """

    n_gates = 4

    def __init__(self, in_channels: int, channels: int, kernel: int = 3) -> None:
        super().__init__(in_channels, channels, kernel)
        nn.init.constant_(self.bias[channels : 2 * channels], 1.0)

    def _run(self, drive: Tensor, weight: Tensor) -> list[Tensor]:
        memory = torch.zeros_like(drive[:, 0, : self.out_channels])
        states = [memory]
        for frame in drive.unbind(1):
            gates = frame + _convolve(states[-1], weight)
            enter, keep, leave, candidate = gates.chunk(4, dim=1)
            memory = keep.sigmoid() * memory + enter.sigmoid() * candidate.tanh()
            states.append(leave.sigmoid() * memory.tanh())
        return states[1:]


def build_recurrent(
    config: RecurrentConfig | NoStage, in_channels: int
) -> NoRecurrent | ConvGRU | ConvLSTM:
    """The stage for ``in_channels`` features; 'gru' and 'lstm' see one place at a time."""
    if config.type == "none":
        return NoRecurrent(in_channels)
    if config.type == "lstm":
        return ConvLSTM(in_channels, config.channels, kernel=1)
    kernel = config.kernel if config.type == "convgru" else 1
    return ConvGRU(in_channels, config.channels, kernel, config.update_bias)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Of images, with zeros around them so that they keep their size."""
    return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
