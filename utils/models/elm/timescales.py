"""Time constants of the memory: bounded, learnable, spread evenly over the logarithm at first."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MARGIN = 1e-6  # between the outermost time constants and their bounds
LARGEST, SMALLEST = 17.5, -40.0  # where a bound itself comes out in float32


def initial_proto_tau(n: int, lowest: float, highest: float) -> Tensor:
    """Unbounded values (n,) of ``n`` time constants, evenly spaced on a logarithmic scale.

    An outer one may round to the bound itself, where its unbounded value would be infinite (and
    become NaN under weight decay); it is kept finite. So are they all where the bounds are equal
    but for rounding, and any value stands for them.
    """
    tau = torch.logspace(math.log10(lowest + MARGIN), math.log10(highest - MARGIN), n)
    tau = tau.clamp(lowest + MARGIN, highest - MARGIN)
    proto = torch.log((tau - lowest) / (highest - tau))
    return finite_proto_tau(proto.where(~proto.isnan(), 0.0))


def finite_proto_tau(proto: Tensor) -> Tensor:
    """Infinite values replaced by finite ones that stand for the same time constants."""
    return proto.nan_to_num(nan=math.nan, posinf=LARGEST, neginf=SMALLEST)


def bounded_tau(proto: Tensor, lowest: float, highest: float) -> Tensor:
    """Time constants between ``lowest`` and ``highest``, the shape of ``proto``."""
    return (highest - lowest) * torch.sigmoid(proto) + lowest


def decay(tau: Tensor, delta_t: float) -> Tensor:
    """What an exponential with time constant ``tau`` leaves after a step of ``delta_t``."""
    return torch.exp(-delta_t / tau.clamp(min=1e-6))
