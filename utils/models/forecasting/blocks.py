"""Layers that several networks are made of; attention to many tokens is the fused one of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

FEW_TOKENS = 12  # up to here plain products are faster on a CPU than the fused kernel


class Attention(nn.Module):
    """Multi-head attention of ``x`` to ``context`` (to itself where none is given).

    Attention weights are not dropped out: on a CPU that would need the matrix of all weights, with
    memory that grows with the square of the tokens.
    """

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(batch, token, d_model), (batch, other token, d_model) -> (batch, token, d_model)."""
        key, value = self.key_value(x if context is None else context).chunk(2, dim=-1)
        few = x.device.type == "cpu" and key.shape[1] <= FEW_TOKENS
        attend = attend_to_few if few else attend_to_many
        return self.out(attend(self.query(x), key, value, self.n_heads))


class TransformerLayer(nn.Module):
    """Attention and a feed-forward network, each added to its input and then normalised."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        ffn_dim: int,
        dropout: float = 0.0,
        norm: Literal["layer", "batch"] = "layer",
    ) -> None:
        super().__init__()
        self.attention = Attention(d_model, n_heads)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, ffn_dim),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(ffn_dim, d_model),
        )
        make_norm = nn.LayerNorm if norm == "layer" else TokenBatchNorm
        self.norms = nn.ModuleList(make_norm(d_model) for _ in range(2))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(batch, token, d_model) -> the same shape."""
        x = self.norms[0](x + self.dropout(self.attention(x, context)))
        return self.norms[1](x + self.dropout(self.feed_forward(x)))


class Dropout(nn.Dropout):
    """Dropout that draws 16 random bits for a number, which a CPU does several times as fast."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        dropped, n = round(self.p * 2**16), x.numel()  # of 2**16 equally likely
        if not self.training or x.device.type != "cpu" or not 0 < dropped < 2**16:
            return super().forward(x)
        bits = torch.empty(-(-n // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = bits.view(torch.int16)[:n].view(x.shape) >= dropped - 2**15
        return x * kept.to(x.dtype).mul_(2**16 / (2**16 - dropped))


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of each feature over batch and tokens, as in PatchTST."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, token, feature) -> the same shape."""
        return super().forward(x.flatten(0, -2)).view_as(x)


def near_zero(n_inputs: int, n_outputs: int) -> nn.Linear:
    """Last layer of a network whose training starts at the forecast that it corrects."""
    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


def attend_to_many(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    """Attention in the fused kernel of torch: (batch, token, d_model) -> the same shape."""
    query, key, value = (
        part.unflatten(-1, (n_heads, -1)).transpose(1, 2)  # (batch, head, token, width)
        for part in (query, key, value)
    )
    return scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def attend_to_few(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    """The same for very many sequences of few tokens, each too small for the fused kernel.

    The softmax is written out because that of torch is slow for rows of few numbers.
    """
    width = query.shape[2] // n_heads
    mixed = []
    for q, k, v in zip(*(part.split(width, dim=2) for part in (query * width**-0.5, key, value))):
        scores = q @ k.mT  # (batch, token, other token)
        weights = (scores - scores.detach().amax(dim=2, keepdim=True)).exp()
        mixed.append((weights / weights.sum(dim=2, keepdim=True)) @ v)
    return torch.cat(mixed, dim=2)


def in_pieces(
    function: Callable[[Tensor], Tensor], rows: Tensor, at_once: int, layers: nn.Module
) -> Tensor:
    """``function(rows)`` in bounded memory: more than ``at_once`` rows are taken in even pieces.

    The inside of a piece is computed again for its gradient instead of being kept. ``layers`` are
    those in ``function``: their batch normalisation counts each piece once.
    """
    if len(rows) <= at_once:
        return function(rows)

    def contexts() -> tuple:
        return nullcontext(), keep_statistics(layers)  # of the first pass and of the second

    pieces = rows.chunk(-(-len(rows) // at_once))
    return torch.cat(
        [checkpoint(function, one, use_reentrant=False, context_fn=contexts) for one in pieces]
    )


@contextmanager
def keep_statistics(layers: nn.Module) -> Iterator[None]:
    """Batch normalisation in ``layers`` learns no running statistics from what passes."""
    norms = [part for part in layers.modules() if isinstance(part, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum


def sinusoids(length: int, d_model: int) -> Tensor:
    """Fixed position code of Vaswani et al. (2017): (length, d_model)."""
    place = torch.arange(length)[:, None]
    rates = torch.exp(-torch.arange(0, d_model, 2) * (torch.log(torch.tensor(1e4)) / d_model))
    code = torch.zeros(length, d_model)
    code[:, 0::2] = torch.sin(place * rates)
    code[:, 1::2] = torch.cos(place * rates[: d_model // 2])
    return code
