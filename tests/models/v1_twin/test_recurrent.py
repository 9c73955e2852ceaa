"""Recurrent stages: their equations, start, causality, and torch's own cells as a check."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from utils.models.v1_twin.config import NoStage, RecurrentConfig
from utils.models.v1_twin.recurrent import ConvGRU, build_recurrent

KINDS = ["convgru", "gru", "lstm"]


def stage(kind: str, in_channels: int = 3, channels: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return build_recurrent(RecurrentConfig(type=kind, channels=channels), in_channels)


def features(n_frames: int = 5, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 3, n_frames, 4, 5, dtype=dtype)


def test_a_step_of_the_gru_follows_its_equations():
    gru, x = stage("convgru"), features(2)

    def convolved(*parts: torch.Tensor, gate: int) -> torch.Tensor:
        weight, bias = gru.weight[4 * gate :][:4], gru.bias[4 * gate :][:4]
        return nn.functional.conv2d(torch.cat(parts, dim=1), weight, bias, padding=1)

    state = torch.zeros(2, 4, 4, 5)
    for frame in x.unbind(2):
        update = convolved(frame, state, gate=0).sigmoid()
        reset = convolved(frame, state, gate=1).sigmoid()
        candidate = convolved(frame, reset * state, gate=2).tanh()
        state = (1 - update) * state + update * candidate
    torch.testing.assert_close(gru(x)[:, :, -1], state)


def test_lstm_is_that_of_torch_at_every_place():
    lstm, x = stage("lstm"), features()
    theirs = nn.LSTM(3, 4, batch_first=True)
    order = [0, 1, 3, 2]  # torch has the candidate before the output gate
    weight, bias = (
        values.unflatten(0, (4, 4))[order].flatten(0, 1)
        for values in (lstm.weight[..., 0, 0], lstm.bias)
    )
    theirs.load_state_dict(
        {
            **{"weight_ih_l0": weight[:, :3], "weight_hh_l0": weight[:, 3:]},
            **{"bias_ih_l0": bias, "bias_hh_l0": torch.zeros(16)},
        }
    )
    expected, _ = theirs(x.permute(0, 3, 4, 2, 1).flatten(0, 2))
    found = lstm(x).permute(0, 3, 4, 2, 1).flatten(0, 2)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_filters_of_each_gate_start_orthogonal(kind):
    one = stage(kind)
    for gate in one.weight.split(4):
        rows = gate.flatten(1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(4), atol=1e-5, rtol=0)


def test_biases_start_as_published():
    expected = torch.tensor([1.0] * 4 + [0.0] * 8)
    torch.testing.assert_close(stage("convgru").bias.detach(), expected)
    torch.testing.assert_close(stage("gru").bias.detach(), expected)
    forget = torch.tensor([0.0] * 4 + [1.0] * 4 + [0.0] * 8)
    torch.testing.assert_close(stage("lstm").bias.detach(), forget)


@pytest.mark.parametrize("kind", KINDS)
def test_later_frames_change_nothing_before(kind):
    one, x = stage(kind), features()
    later = x.clone()
    later[:, :, 3:] += 1.0
    before, after = one(x), one(later)
    torch.testing.assert_close(before[:, :, :3], after[:, :, :3])
    assert ((before - after)[:, :, 3:].abs().amax((0, 1, 3, 4)) > 0).all()


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_gru_and_lstm_see_one_place(kind):
    one, x = stage(kind), features()
    changed = x.clone()
    changed[..., 1, 2] += 1.0
    differs = (one(x) != one(changed)).any(dim=2).any(dim=1).any(dim=0)
    assert differs.nonzero().tolist() == [[1, 2]]


@pytest.mark.parametrize("kind", KINDS)
def test_float32_follows_float64(kind):
    one = stage(kind)
    single = one(features())
    torch.testing.assert_close(single, one.double()(features().double()).float())


def test_flagship_recurrence_has_the_weights_of_the_publication():
    gru = ConvGRU(256, 128)
    assert sum(p.numel() for p in gru.parameters()) == 3 * 128 * (256 + 128) * 9 + 3 * 128


def test_no_stage_leaves_features_as_they_are():
    none, x = build_recurrent(NoStage(), 3), features()
    torch.testing.assert_close(none(x), x)
    assert none.out_channels == 3


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="recurrent kernel = 4: it must be odd"):
        ConvGRU(3, 4, kernel=4)
