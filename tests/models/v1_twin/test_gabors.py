"""Gabor filters: quadrature, norm, scales and orientations."""

from __future__ import annotations

import math

import pytest
import torch

from utils.models.v1_twin.gabors import gabor_bank, gabor_weights


@pytest.mark.parametrize("n", [1, 7, 32])
def test_filters_have_norm_one_and_no_mean(n):
    bank = gabor_bank(n, 17, 17)
    assert bank.shape == (n, 17, 17)
    torch.testing.assert_close(bank.flatten(1).norm(dim=1), torch.ones(n))
    torch.testing.assert_close(bank.sum((1, 2)), torch.zeros(n), atol=1e-5, rtol=0)


def test_pairs_are_in_quadrature():
    even, odd = gabor_bank(32, 17, 17).unflatten(0, (16, 2)).unbind(1)
    torch.testing.assert_close((even * odd).sum((1, 2)), torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(even, even.flip(1, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(odd, -odd.flip(1, 2), atol=1e-6, rtol=0)


def preferred(bank: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spatial frequency (c/deg) and orientation (deg) at the peak of each filter's spectrum."""
    power = torch.fft.fft2(bank, s=(512, 512)).abs()
    peak = power.flatten(1).argmax(1)
    frequency = torch.fft.fftfreq(512)
    up, right = -frequency[peak // 512], frequency[peak % 512]  # row 0 is the top
    return 37.5 * torch.hypot(up, right), torch.rad2deg(torch.atan2(up, right)) % 180


def test_scales_and_orientations_cover_what_cells_prefer():
    frequency, angle = preferred(gabor_bank(32, 51, 51)[1::2])  # the odd filters
    assert frequency.min() == pytest.approx(1.6, abs=0.15)
    assert frequency.max() == pytest.approx(7.6, abs=0.3)
    assert (frequency.diff() > 0).all()
    assert torch.cat([angle, angle + 180]).sort().values.diff().max() < 30


def test_orientation_is_counted_anticlockwise_from_right():
    second = gabor_bank(4, 51, 51)[2:]
    _, angle = preferred(second)
    golden = 180 * ((math.sqrt(5) - 1) / 2)
    torch.testing.assert_close(angle, torch.full((2,), golden), atol=3.0, rtol=0)


def test_weights_of_further_channels_and_frames_are_shared_by_a_pair():
    torch.manual_seed(0)
    weights = gabor_weights((6, 3, 2, 9, 9))
    torch.testing.assert_close(weights.flatten(1).norm(dim=1), torch.full((6,), 0.25 * 9))
    mix = (weights * gabor_bank(6, 9, 9)[:, None, None]).sum((3, 4))
    torch.testing.assert_close(mix[0::2], mix[1::2])


@pytest.mark.parametrize("size", [9, 31])
def test_one_channel_and_frame_leaves_the_bank_itself_with_weights_of_one_size(size):
    weights = gabor_weights((4, 1, 1, size, size))[:, 0, 0]
    torch.testing.assert_close(weights.square().mean((1, 2)), torch.full((4,), 0.25**2))
    torch.testing.assert_close(weights / (0.25 * size), gabor_bank(4, size, size))
