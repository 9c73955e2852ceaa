"""What predicted rates are judged by: of counts, of dF/F, and of deconvolved activity.

A loss is a mean over valid bins and cells of the negative log-likelihood, up to a constant of the
data. All of them are smallest where the rate is the expected response.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

LossName = Literal["poisson", "gaussian", "tweedie"]
SMALLEST_RATE = 1e-8  # counts per bin, as in the original
SMALLEST_MEAN = 1e-6  # of deconvolved activity


def twin_loss(name: LossName, rates: Tensor, responses: Tensor, mask: Tensor) -> Tensor:
    """Scalar: the mean over valid entries, 0 where there are none.

    Parameters
    ----------
    name : ``"poisson"`` for spike counts; ``"gaussian"`` (squared error) for dF/F; ``"tweedie"``
        for deconvolved activity, which is 0 in most bins and positive in others: a Poisson number
        of events of gamma-distributed sizes, whose variance grows with the mean to the power 1.5
        (Jørgensen, "Exponential Dispersion Models", 1987).
    rates, responses : (batch, time, cell).
    mask : (batch, time, cell) or (batch, time, 1), which counts for every cell; 1 where valid.
    """
    terms = LOSSES[name](rates.float(), responses)
    mask = mask.expand_as(terms)
    return (mask * terms).sum() / mask.sum().clamp(min=1)


def poisson(rates: Tensor, counts: Tensor) -> Tensor:
    """r - y log r."""
    return rates - counts * torch.log(rates + SMALLEST_RATE)


def gaussian(rates: Tensor, responses: Tensor) -> Tensor:
    """Squared error."""
    return (rates - responses).square()


def tweedie(rates: Tensor, responses: Tensor) -> Tensor:
    """2 (sqrt(r) + y / sqrt(r))."""
    root = rates.clamp(min=SMALLEST_MEAN).sqrt()
    return 2 * (root + responses / root)


LOSSES: dict[LossName, Callable[[Tensor, Tensor], Tensor]] = {
    "poisson": poisson,
    "gaussian": gaussian,
    "tweedie": tweedie,
}


class Sums(NamedTuple):
    """Sums over valid bins, each (cell,): those of several batches add up."""

    loss: Tensor  # of the rates
    gain: Tensor  # how much smaller that is than the loss of the mean rate
    best_gain: Tensor  # the gain of rates that equal the responses
    responses: Tensor
    bins: Tensor


def loss_sums(
    name: LossName, rates: Tensor, responses: Tensor, mask: Tensor, mean_rates: Tensor
) -> Sums:
    """What the scores of a validation need of a batch.

    Parameters
    ----------
    rates, responses, mask : as for :func:`twin_loss`.
    mean_rates : (cell,) mean responses of the training data.
    """
    rates, loss = rates.float(), LOSSES[name]
    mask = mask.expand_as(rates)
    of_rates, of_mean = loss(rates, responses), loss(mean_rates.expand_as(rates), responses)
    terms = (
        of_rates,
        of_mean - of_rates,  # before summing: the sums are large, their difference is not
        of_mean - loss(responses, responses),
        responses,
        torch.ones_like(rates),
    )
    return Sums(*((mask * term).sum(dim=(0, 1)) for term in terms))


def bits_per_spike(sums: Sums) -> Tensor:
    """(cell,) of a Poisson loss, unclamped; NaN without a spike."""
    return sums.gain / (math.log(2) * sums.responses)


def deviance_explained(sums: Sums) -> Tensor:
    """(cell,) share of the deviance from the mean rate; NaN where nothing deviates.

    Of a Gaussian loss this is the explained variance.
    """
    return sums.gain / sums.best_gain
