"""Activations by name, and the output with its inverse."""

from typing import get_args

import pytest
import torch

from utils.models.v1_twin.activations import (
    MIN_RATE,
    MODULES,
    Output,
    build_activation,
    channels_after,
)
from utils.models.v1_twin.config import Activation


def test_every_activation_of_the_configs_exists():
    assert set(get_args(Activation)) == set(MODULES)


@pytest.mark.parametrize("name", get_args(Activation))
def test_channels_come_out_as_announced(name: str):
    images = torch.randn(2, 3, 4, 5)
    assert build_activation(name)(images).shape == (2, channels_after(name, 3), 4, 5)


def test_splitrelu_keeps_both_signs_in_channels_that_are_last_in_memory():
    images = torch.randn(2, 3, 4, 5)
    out = build_activation("splitrelu")(images)
    torch.testing.assert_close(out, torch.cat([images.relu(), (-images).relu()], dim=1))
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_splitsquare_halves_a_square_into_its_two_signs():
    images = torch.randn(2, 3, 4, 5)
    positive, negative = build_activation("splitsquare")(images).chunk(2, dim=1)
    torch.testing.assert_close(positive + negative, images.square())
    torch.testing.assert_close(positive > 0, images > 0)


def test_the_gradient_of_splitsquare_is_that_of_its_steps():
    images = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    steps = torch.cat([images.relu(), (-images).relu()], dim=1).square()
    expected = torch.autograd.grad((weights * steps).sum(), images)
    found = torch.autograd.grad((weights * build_activation("splitsquare")(images)).sum(), images)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.gradcheck(build_activation("splitsquare"), images)


@pytest.mark.parametrize("kind", ["softplus", "relu", "exp", "identity"])
def test_the_inverse_of_an_output_yields_the_rate(kind: str):
    output = Output(kind)
    rates = torch.tensor([1e-4, 0.125, 1.0, 30.0], dtype=torch.float64)
    torch.testing.assert_close(output(output.inverse(rates)), rates)


@pytest.mark.parametrize("kind", ["softplus", "relu", "exp"])
def test_a_silent_cell_has_a_finite_drive(kind: str):
    output = Output(kind)
    drive = output.inverse(torch.zeros(1))
    assert torch.isfinite(drive).all()
    torch.testing.assert_close(output(drive), torch.tensor([MIN_RATE]), rtol=1e-3, atol=0)
