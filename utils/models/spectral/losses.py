"""What heads are trained to minimise, all but cross entropies in the parameter's own unit.

With D = range / (K - 1), the physical distance of two of K classes, p the probabilities of the
classes k, and y the true class, means over the batch of

- cross_entropy: -log p_y
- ordinal:       D |sum_k p_k k - y| - alpha log p_y
- quantised:     D |clamp(output, 0, K - 1) - y|
- weighted:      -log p_y + sum_{k != y} p_k (1 + |k - y|^2)
- regression:    range (sigmoid(output) - (value - minimum) / range)^2
- soft:          KL(t || p), with targets t around y

The value of a parameter is known more finely than its class. Soft targets may be centred there: a
triangle of width 0 then divides its mass between the two classes on both sides, and the mean of
the target is the value. Few samples teach the value sooner than borders of classes; but since bytes
round twice, borders lie up to half a byte's step beside the middle between two classes, which only
classes can teach: a share of the target may stay at the class itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from utils.models.spectral.config import (
    CrossEntropyConfig,
    LossConfig,
    OrdinalConfig,
    QuantisedConfig,
    RegressionConfig,
    SoftConfig,
    WeightedConfig,
)
from utils.models.spectral.heads import Head


def head_loss(
    config: LossConfig, head: Head, outputs: Tensor, labels: Tensor, values: Tensor
) -> Tensor:
    """Scalar.

    Parameters
    ----------
    outputs : (batch, class) before the softmax, or (batch, 1) of losses with one output.
    labels : (batch,) true classes; samples with -1 lack the parameter and do not count.
    values : (batch,) true values, in the unit of the parameter.
    """
    known = labels >= 0
    if not known.any():
        return 0 * outputs.sum()
    outputs, labels, values = outputs[known], labels[known], values[known]
    match config:
        case CrossEntropyConfig():
            return functional.cross_entropy(outputs, labels, label_smoothing=config.label_smoothing)
        case OrdinalConfig():
            return ordinal(outputs, labels, head.distance, config.alpha)
        case QuantisedConfig():
            return quantised(outputs, labels, head)
        case WeightedConfig():
            return weighted(outputs, labels)
        case RegressionConfig():
            return regression(outputs, values, head)
        case SoftConfig():
            return soft(outputs, labels, (values - head.minimum) / head.step, config)


def ordinal(outputs: Tensor, labels: Tensor, distance: float, alpha: float) -> Tensor:
    """Physical distance of the mean class, and ``alpha`` times the cross entropy."""
    mean_class = outputs.softmax(dim=1) @ _classes(outputs)
    error = distance * functional.l1_loss(mean_class, labels.to(outputs.dtype))
    return error + alpha * functional.cross_entropy(outputs, labels)


def quantised(outputs: Tensor, labels: Tensor, head: Head) -> Tensor:
    """Physical distance of an output (batch, 1) that counts classes."""
    place = outputs[:, 0].clamp(0, head.n_classes - 1)
    return head.distance * functional.l1_loss(place, labels.to(outputs.dtype))


def weighted(outputs: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy, and what is given to other classes, by their squared distance."""
    away = (_classes(outputs) - labels[:, None]).abs()  # (batch, class)
    weights = torch.where(away > 0, 1 + away.square(), 0)
    penalty = (outputs.softmax(dim=1) * weights).sum(dim=1).mean()
    return functional.cross_entropy(outputs, labels) + penalty


def regression(outputs: Tensor, values: Tensor, head: Head) -> Tensor:
    """Squared error between the ends of the range, 0 to 1, times the range."""
    share = (values - head.minimum) / head.range
    return head.range * functional.mse_loss(outputs[:, 0].sigmoid(), share.to(outputs.dtype))


def soft(outputs: Tensor, labels: Tensor, places: Tensor, config: SoftConfig) -> Tensor:
    """Kullback-Leibler divergence from :func:`soft_targets`, around the class or the place."""
    n_classes = outputs.shape[1]
    spread = soft_targets(places if config.centre == "value" else labels, n_classes, config)
    at_class = functional.one_hot(labels, n_classes)
    targets = torch.lerp(spread, at_class.to(spread.dtype), config.hard)
    return functional.kl_div(outputs.log_softmax(dim=1), targets, reduction="batchmean")


def soft_targets(centres: Tensor, n_classes: int, config: SoftConfig) -> Tensor:
    """(batch, class) probabilities around centres (batch,), which are in classes.

    With d the distance from the centre and w the width: ``triangular`` w + 1 - d, ``exponential``
    exp(-d), ``gaussian`` exp(-d^2 / (2 deviation^2)), all of them 0 from d = w + 1 on.
    """
    centres = centres.clamp(0, n_classes - 1)[:, None]
    away = (torch.arange(n_classes, device=centres.device) - centres).abs().float()
    reach = config.width + 1
    match config.shape:
        case "triangular":
            targets = reach - away
        case "exponential":
            targets = torch.exp(-away)
        case "gaussian":
            targets = torch.exp(-0.5 * (away / config.deviation).square())
    targets = torch.where(away < reach, targets, 0)
    return targets / targets.sum(dim=1, keepdim=True)


def _classes(outputs: Tensor) -> Tensor:
    return torch.arange(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
