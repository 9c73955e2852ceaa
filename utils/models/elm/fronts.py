"""What the first layer of a network hears of tokens and of continuous inputs.

The weights of synapses are not negative: an input says by its own sign whether it excites. Values
that say nothing by their sign therefore pass through an embedding or a projection, which learn one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.models.elm.recurrence import Events


class OneHot(nn.Module):
    """Tokens (batch, time) as events: each is, in its frame, the input that is 1."""

    def __init__(self, num_tokens: int) -> None:
        super().__init__()
        self.num_tokens = num_tokens

    def forward(self, tokens: Tensor) -> Events:
        """Events of (batch, time, token)."""
        tokens = _checked(tokens, self.num_tokens)
        batch, time = tokens.shape
        starts = torch.arange(batch, device=tokens.device) * time
        frames = torch.arange(time + 1, device=tokens.device)
        return Events(tokens.flatten(), starts[:, None] + frames)


class Embedding(nn.Embedding):
    """Learnt channels (batch, time, channel) of tokens (batch, time) of any integer type."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, time) -> (batch, time, channel)."""
        return super().forward(_checked(tokens, self.num_embeddings))


class Projection(nn.Linear):
    """Learnt signed mixtures (batch, time, channel) of inputs (batch, time, input)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, time, input) of any number type -> (batch, time, channel)."""
        if isinstance(inputs, Events) or inputs.shape[-1] != self.in_features:
            found = "events" if isinstance(inputs, Events) else tuple(inputs.shape)
            raise ValueError(f"inputs must be (batch, time, {self.in_features}), found {found}")
        return super().forward(inputs.to(self.weight.dtype))


def _checked(tokens: Tensor, num_tokens: int) -> Tensor:
    """Tokens as int64; their values are looked at on CPUs only."""
    if isinstance(tokens, Events) or tokens.ndim != 2 or tokens.is_floating_point():
        found = "events" if isinstance(tokens, Events) else f"{tokens.dtype} {tuple(tokens.shape)}"
        raise ValueError(f"tokens must be whole numbers (batch, time), found {found}")
    tokens = tokens.long()
    if tokens.is_cpu and not ((tokens >= 0) & (tokens < num_tokens)).all():
        raise ValueError(
            f"tokens must lie between 0 and num_input - 1 = {num_tokens - 1}, found "
            f"{int(tokens.min())} to {int(tokens.max())}"
        )
    return tokens
