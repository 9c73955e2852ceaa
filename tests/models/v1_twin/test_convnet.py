"""Convolutional networks: every bin of a pass is the strided evaluation up to it; flagship."""

from __future__ import annotations

import pytest
import torch

from utils.models.v1_twin.config import ConvNetConfig, NoStage
from utils.models.v1_twin.convnet import ConvNet, build_convnet
from utils.models.v1_twin.phases import unfold_phases
from utils.models.v1_twin.recurrent import ConvGRU

MAX2 = {"type": "max", "size": (2, 2, 2)}
AVG3 = {"type": "avg", "size": (3, 1, 1)}
FLAGSHIP = {
    "type": "resnet",
    "stem": {"channels": 8, "kernel": (1, 7, 7), "weight_norm": True},
    "blocks": [
        *[{"channels": 64, "kernel": (3, 9, 9), "norm": "grn", "pool": MAX2, "weight_norm": True}],
        *[{"channels": 128, "kernel": (3, 5, 5), "norm": "grn", "weight_norm": True}],
    ],
}
SMALL = {  # for a CPU: Gabors, a temporal filter for each, mixed energies, division
    "type": "vanilla",
    "blocks": [
        {"channels": 8, "kernel": (1, 7, 7), "stride_space": 2, "activation": "identity"}
        | {"init": "gabor"},
        {"type": "depthwise", "channels": 16, "kernel": (4, 1, 1), "activation": "square"},
        {"channels": 6, "kernel": (1, 1, 1), "norm": "divisive", "norm_frames": 3},
    ],
}
NORMS = ["batch", "instance", "layer", "rms", "group", "grn", "divisive"]


def network(in_channels: int = 2, **settings) -> ConvNet:
    torch.manual_seed(0)
    return build_convnet(ConvNetConfig(**settings), in_channels).eval()


def two_pools(kind: str, **settings) -> ConvNet:
    """A small network that pools time by 2 and by 3, with kernels over time between and after."""
    kernel = {"channels": 4, "kernel": (2, 3, 3), "norm_groups": 2, "norm_frames": 2} | settings
    return network(type=kind, blocks=[kernel | {"pool": MAX2}, kernel | {"pool": AVG3}, kernel])


def frames(n_frames: int, channels: int = 2, size: int = 17) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, channels, n_frames, size, size)


@pytest.mark.parametrize("kind", ["vanilla", "resnet", "densenet"])
@pytest.mark.parametrize("norm", ["none", "divisive"])
def test_every_frame_is_what_strided_evaluation_up_to_it_gives(kind, norm):
    net, x = two_pools(kind, norm=norm), frames(17)  # 17 frames fill 2 steps of all 6 phases
    memory = ConvGRU(net.out_channels, 3)
    with torch.no_grad():
        every = unfold_phases(memory(net(x)), net.phases)
        assert (net.phases, every.shape[2]) == (6, 12)
        for end in range(5, 17):
            alone = memory(net(x[:, :, : end + 1], last_phase=True))
            torch.testing.assert_close(every[:, :, end - 17], alone[:, :, -1])


def test_frames_that_do_not_fill_all_phases_are_left_out_at_the_start():
    net, x = network(type="vanilla", blocks=[{"channels": 3, "pool": MAX2}]), frames(10)
    torch.testing.assert_close(net(x), net(x[:, :, 1:]))
    assert net(x).shape[2] == 4


@pytest.mark.parametrize("kind", ["vanilla", "resnet", "densenet"])
@pytest.mark.parametrize("norm", NORMS)
def test_later_frames_change_nothing_before(kind, norm):
    net, x = two_pools(kind, norm=norm), frames(17)
    later = x.clone()
    later[:, :, 12:] = torch.randn_like(later[:, :, 12:])
    with torch.no_grad():
        before, after = (unfold_phases(net(values), net.phases) for values in (x, later))
    # the output starts at frame 5
    torch.testing.assert_close(before[:, :, :7], after[:, :, :7])
    assert ((before - after)[:, :, 7:].abs().amax((0, 1, 3, 4)) > 0).all()


def test_batch_norm_in_training_is_the_only_norm_that_sees_other_frames():
    for norm in NORMS:
        net, x = two_pools("vanilla", norm=norm).train(), frames(17)
        later = x.clone()
        later[:, :, 12:] *= 3
        before, after = (unfold_phases(net(values), net.phases)[:, :, :7] for values in (x, later))
        assert torch.allclose(before, after) == (norm != "batch"), norm


@pytest.mark.parametrize("kind", ["vanilla", "resnet", "densenet"])
def test_float32_follows_float64(kind):
    net, x = two_pools(kind, norm="grn"), frames(17)
    single = net(x)
    torch.testing.assert_close(single, net.double()(x.double()).float(), rtol=1e-3, atol=1e-4)


def test_flagship_has_the_shapes_and_weights_of_the_publication():
    net = network(4, **FLAGSHIP)
    features, shapes = frames(18, 4, 51)[:1].transpose(1, 2), []
    with torch.no_grad():
        for block in net.blocks:
            features = block(features, last_phase=True)
            shapes.append(tuple(features.transpose(1, 2).shape[1:]))
    assert shapes == [(16, 18, 45, 45), (128, 9, 18, 18), (256, 9, 14, 14)]
    assert (net.out_channels, net.phases, net.output_size(51, 51)) == (256, 2, (14, 14))
    filters = 8 * 4 * 49 + 64 * 16 * 243 + 128 * 128 * 75
    shortcuts = 16 * 128 + 128 * 256
    lengths_and_biases, norms = 2 * (8 + 64 + 128), 2 * (64 + 128)
    n_parameters = sum(p.numel() for p in net.parameters())
    assert n_parameters == filters + shortcuts + lengths_and_biases + norms


def test_a_small_network_of_gabors_energies_and_division_has_the_size_it_says():
    net = network(1, **SMALL)
    features = net(frames(9, 1, 25))
    assert features.shape == (2, net.out_channels, 9, *net.output_size(25, 25))
    features.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("kind", ["vanilla", "resnet", "densenet"])
def test_output_size_is_that_of_the_output(kind):
    net = two_pools(kind)
    assert net(frames(17, size=19)).shape[1:] == (net.out_channels, 2, *net.output_size(19, 19))


def test_no_network_leaves_frames_as_they_are():
    net, x = build_convnet(NoStage(), 2), frames(3)
    torch.testing.assert_close(net(x), x)
    assert (net.out_channels, net.phases, net.output_size(5, 4)) == (2, 1, (5, 4))


def test_a_network_that_leaves_nothing_of_a_frame_names_the_block_and_the_sizes():
    net = two_pools("vanilla")
    with pytest.raises(ValueError, match="block 2 of the convnet leaves nothing of 2 x 2 pixels"):
        net.output_size(11, 11)


def test_too_few_frames_for_the_pools_are_refused_with_their_number():
    with pytest.raises(ValueError, match=r"over \[3, 1, 1\] .* does not fit into \[2, "):
        two_pools("vanilla")(frames(5))
