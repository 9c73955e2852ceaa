"""The iTransformer: neurons are tokens without order, and attention is the textbook formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import make_world, quick, world_activity
from utils.models.forecasting import itransformer, load_model
from utils.models.forecasting.blocks import Attention
from utils.models.forecasting.itransformer import ITransformerConfig, ITransformerNetwork
from utils.models.forecasting.network import Sizes

SMALL = {"d_model": 8, "n_heads": 2, "ffn_dim": 16}
FREE = {"normalise": "window", "skip": "mean"}


def network(n_neurons=5, n_covariates=0, **settings):
    torch.manual_seed(0)
    config = ITransformerConfig(**{**SMALL, **FREE, **settings})
    return ITransformerNetwork(config, Sizes(24, 6, n_neurons, n_covariates)).eval()


def past_of(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_attention_is_the_softmax_formula():
    attention, x = Attention(6, 2), past_of(3, 5, 6)
    found = attention(x)
    key, value = attention.key_value(x).split(6, dim=2)
    query, heads = attention.query(x), []
    for part in (slice(0, 3), slice(3, 6)):
        scores = query[..., part] @ key[..., part].mT / np.sqrt(3)
        weights = scores.exp() / scores.exp().sum(dim=2, keepdim=True)
        heads.append(weights @ value[..., part])
    torch.testing.assert_close(found, attention.out(torch.cat(heads, dim=2)))


def test_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="d_model 8 must be a multiple of n_heads 3"):
        network(n_heads=3)


def test_relabelled_neurons_give_relabelled_forecasts():
    net, past = network(n_covariates=2), past_of(3, 24, 5)
    covariates, order = past_of(3, 24, 2, seed=1), torch.tensor([3, 0, 4, 1, 2])
    before = net(past, None, covariates).location
    after = net(past[..., order], None, covariates).location
    torch.testing.assert_close(after, before[..., order], rtol=1e-4, atol=1e-5)
    assert ((after - before).abs().amax(dim=1) > 1e-2).all()


def test_which_covariate_it_is_matters():
    net, past = network(n_covariates=2), past_of(3, 24, 5)
    with torch.no_grad():
        net.covariate_code.mul_(50)
    covariates = past_of(3, 24, 2, seed=1)
    before = net(past, None, covariates).location
    after = net(past, None, covariates.flip(2)).location
    assert ((after - before).abs().amax(dim=1) > 1e-4).all()


def test_every_neuron_sees_all_others():
    net, past = network(), past_of(3, 24, 5)
    before = net(past, None, None).location
    changed = past.clone()
    changed[0, :, 2] += past_of(24, seed=1)
    moved = (net(changed, None, None).location != before).any(dim=1)
    assert moved[0].all()
    assert not moved[1:].any()  # but no window sees another


def test_pieces_give_the_same_forecast_and_gradient(monkeypatch):
    net, past = network(), past_of(4, 24, 5)

    def run(tokens_at_once):
        monkeypatch.setattr(itransformer, "TOKENS_AT_ONCE", tokens_at_once)
        net.zero_grad()
        output = net(past, None, None).location
        output.square().mean().backward()
        return output.detach(), [p.grad.clone() for p in net.parameters()]

    whole = run(10**6)
    for tokens_at_once in (3, 15):  # fewer tokens than neurons: one window at a time
        torch.testing.assert_close(run(tokens_at_once), whole, rtol=1e-4, atol=1e-6)


def test_forecasts_a_population_that_it_has_never_seen(world, tmp_path):
    model = quick("itransformer", **SMALL, **FREE).fit(world)
    assert model.transfers
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    past = make_world(np.tile(world_activity(seed=4), 2)[:, :13]).test.batch([0, 5]).past
    found = loaded.predict(past)
    assert found.shape == (2, 6, 13)
    torch.testing.assert_close(found, model.predict(past), rtol=0, atol=0)
    assert loaded.predict(past[..., :1]).shape == (2, 6, 1)


@pytest.mark.parametrize("kept", [{"skip": "population"}, {"normalise": "train"}])
def test_what_belongs_to_a_neuron_does_not_transfer(kept):
    assert not quick("itransformer", **{**SMALL, **FREE, **kept}).transfers
