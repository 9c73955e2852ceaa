"""Readouts: masks that sum to 1 and lie where they are said to, and the weighted sums."""

import math

import pytest
import torch
from torch import Tensor

from utils.models.v1_twin.config import GaussianReadoutConfig, LinearReadoutConfig
from utils.models.v1_twin.readout import MIN_STD, GaussianReadout, build_readout

SIZE = (21, 31)


def gaussian(**values: list) -> GaussianReadout:
    """A readout of two cells from three features."""
    torch.manual_seed(0)
    readout = GaussianReadout(GaussianReadoutConfig(std=2.0), 3, 2, SIZE)
    with torch.no_grad():
        for name, value in values.items():
            getattr(readout, name).copy_(torch.tensor(value, dtype=torch.float32))
    return readout


def centre_and_covariance(mask: Tensor) -> tuple[list[float], Tensor]:
    """Mean (x right, y up) and covariance of a mask as a distribution, in pixels."""
    height, width = mask.shape
    columns = torch.arange(width) - (width - 1) / 2
    rows = (height - 1) / 2 - torch.arange(height)
    places = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))  # (2, row, column)
    mean = (places * mask).sum((1, 2))
    apart = places - mean[:, None, None]
    covariance = torch.einsum("ihw,jhw,hw->ij", apart, apart, mask)
    return mean.tolist(), covariance


@pytest.mark.parametrize("std", [0.0, 1e-3, 0.3, 5.0, 1e4])
@pytest.mark.parametrize("mean", [0.0, 0.93, -3.0])
def test_masks_sum_to_1_wherever_they_lie(std: float, mean: float):
    readout = gaussian(std=[[std, 2.0]] * 2, mean=[[mean, -mean]] * 2, theta=[0.4, 2.0])
    masks = readout.masks()
    torch.testing.assert_close(masks.sum((1, 2)), torch.ones(2))
    masks.square().sum().backward()
    assert all(torch.isfinite(v.grad).all() for v in (readout.mean, readout.std, readout.theta))


def test_the_mean_is_x_right_and_y_up_with_the_outermost_pixels_at_1():
    stds = [[1, 1], [MIN_STD, MIN_STD]]
    with torch.no_grad():
        masks = gaussian(mean=[[0.4, -0.5], [1, 1]], std=stds).masks()
    centre, _ = centre_and_covariance(masks[0])
    assert centre == pytest.approx([0.4 * 15, -0.5 * 10], abs=1e-3)
    assert masks[1].argmax() == 30  # right end of the top row


@pytest.mark.parametrize("theta", [0.0, math.pi / 6, -math.pi / 4, math.pi / 2])
def test_theta_turns_the_first_axis_anticlockwise(theta: float):
    with torch.no_grad():
        mask = gaussian(std=[[2.5, 1]] * 2, theta=[theta] * 2).masks()[0]
    _, covariance = centre_and_covariance(mask)
    axis = torch.tensor([math.cos(theta), math.sin(theta)])
    across = torch.tensor([-math.sin(theta), math.cos(theta)])
    expected = 2.5**2 * torch.outer(axis, axis) + torch.outer(across, across)
    torch.testing.assert_close(covariance, expected, atol=0.01, rtol=0)


def test_a_std_below_the_smallest_counts_as_the_smallest():
    masks = gaussian(std=[[1e-9, -1], [MIN_STD, MIN_STD]]).masks()
    torch.testing.assert_close(masks[0], masks[1])


def test_the_drive_is_features_weighted_under_the_mask():
    readout = gaussian(mean=[[0.2, 0.3], [-0.5, 0]], theta=[0.3, 1], bias=[0.5, -2])
    x = torch.randn(4, 3, 5, *SIZE)
    expected = torch.einsum("bclhw,nhw,nc->bln", x, readout.masks(), readout.features)
    torch.testing.assert_close(readout(x), expected + readout.bias, atol=1e-5, rtol=1e-5)


def test_one_place_is_enough():
    config = GaussianReadoutConfig()
    masks = build_readout(config, 4, 3, (1, 1)).masks()
    torch.testing.assert_close(masks, torch.ones(3, 1, 1))


def test_linear_weighs_every_feature_at_every_place():
    readout = build_readout(LinearReadoutConfig(), 3, 2, (4, 5))
    x = torch.randn(2, 3, 6, 4, 5)
    weights = readout.features.view(2, 4, 5, 3)
    expected = torch.einsum("bclhw,nhwc->bln", x, weights) + readout.bias
    torch.testing.assert_close(readout(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("std", [0.2, 1.0, 3.0])
def test_masks_hold_no_denormal_numbers_which_are_slow(std: float):
    with torch.no_grad():
        masks = gaussian(std=[[std, std]] * 2, mean=[[0.3, 0.8], [2.0, 0.0]]).masks()
    assert masks.min() > 1e-20
