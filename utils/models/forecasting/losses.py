"""Losses of forecasting networks; everything is per element and respects the mask.

Weights belong to single entries (a frame of a neuron): with thousands of neurons some neuron is
always active, so a weight given to whole frames would weight everything alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCALE_RANGE = (0.05, 5.0)  # of a predicted scale, in units of the neuron's deviation


def weighted_mean(values: Tensor, weights: Tensor, mask: Tensor | None) -> Tensor:
    """Weighted mean over the entries whose mask is True; 0 when there are none."""
    if mask is not None:
        weights = weights * mask
    return (values * weights).sum() / weights.sum().clamp(min=1e-12)


def event_weights(future: Tensor, threshold: Tensor, weight: float) -> Tensor:
    """``weight`` for entries above their neuron's threshold, 1 for all others."""
    return torch.where(future > threshold, weight, 1.0)


def scale_penalty(log_scale: Tensor) -> Tensor:
    """Squared log distance outside :data:`SCALE_RANGE`: grows for scales too large and too small.

    Without it the likelihood of a silent neuron improves without end as its scale shrinks.
    """
    low, high = torch.tensor(SCALE_RANGE, device=log_scale.device).log()
    return (log_scale - high).relu().square() + (low - log_scale).relu().square()
