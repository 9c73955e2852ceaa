"""Element-wise losses: weights per entry, and a penalty of the right sign."""

from __future__ import annotations

import pytest
import torch

from utils.models.forecasting.losses import (
    SCALE_RANGE,
    event_weights,
    scale_penalty,
    student_t_loss,
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


def test_likelihood_alone_shrinks_the_scale_of_a_silent_neuron_and_the_penalty_stops_it():
    def fitted(weight):
        log_scale = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([log_scale], lr=0.05)
        for _ in range(400):
            optimizer.zero_grad()
            silent = torch.zeros(1)
            loss = student_t_loss(silent, log_scale, torch.tensor([4.0]), silent)
            (loss + weight * scale_penalty(log_scale)).sum().backward()
            optimizer.step()
        return log_scale.exp().item()

    assert fitted(0.0) < 1e-6
    assert SCALE_RANGE[0] / 3 < fitted(1.0) < SCALE_RANGE[1]


def test_student_t_loss_is_the_negative_log_density():
    loss = student_t_loss(
        torch.tensor(0.5), torch.tensor(0.0), torch.tensor(3.0), torch.tensor(0.5)
    )
    assert loss.exp().item() == pytest.approx(1 / 0.36755259694, rel=1e-5)
