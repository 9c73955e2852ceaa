"""PatchTST: each neuron from itself alone, one network for any number of neurons."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import make_world, quick, world_activity
from utils.models.forecasting import load_model, patchtst
from utils.models.forecasting.network import Sizes
from utils.models.forecasting.patchtst import PatchTSTConfig, PatchTSTNetwork

SMALL = {"d_model": 8, "n_heads": 2, "ffn_dim": 16, "patch": 8, "stride": 4}
FREE = {"normalise": "window", "skip": "mean"}


def network(context=24, horizon=6, n_neurons=5, n_covariates=0, **settings):
    torch.manual_seed(0)
    config = PatchTSTConfig(**{**SMALL, **FREE, **settings})
    return PatchTSTNetwork(config, Sizes(context, horizon, n_neurons, n_covariates)).eval()


def past_of(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("context", "patch", "stride", "starts"),
    [
        (24, 8, 4, [0, 4, 8, 12, 16, 20]),  # the last patch holds 4 repeated frames
        (23, 8, 5, [0, 5, 10, 15, 20]),  # patches that do not divide the context
        (6, 16, 8, [0, 6]),  # a context shorter than a patch
        (1, 16, 8, [0, 1]),
        (10, 3, 7, [0, 3, 6, 9]),  # a stride that would leave frames out
    ],
)
def test_patches_cover_the_context_and_repeat_its_end(context, patch, stride, starts):
    net = network(context=context, patch=patch, stride=stride)
    past = past_of(2, context, 5)
    found = net._patches(past)
    frames = np.minimum(np.array(starts)[:, None] + np.arange(min(patch, context)), context - 1)
    assert set(frames.ravel()) == set(range(context))
    torch.testing.assert_close(found, past[:, frames].permute(0, 3, 1, 2), rtol=0, atol=0)
    assert net(past, None, None).location.shape == (2, 6, 5)


def test_a_neuron_is_forecast_from_itself_alone():
    net, past = network(), past_of(3, 24, 5)
    changed = past.clone()
    changed[:, :, 2] += past_of(3, 24, seed=1)
    before, after = net(past, None, None).location, net(changed, None, None).location
    others = [0, 1, 3, 4]
    torch.testing.assert_close(before[..., others], after[..., others], rtol=0, atol=0)
    assert ((before - after)[..., 2].abs().amax(dim=1) > 1e-2).all()
    alone = torch.cat([net(past[:, :, [j]], None, None).location for j in range(5)], dim=2)
    torch.testing.assert_close(alone, before, rtol=1e-4, atol=1e-5)


def test_level_and_scale_of_a_window_carry_through():
    net, past = network(), past_of(3, 24, 5)
    net.neurons.typical.fill_(1e-6)  # no floor of the deviation
    before = net(past, None, None).location
    after = net(7 * past - 30, None, None).location
    torch.testing.assert_close(after, 7 * before - 30, rtol=1e-4, atol=1e-3)


def test_pieces_give_the_same_forecast_and_gradient(monkeypatch):
    net, past = network(), past_of(4, 24, 5)

    def run(tokens_at_once):
        monkeypatch.setattr(patchtst, "TOKENS_AT_ONCE", tokens_at_once)
        net.zero_grad()
        output = net(past, None, None).location
        output.square().mean().backward()
        return output.detach(), [p.grad.clone() for p in net.parameters()]

    whole, pieces = run(10**6), run(20)  # 20 series of 6 patches, 3 at a time
    torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-6)


def test_norms_count_each_piece_once(monkeypatch):
    monkeypatch.setattr(patchtst, "TOKENS_AT_ONCE", 20)
    net = network(dropout=0.0).train()
    output = net(past_of(4, 24, 5), None, None).location
    before = {name: value.clone() for name, value in net.named_buffers() if "running" in name}
    output.square().mean().backward()  # computes the pieces again
    after = dict(net.named_buffers())
    assert len(before) == 8
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0)
    assert all(norm.momentum == 0.1 for layer in net.layers for norm in layer.norms)


@pytest.mark.parametrize("head", ["point", "quantile"])
def test_forecasts_neurons_that_it_has_never_seen(world, head, tmp_path):
    model = quick("patchtst", **SMALL, **FREE, head=head).fit(world)
    assert model.transfers
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    batch = make_world(np.tile(world_activity(seed=4), 2)[:, :13]).test.batch([0, 5])
    found = loaded.predict(batch.past)
    assert found.shape == (2, 6, 13)
    torch.testing.assert_close(found[..., :3], found[..., 10:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found, model.predict(batch.past), rtol=0, atol=0)
    one = loaded.predict(batch.past[..., :1])
    torch.testing.assert_close(one, found[..., :1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kept", [{"skip": "linear"}, {"normalise": "train"}])
def test_what_belongs_to_a_neuron_does_not_transfer(kept):
    assert not quick("patchtst", **{**SMALL, **FREE, **kept}).transfers


def test_behaviour_is_added_to_the_patches_in_which_it_happened():
    net, past = network(n_covariates=2), past_of(3, 24, 5)
    seen = []
    net.dropout.register_forward_hook(lambda module, args, tokens: seen.append(tokens))
    still = past_of(3, 24, 2)
    moved = still.clone()
    moved[1, 5, 0] += 1.0  # in patches 0 (frames 0 to 7) and 1 (frames 4 to 11)
    for covariates in (still, moved):
        net(past, None, covariates)
    changed = (seen[0] != seen[1]).any(dim=2).unflatten(0, (3, 5))  # (batch, neuron, patch)
    expected = torch.zeros(3, 5, 6, dtype=torch.bool)
    expected[1, :, :2] = True
    assert torch.equal(changed, expected)
