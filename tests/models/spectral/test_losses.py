"""Losses against numbers worked out by hand; D = 2 / (3 - 1) = 1 or 6 / 2 = 3."""

from __future__ import annotations

import math

import pytest
import torch

from utils.models.spectral import Head
from utils.models.spectral.config import (
    CrossEntropyConfig,
    OrdinalConfig,
    QuantisedConfig,
    RegressionConfig,
    SoftConfig,
    WeightedConfig,
)
from utils.models.spectral.losses import head_loss, soft_targets

HEAD = Head(name="cutoff", minimum=10.0, maximum=16.0, step=3.0, n_classes=3)  # D = 3
P = torch.tensor([[0.5, 0.25, 0.25]])
LOGITS, LABEL, VALUE = P.log(), torch.tensor([0]), torch.tensor([10.0])


def loss(config, outputs=LOGITS, label=LABEL, value=VALUE) -> float:
    return float(head_loss(config, HEAD, outputs, label, value))


def test_cross_entropy():
    assert loss(CrossEntropyConfig()) == pytest.approx(math.log(2))


def test_smoothed_labels_ask_for_all_classes():
    expected = (0.7 + 0.1) * math.log(2) + 2 * 0.1 * math.log(4)
    assert loss(CrossEntropyConfig(label_smoothing=0.3)) == pytest.approx(expected)


def test_ordinal_is_the_distance_of_the_mean_class_and_some_cross_entropy():
    assert loss(OrdinalConfig()) == pytest.approx(3 * 0.75 + 0.1 * math.log(2))
    assert loss(OrdinalConfig(alpha=0)) == pytest.approx(3 * 0.75)


@pytest.mark.parametrize(("output", "expected"), [(1.5, 4.5), (-4.0, 0.0), (9.0, 6.0)])
def test_quantised_is_a_distance_within_the_classes(output, expected):
    assert loss(QuantisedConfig(), torch.tensor([[output]])) == pytest.approx(expected)


def test_weighted_punishes_by_squared_distance():
    expected = math.log(2) + 0.25 * (1 + 1) + 0.25 * (1 + 4)
    assert loss(WeightedConfig()) == pytest.approx(expected)


def test_regression_compares_shares_of_the_range():
    outputs, value = torch.tensor([[0.0]]), torch.tensor([14.5])  # a half, and three quarters
    assert loss(RegressionConfig(), outputs, value=value) == pytest.approx(6 * 0.25**2)


def test_losses_are_means_over_the_batch():
    outputs = torch.cat([LOGITS, torch.tensor([[0.25, 0.25, 0.5]]).log()])
    labels, values = torch.tensor([0, 0]), torch.tensor([10.0, 10.0])
    assert loss(CrossEntropyConfig(), outputs, labels, values) == pytest.approx(1.5 * math.log(2))
    both = loss(OrdinalConfig(alpha=0), outputs, labels, values)
    assert both == pytest.approx(3 * (0.75 + 1.25) / 2)
    soft = SoftConfig(width=0)
    assert loss(soft, outputs, labels, values) == pytest.approx(1.5 * math.log(2))


@pytest.mark.parametrize(
    ("config", "weights"),
    [
        (dict(shape="triangular", width=1), [0, 1, 2, 1, 0]),
        (dict(shape="triangular", width=2), [1, 2, 3, 2, 1]),
        (dict(shape="triangular", width=0), [0, 0, 1, 0, 0]),
        (dict(shape="exponential", width=1), [0, math.exp(-1), 1, math.exp(-1), 0]),
        (
            dict(shape="gaussian", width=2, deviation=2.0),
            [math.exp(-0.5), math.exp(-0.125), 1, math.exp(-0.125), math.exp(-0.5)],
        ),
    ],
)
def test_soft_targets(config, weights):
    weights = torch.tensor(weights)
    found = soft_targets(torch.tensor([2]), 5, SoftConfig(**config))
    assert torch.allclose(found, (weights / weights.sum())[None])


def test_soft_targets_at_an_end_are_cut():
    found = soft_targets(torch.tensor([0]), 4, SoftConfig(width=1))
    assert torch.allclose(found, torch.tensor([[2 / 3, 1 / 3, 0, 0]]))


def test_a_soft_loss_is_a_divergence():
    target = [2 / 3, 1 / 3]
    expected = target[0] * math.log(target[0] / 0.5) + target[1] * math.log(target[1] / 0.25)
    assert loss(SoftConfig(width=1)) == pytest.approx(expected)
    same = soft_targets(LABEL, 3, SoftConfig(width=2)).log()
    assert loss(SoftConfig(width=2), same) == pytest.approx(0, abs=1e-6)


def test_targets_at_a_value_have_that_mean():
    config = SoftConfig(width=0, centre="value")
    places = torch.tensor([0.0, 0.3, 1.75, 4.0, 4.4])
    targets = soft_targets(places, 5, config)
    assert torch.allclose(targets @ torch.arange(5.0), places.clamp(max=4))
    assert (targets > 0).sum(dim=1).tolist() == [1, 2, 2, 1, 1]
    between = torch.tensor([[0.75, 0.25, 0.0]])  # 10.75 is a quarter of a class above 10
    found = loss(config, torch.log(between + 1e-12), value=torch.tensor([10.75]))
    assert found == pytest.approx(0, abs=1e-6)


def test_a_share_of_the_target_may_stay_at_the_class():
    config = SoftConfig(width=0, centre="value", hard=0.5)
    between = torch.tensor([[0.875, 0.125, 0.0]])  # half of (0.75, 0.25), half of (1, 0)
    found = loss(config, torch.log(between + 1e-12), value=torch.tensor([10.75]))
    assert found == pytest.approx(0, abs=1e-6)
    assert loss(SoftConfig(hard=1.0)) == pytest.approx(loss(CrossEntropyConfig()))


@pytest.mark.parametrize(
    "config",
    [OrdinalConfig(), WeightedConfig(), SoftConfig(), CrossEntropyConfig(label_smoothing=0.1)],
)
def test_losses_have_finite_gradients_at_certain_outputs(config):
    outputs = torch.tensor([[80.0, -80.0, -80.0]], requires_grad=True)
    head_loss(config, HEAD, outputs, torch.tensor([2]), torch.tensor([16.0])).backward()
    assert outputs.grad.isfinite().all()
