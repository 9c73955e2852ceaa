"""Losses against values by hand, masks of both shapes, scores of a validation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from utils.metrics import bits_per_spike as metric
from utils.models.v1_twin.losses import (
    LOSSES,
    Sums,
    bits_per_spike,
    deviance_explained,
    loss_sums,
    twin_loss,
)

RATES = torch.tensor([[[0.5, 2.0], [1.0, 4.0], [2.0, 1.0]]])  # (batch, time, cell)
COUNTS = torch.tensor([[[0.0, 3.0], [1.0, 4.0], [2.0, 9.0]]])
MASK = torch.tensor([[[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]])


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        (
            "poisson",
            (0.5 + (2 - 3 * math.log(2)) + 1 + (4 - 4 * math.log(4)) + 2 - math.log(4)) / 5,
        ),
        ("gaussian", (0.25 + 1) / 5),
        ("tweedie", 2 * (math.sqrt(0.5) + (2 + 3) / math.sqrt(2) + 2 + 4 + 2 * math.sqrt(2)) / 5),
    ],
)
def test_losses_are_those_computed_by_hand(name, by_hand):
    assert twin_loss(name, RATES, COUNTS, MASK).item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_expected_response_is_the_best_constant_rate(name):
    responses = torch.tensor([0.0, 0, 0, 1.5, 4.5]).view(1, 5, 1)
    candidates = torch.linspace(0.2, 3, 281)
    losses = torch.stack(
        [twin_loss(name, rate.expand(1, 5, 1), responses, torch.ones(1, 5, 1))
         for rate in candidates]
    )  # fmt: skip
    assert candidates[losses.argmin()].item() == pytest.approx(1.2, abs=0.011)


@pytest.mark.parametrize("name", LOSSES)
def test_masks_of_both_shapes_weigh_the_same(name):
    narrow = torch.tensor([[[1.0], [0.0], [1.0]]])
    wide = narrow.expand(1, 3, 2)
    assert twin_loss(name, RATES, COUNTS, narrow) == twin_loss(name, RATES, COUNTS, wide)
    sums = [loss_sums(name, RATES, COUNTS, mask, torch.ones(2)) for mask in (narrow, wide)]
    torch.testing.assert_close(*sums, rtol=0, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_masked_entries_do_not_count(name):
    rates = RATES.clone().requires_grad_()
    twin_loss(name, rates, COUNTS, MASK).backward()
    assert rates.grad[0, 2, 1] == 0
    assert rates.grad[0, 0].all()
    nothing = twin_loss(name, RATES, COUNTS, torch.zeros(1, 3, 1))
    assert nothing == 0


@pytest.mark.parametrize("name", LOSSES)
def test_silent_rates_give_finite_losses_and_gradients(name):
    rates = torch.zeros(1, 3, 2, requires_grad=True)
    loss = twin_loss(name, rates, COUNTS, MASK)
    loss.backward()
    assert loss.isfinite()
    assert rates.grad.isfinite().all()


def test_bits_per_spike_is_the_metric_whatever_the_batches():
    generator = torch.Generator().manual_seed(0)
    rates = torch.rand(6, 50, 4, generator=generator) + 0.1
    counts = torch.poisson(rates, generator=generator)
    mask = (torch.rand(6, 50, 4, generator=generator) < 0.8).float()
    mask[..., 3] = 0  # a cell without valid bins
    mean = torch.tensor([0.4, 0.5, 0.6, 0.7])
    parts = [
        loss_sums("poisson", rates[part], counts[part], mask[part], mean)
        for part in (slice(2), slice(2, 6))
    ]
    scores = bits_per_spike(Sums(*map(sum, zip(*parts))))
    flat = [values.flatten(0, 1).numpy() for values in (counts, rates)]
    expected = metric(*flat, mean.numpy(), mask.flatten(0, 1).numpy())
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    assert scores.isnan().tolist() == [False, False, False, True]


def test_deviance_explained_by_the_truth_is_one_and_by_the_mean_zero():
    responses, mask = torch.tensor([[[0.0], [1.0], [5.0]]]), torch.ones(1, 3, 1)
    mean = torch.tensor([2.0])
    for name in ("gaussian", "tweedie"):
        truth = loss_sums(name, responses, responses, mask, mean)
        assert deviance_explained(truth).item() == pytest.approx(1)
        constant = loss_sums(name, mean.expand(1, 3, 1), responses, mask, mean)
        assert deviance_explained(constant).item() == pytest.approx(0)
    half = loss_sums("gaussian", torch.tensor([[[2.0], [2.0], [5.0]]]), responses, mask, mean)
    assert deviance_explained(half).item() == pytest.approx(1 - 5 / 14)
