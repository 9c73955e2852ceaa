"""Modulators: behaviour as channels, as scale and shift, and in a recurrence."""

import pytest
import torch

from utils.models.v1_twin.config import ModulatorConfig, NoStage
from utils.models.v1_twin.modulator import build_modulator

FEATURES = torch.randn(2, 5, 4, 3, 6, generator=torch.Generator().manual_seed(0))
BEHAVIOR = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(1))


def built(kind: str, channels: int = 5, **changes: object) -> torch.nn.Module:
    torch.manual_seed(2)
    config = ModulatorConfig(type=kind, hidden=(16, 9), channels=8, **changes)
    return build_modulator(config, 7, channels)


def later_changed(values: torch.Tensor, dim: int) -> torch.Tensor:
    """The same up to the last frame."""
    changed = values.clone()
    changed.select(dim, -1).add_(1)
    return changed


@pytest.mark.parametrize(("kind", "channels"), [("concat", 14), ("film", 5), ("convgru", 8)])
def test_channels_come_out_as_announced(kind: str, channels: int):
    modulator = built(kind)
    assert modulator.out_channels == channels
    assert modulator(FEATURES, BEHAVIOR).shape == (2, channels, 4, 3, 6)


def test_concat_keeps_features_and_adds_the_same_values_everywhere():
    modulator = built("concat")
    out = modulator(FEATURES, BEHAVIOR)
    torch.testing.assert_close(out[:, :5], FEATURES)
    added = modulator.network(BEHAVIOR).mT[..., None, None]  # (batch, channel, frame, 1, 1)
    torch.testing.assert_close(out[:, 5:], added.expand(-1, -1, -1, 3, 6))


def test_film_is_the_identity_at_the_start():
    assert torch.equal(built("film")(FEATURES, BEHAVIOR), FEATURES)


def test_film_learns_from_the_start_and_then_scales_and_shifts():
    modulator = built("film")
    modulator(FEATURES, BEHAVIOR).square().sum().backward()
    assert modulator.to_scale_and_shift.weight.grad.abs().min() > 0
    with torch.no_grad():
        modulator.to_scale_and_shift.bias.copy_(torch.arange(10) / 10)
    scale, shift = (torch.arange(10) / 10).view(2, 5, 1, 1, 1)
    torch.testing.assert_close(modulator(FEATURES, BEHAVIOR), (1 + scale) * FEATURES + shift)


@pytest.mark.parametrize("kind", ["concat", "film", "convgru"])
def test_no_frame_sees_later_ones(kind: str):
    modulator = built(kind)
    with torch.no_grad():
        for values in modulator.parameters():
            values.add_(0.1)
        before = modulator(FEATURES, BEHAVIOR)
        after = modulator(later_changed(FEATURES, 2), later_changed(BEHAVIOR, 1))
    assert torch.equal(before[:, :, :-1], after[:, :, :-1])
    assert not torch.equal(before[:, :, -1], after[:, :, -1])


@pytest.mark.parametrize(("kind", "channels"), [("concat", 9), ("convgru", 8)])
def test_behaviour_alone_has_one_place(kind: str, channels: int):
    assert built(kind, channels=0)(None, BEHAVIOR).shape == (2, channels, 4, 1, 1)


def test_dropout_drops_in_training_only():
    modulator = built("concat", dropout=0.5)
    assert not torch.equal(modulator(FEATURES, BEHAVIOR), modulator(FEATURES, BEHAVIOR))
    modulator.eval()
    assert torch.equal(modulator(FEATURES, BEHAVIOR), modulator(FEATURES, BEHAVIOR))


def test_none_leaves_features_alone():
    modulator = build_modulator(NoStage(), 7, 5)
    assert modulator.out_channels == 5
    assert modulator(FEATURES, None) is FEATURES
