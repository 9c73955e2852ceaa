"""Element-wise losses: weights per entry, and a penalty of the right sign."""

from __future__ import annotations

import pytest
import torch

from utils.models.forecasting.losses import (
    SCALE_RANGE,
    event_weights,
    scale_penalty,
    weighted_mean,
)


def test_weights_belong_to_single_entries():
    future = torch.tensor([[[0.0, 5.0, 0.0]]])  # one active neuron of three
    weights = event_weights(future, torch.tensor([1.0, 1.0, 1.0]), 10.0)
    assert weights.flatten().tolist() == [1.0, 10.0, 1.0]


def test_weighted_mean_ignores_masked_entries():
    values = torch.tensor([1.0, 100.0, 3.0])
    mask = torch.tensor([True, False, True])
    weights = torch.tensor([1.0, 1.0, 3.0])
    assert weighted_mean(values, weights, None) == pytest.approx(110 / 5)
    assert weighted_mean(values, weights, mask) == pytest.approx(10 / 4)
    assert weighted_mean(values, weights, torch.zeros(3, dtype=torch.bool)) == 0


@pytest.mark.parametrize(
    ("scale", "sign"), [(SCALE_RANGE[0] / 3, -1), (1.0, 0), (SCALE_RANGE[1] * 3, 1)]
)
def test_penalty_pushes_the_scale_back_into_its_range(scale, sign):
    """A step against the gradient lowers a scale that is too large and raises one too small."""
    log_scale = torch.tensor(scale).log().requires_grad_()
    scale_penalty(log_scale).backward()
    assert log_scale.grad.sign() == sign
