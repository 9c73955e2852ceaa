"""Layers of several networks: what is written for speed equals what it replaces."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from utils.models.forecasting.blocks import FEW_TOKENS, Attention, Dropout, attend_to_few
from utils.models.forecasting.ridge import own_part, shared_part


def attention_by_torch(query, key, value, n_heads):
    heads = (part.unflatten(2, (n_heads, -1)).transpose(1, 2) for part in (query, key, value))
    return scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("n_heads", [1, 2, 8])
@pytest.mark.parametrize(("n_tokens", "n_others"), [(1, 1), (6, 6), (3, 12), (5, 1)])
def test_attention_to_few_tokens_is_that_of_torch(n_heads, n_tokens, n_others):
    torch.manual_seed(0)
    shapes = (7, n_tokens, 8), (7, n_others, 8), (7, n_others, 8)
    parts = [torch.randn(shape).double().requires_grad_() for shape in shapes]
    found, expected = (attend(*parts, n_heads) for attend in (attend_to_few, attention_by_torch))
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad(mixed.square().sum(), parts) for mixed in (found, expected))
    for mine, theirs in zip(*gradients):
        torch.testing.assert_close(mine, theirs)


def test_large_scores_do_not_overflow():
    query = torch.full((1, 2, 4), 1e3)
    key = torch.stack([query[0, 0], -query[0, 0]])[None]
    found = attend_to_few(query, key, torch.eye(2, 4)[None], 1)
    torch.testing.assert_close(found, torch.eye(2, 4)[[0, 0]][None])


@pytest.mark.parametrize("n_tokens", [FEW_TOKENS, FEW_TOKENS + 1])
def test_attention_is_the_same_on_both_sides_of_few_tokens(n_tokens):
    torch.manual_seed(0)
    layer, x = Attention(8, 2), torch.randn(3, n_tokens, 8)
    key, value = layer.key_value(x).chunk(2, dim=2)
    expected = layer.out(attention_by_torch(layer.query(x), key, value, 2))
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("p", [0.001, 0.2, 0.5, 0.99])
def test_dropout_drops_its_part_and_keeps_the_mean(p):
    torch.manual_seed(0)
    n = 10**6 - 1  # no multiple of the numbers that are drawn at once
    kept = Dropout(p)(torch.ones(n))
    deviation = (p * (1 - p) / n) ** 0.5
    assert abs((kept == 0).double().mean().item() - p) < 5 * deviation + 2**-17
    assert abs(kept.double().mean().item() - 1) < 5 * deviation / (1 - p)
    assert len(kept.unique()) == 2


def test_dropout_draws_each_number_by_itself():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(2**20)) > 0).double() - 0.5
    for lag in (1, 2, 3, 4, 5, 8):
        correlation = 4 * (kept[lag:] * kept[:-lag]).mean().item()
        assert abs(correlation) < 5 / 2**10


def test_dropout_repeats_with_its_seed_and_passes_the_gradient_of_what_it_kept():
    x, layer = torch.randn(5, 7, 3).transpose(0, 1).requires_grad_(), Dropout(0.3)
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    torch.testing.assert_close(layer(x), first, rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(gradient * x, first)
    assert not torch.equal(layer(x), first)


@pytest.mark.parametrize("p", [0.0, 1.0, 1e-7])
def test_dropout_of_nothing_or_all(p):
    torch.manual_seed(0)
    torch.testing.assert_close(Dropout(p)(torch.ones(1000)), torch.full((1000,), float(p < 0.5)))


def test_dropout_leaves_alone_in_evaluation_and_takes_nothing():
    x = torch.randn(4, 3)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.5)(x[:0]).shape == (0, 3)
    assert Dropout(0.5)(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("batch", [0, 1, 4])
def test_products_of_linear_forecasts_are_those_of_einsum(batch):
    torch.manual_seed(0)
    recent, maps = torch.randn(batch, 5, 7), torch.randn(7, 3, 5)
    expected = torch.einsum("bln,nhl->bhn", recent, maps)
    torch.testing.assert_close(own_part(recent, maps), expected)
    for n_series in (0, 2):
        recent, maps = torch.randn(batch, 5, n_series), torch.randn(7, 3, 5, n_series)
        expected = torch.einsum("blk,nhlk->bhn", recent, maps)
        torch.testing.assert_close(shared_part(recent, maps), expected)
