"""Activations between layers, and the one from the drive of a cell to its rate."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from utils.models.v1_twin.config import Activation

MIN_RATE = 1e-4  # counts per bin: the lowest rate whose drive is finite in practice


class SplitReLU(nn.Module):
    """[relu(x), relu(-x)] along the channels: both signs go on, in twice the channels."""

    def forward(self, x: Tensor) -> Tensor:
        """(.., channel, row, column) -> twice the channels, which are last in memory."""
        x = x.movedim(-3, -1)
        return torch.cat([x.relu(), (-x).relu()], dim=-1).movedim(-1, -3)


class SplitSquare(nn.Module):
    """[relu(x)^2, relu(-x)^2]: half-squared, as simple cells are (Heeger 1992)."""

    def forward(self, x: Tensor) -> Tensor:
        """(.., channel, row, column) -> twice the channels, which are last in memory."""
        return _HalfSquares.apply(x.movedim(-3, -1)).movedim(-1, -3)


class _HalfSquares(Function):
    """Half-squares of both signs along the last axis, in half the passes of separate steps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        n = x.shape[-1]
        out = x.new_empty(*x.shape[:-1], 2 * n)
        torch.clamp(x, min=0, out=out[..., :n])
        torch.clamp(x, max=0, out=out[..., n:])
        return out.square_()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        of_positive, of_negative = grad.chunk(2, dim=-1)
        return torch.where(x > 0, of_positive, of_negative) * x * 2


class Square(nn.Module):
    """x squared, as in an energy model."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x.square()


class Output(nn.Module):
    """Rate (counts per bin) from drive, and the drive that a rate needs."""

    def __init__(self, kind: Literal["softplus", "relu", "exp", "identity"]) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, drive: Tensor) -> Tensor:
        """Drive of any shape -> rates."""
        if self.kind == "softplus":
            return functional.softplus(drive)
        if self.kind == "relu":
            return drive.relu()
        return drive.exp() if self.kind == "exp" else drive

    def inverse(self, rates: Tensor) -> Tensor:
        """Drive that yields the rates; rates of silent cells count as ``MIN_RATE``."""
        if self.kind == "identity":
            return rates
        rates = rates.clamp(min=MIN_RATE)
        if self.kind == "softplus":
            return rates + torch.log(-torch.expm1(-rates))
        return rates.log() if self.kind == "exp" else rates


MODULES: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "square": Square,
    "splitrelu": SplitReLU,
    "splitsquare": SplitSquare,
}


def build_activation(name: Activation) -> nn.Module:
    """A fresh module."""
    return MODULES[name]()


def channels_after(name: Activation, channels: int) -> int:
    """Channels that an activation makes of ``channels``."""
    return 2 * channels if name.startswith("split") else channels
