"""Messages that depend on types: on the sender's (N4), the receiver's (N11) or on both (N5).

Types and their psi are found in turn. First types are clusters of phi and of what a neuron sends or
receives, which mixtures.py finds without types. Given types, variable projection finds psi for
each: receivers of one type are rows of W that share psi, senders of one type are columns that do.

Each psi comes with a factor of its own, which the weights from its senders to its receivers take
up: data do not tell a steep psi with small weights from a flat one with large weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from utils.models.gnn.splines import Curves

Messages = Literal["same", "sender_type", "receiver_type", "both_types"]


@dataclass(frozen=True)
class TypedPsi:
    """psi for each pair of types.

    Attributes
    ----------
    curves : one set for each type of receivers, with a curve for each type of senders.
    senders, receivers : (neuron,) types.
    """

    curves: list[Curves]
    senders: Tensor
    receivers: Tensor

    def sent(self, u: Tensor, kind: int) -> Tensor:
        """What all neurons send to receivers of a type, (frame, neuron) -> (frame, neuron)."""
        return self.curves[kind].of_columns(u, self.senders)

    def groups(self, rows: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Each type of receivers, and those of the rows that are of it."""
        for kind in range(len(self.curves)):
            yield kind, rows[self.receivers[rows] == kind]

    def normalised(self, levels: Tensor) -> tuple[TypedPsi, Tensor, Tensor]:
        """psi(0) = 0, unit standard deviation over the levels, rising in the mean.

        Also the scale and the constant (receiver type, sender type) that were taken out.
        """
        pairs = [_normalise(curves, levels) for curves in self.curves]
        curves, scales, constants = zip(*pairs)
        typed = TypedPsi(list(curves), self.senders, self.receivers)
        return typed, torch.stack(scales), torch.stack(constants)


def same_for_all(psi: Curves, n_neurons: int) -> TypedPsi:
    """Messages that do not depend on types."""
    none = torch.zeros(n_neurons, dtype=torch.int64, device=psi.knots.device)
    return TypedPsi([psi], none, none)


def as_ends(messages: Messages, types: Tensor) -> tuple[Tensor, Tensor]:
    """Types (neuron,) as senders and as receivers, 0 where messages do not depend on them."""
    none = torch.zeros_like(types)
    senders = types if messages in ("sender_type", "both_types") else none
    receivers = types if messages in ("receiver_type", "both_types") else none
    return senders, receivers


def join(curves: list[Curves]) -> Curves:
    """All curves of sets that have the same knots."""
    return Curves(curves[0].knots, torch.cat([each.pieces for each in curves], dim=2))


def _normalise(curves: Curves, levels: Tensor) -> tuple[Curves, Tensor, Tensor]:
    values = curves(levels)  # (level, sender type)
    constant = curves(torch.zeros_like(levels[:1]))[0]
    rising = ((levels - levels.mean()) @ values) >= 0
    spread = values.std(dim=0, correction=0)
    scale = torch.where(spread > 0, spread, 1.0) * torch.where(rising, 1.0, -1.0)
    pieces = curves.pieces.clone()
    pieces[:, 0] -= constant
    return Curves(curves.knots, pieces / scale), scale, constant
