"""Norms: those of torch for every frame alone, and the two that torch lacks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from utils.models.v1_twin.config import BlockConfig
from utils.models.v1_twin.norms import DivisiveNorm, build_norm

CHANNELS = 6
PER_FRAME = {  # what each norm makes of one image (channel, row, column)
    "none": lambda image: image,
    "instance": lambda image: functional.instance_norm(image[None])[0],
    "layer": lambda image: functional.layer_norm(image, image.shape),
    "rms": lambda image: functional.rms_norm(image, image.shape, eps=1e-5),
    "group": lambda image: functional.group_norm(image[None], 2)[0],
    "grn": lambda image: image,  # the identity at the start
}


def norm(kind: str, frames: int = 1) -> nn.Module:
    config = BlockConfig(channels=CHANNELS, norm=kind, norm_groups=2, norm_frames=frames)
    return build_norm(config)


def sequence(*shape: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(*(shape or (2, 3, CHANNELS, 5, 4))) * 2 + 1


@pytest.mark.parametrize("kind", PER_FRAME)
def test_each_frame_is_normalised_alone(kind):
    x = sequence()
    expected = torch.stack([torch.stack([PER_FRAME[kind](f) for f in entry]) for entry in x])
    torch.testing.assert_close(norm(kind)(x), expected)


def test_batch_norm_is_over_all_frames_in_training_and_fixed_after():
    x, batch_norm = sequence(), norm("batch")
    y = batch_norm(x)
    torch.testing.assert_close(y.mean((0, 1, 3, 4)), torch.zeros(CHANNELS), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        y.std((0, 1, 3, 4), correction=0), torch.ones(CHANNELS), atol=1e-4, rtol=0
    )
    batch_norm.eval()
    torch.testing.assert_close(batch_norm(x)[:, :1], batch_norm(x[:, :1]))


def test_response_norm_scales_by_the_energy_relative_to_other_channels():
    grn = norm("grn")
    with torch.no_grad():
        grn.norm.gain.fill_(0.5)
        grn.norm.shift.fill_(0.25)
    x = torch.zeros(1, 1, CHANNELS, 2, 2)
    x[0, 0, 0], x[0, 0, 1] = 3.0, -1.0  # energies 6 and 2, and 0 of the others: mean 8 / 6
    y = grn(x)[0, 0]
    assert y[0, 0, 0].item() == pytest.approx(3 * (1 + 0.5 * 6 / (8 / 6)) + 0.25, rel=1e-4)
    assert y[1, 0, 0].item() == pytest.approx(-1 * (1 + 0.5 * 2 / (8 / 6)) + 0.25, rel=1e-4)


def test_divisive_norm_starts_with_the_mean_over_channels_of_the_place():
    x = sequence()
    expected = x / (1 + x.square().mean(2, keepdim=True)).sqrt()
    torch.testing.assert_close(norm("divisive")(x), expected)


def test_divisive_norm_sees_past_frames_and_repeats_the_first():
    x = sequence(1, 4, CHANNELS, 1, 1)
    pool = x.square().mean(2, keepdim=True)
    past = torch.stack([pool[:, max(t - 1, 0)] for t in range(4)], dim=1)
    recent = torch.tensor(2.0).sigmoid()  # the past has aged by twice the time constant
    expected = x / (1 + recent * pool + (1 - recent) * past).sqrt()
    torch.testing.assert_close(norm("divisive", frames=2)(x), expected)


def test_divisive_norm_never_changes_a_sign():
    divisive = DivisiveNorm(CHANNELS, 3)
    with torch.no_grad():
        divisive.weight.normal_(std=5.0)
    x = sequence()
    assert (divisive(x).sign() == x.sign()).all()


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match="6 channels do not divide into norm_groups = 4"):
        build_norm(BlockConfig(channels=6, norm="group", norm_groups=4))
