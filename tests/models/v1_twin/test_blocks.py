"""Blocks: order of their parts, shortcuts, weight norm, initial filters, what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from utils.models.v1_twin.blocks import Block
from utils.models.v1_twin.config import BlockConfig
from utils.models.v1_twin.gabors import gabor_bank


def block(in_channels: int = 2, join: str = "none", **settings) -> Block:
    torch.manual_seed(0)
    return Block(BlockConfig(**{"channels": 4, "kernel": (2, 3, 3)} | settings), in_channels, join)


def frames(channels: int = 2, size: int = 9) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 6, channels, size, size)


def convolved(one: Block, x: torch.Tensor) -> torch.Tensor:
    """What torch makes of the first convolution of a block."""
    padded = functional.pad(x.transpose(1, 2), (0, 0, 0, 0, 1, 0), mode="replicate")
    stride = (1, one.config.stride_space, one.config.stride_space)
    return functional.conv3d(padded, one.conv.weight, one.conv.bias, stride).transpose(1, 2)


def test_norm_comes_after_the_convolution_then_activation_then_pool():
    one = block(norm="layer", activation="relu", pool={"type": "avg", "size": (1, 2, 2)})
    x = frames()
    normed = functional.group_norm(convolved(one, x).flatten(0, 1), 1)
    expected = functional.avg_pool2d(normed.relu(), 2).unflatten(0, (2, 6))
    torch.testing.assert_close(one(x), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_shortcut_adds_the_input_at_the_centres_of_the_kernels(stride):
    one, x = block(4, "add", stride_space=stride, activation="relu"), frames(4)
    centres = x[..., 1:8:stride, 1:8:stride]
    torch.testing.assert_close(one(x), convolved(one, x).relu() + centres)


def test_a_shortcut_to_other_channels_is_a_projection():
    one, x = block(2, "add"), frames()
    both = convolved(one, x)
    both = torch.cat([both.relu(), (-both).relu()], dim=2)
    assert one.out_channels == 8
    projected = torch.einsum("oc,blcij->bloij", one.shortcut.weight[..., 0, 0, 0], x)
    torch.testing.assert_close(one(x), both + projected[..., 1:8, 1:8])


def test_dense_blocks_put_features_after_their_input():
    one, x = block(2, "concat", activation="relu"), frames()
    assert one.out_channels == 6
    expected = torch.cat([x[..., 1:8, 1:8], convolved(one, x).relu()], dim=2)
    torch.testing.assert_close(one(x), expected)


def test_weight_norm_has_one_length_and_one_direction_per_filter_and_nothing_else():
    plain, normed = block(norm="layer"), block(norm="layer", weight_norm=True)
    torch.testing.assert_close(normed(frames()), plain(frames()))
    extra = sum(p.numel() for p in normed.parameters()) - sum(p.numel() for p in plain.parameters())
    assert extra == 4  # lengths
    assert not list(normed.buffers())
    normed(frames()).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in normed.conv.parameters())


def test_dropout_acts_in_training_only():
    one, x = block(dropout=0.5), frames()
    assert (one(x) == 0).float().mean() > 0.7  # half of it is 0 by splitrelu
    one.eval()
    torch.testing.assert_close(one(x), block()(x))


def test_gabor_filters_start_the_convolution():
    one = block(1, channels=8, kernel=(1, 9, 9), init="gabor")
    filters = one.conv.weight[:, 0, 0].detach()
    torch.testing.assert_close(filters.square().mean((1, 2)), torch.full((8,), 0.25**2))
    torch.testing.assert_close(filters / (0.25 * 9), gabor_bank(8, 9, 9))
    assert one.conv.weight.requires_grad


def test_biphasic_filters_start_the_convolution_with_recent_frames_against_older_ones():
    one = block(2, type="depthwise", kernel=(16, 1, 1), init="biphasic", bias=False)
    step = torch.zeros(1, 40, 2, 1, 1)
    step[:, 20:] = 1.0
    response = one.conv(step)[0, :, 0, 0, 0]
    assert response[:20].abs().max() == 0
    assert response.argmax() == 27  # half of the 16 frames speak for it, then the others against
    torch.testing.assert_close(response[36:], torch.zeros(4), atol=1e-6, rtol=0)


@pytest.mark.parametrize("stride", [1, 3])
def test_a_margin_is_a_border_of_zeros(stride):
    settings = {"stride_space": stride, "activation": "identity"}
    one, x = block(margin=4, **settings), frames()
    torch.testing.assert_close(one(x), block(**settings)(functional.pad(x, 4 * [4])))
    assert one(x).shape[3:] == one.output_size(9, 9)


def test_depthwise_filters_see_their_own_channel_only():
    one, x = block(2, type="depthwise", kernel=(3, 1, 1), activation="identity"), frames()
    changed = x.clone()
    changed[:, :, 1] += 1.0
    difference = (one(changed) - one(x)).abs().amax((0, 1, 3, 4))
    assert (difference[:2] == 0).all()
    assert (difference[2:] > 0).all()


def test_depthwise_channels_must_be_a_multiple_of_those_that_come_in():
    with pytest.raises(ValueError, match="channels = 4 must be a multiple of the 3 channels"):
        block(3, type="depthwise")
