"""W and phi in closed form, psi given: penalised least squares for each row of W.

Row i explains du_i/dt by what all others send, and by columns of its own, whose combination is
phi_i. All rows share the sender's Gram matrix: it is factorised once, and what is left for each row
is the small system of its own columns (their Schur complement). The neuron's own message is left
out, as it cannot be told from phi_i: a downdate of rank one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from utils.models.gnn.statistics import Statistics

ROWS_AT_ONCE = 256
TINY = 1e-11  # of the mean square of own columns: keeps systems of unused columns regular


class Reduced(NamedTuple):
    """The problem of some rows without W, over which it is minimised.

    Attributes
    ----------
    own : (row, column, column) products of own columns and target, less what messages explain.
    messages : (sender, row, column), the weights with which messages explain those columns.
    ridge : (row, column) that keeps the system regular.
    """

    own: Tensor
    messages: Tensor
    ridge: Tensor


class Rows(NamedTuple):
    """Least-squares solution of some rows."""

    connectivity: Tensor  # (row, sender)
    own: Tensor  # (row, column), weights of the own columns
    residual: Tensor  # (row,) sum of squares


def solve_rows(statistics: Statistics, rows: Tensor, penalty: float) -> Rows:
    """W and the weights of own columns, for the given rows.

    Parameters
    ----------
    rows : (row,) neurons that the rows of the statistics belong to.
    penalty : on squared weights of W, in units of the mean square of the messages.
    """
    inverse = factorise(statistics, penalty)
    parts = [
        back_substitute(eliminate_messages(statistics, inverse, rows, block))
        for block in torch.arange(len(rows), device=rows.device).split(ROWS_AT_ONCE)
    ]
    connectivity, own, residual = (torch.cat(part) for part in zip(*parts))
    return Rows(connectivity, own, residual)


def factorise(statistics: Statistics, penalty: float) -> Tensor:
    """Inverse of the senders' Gram matrix with the penalty on its diagonal."""
    gram = statistics.gram.clone()
    level = float(gram.diagonal().mean()) or 1.0
    gram.diagonal().add_(penalty * level)
    return torch.cholesky_inverse(torch.linalg.cholesky(gram))


def eliminate_messages(
    statistics: Statistics, inverse: Tensor, rows: Tensor, block: Tensor | slice = slice(None)
) -> Reduced:
    """Minimise over W: what is left for the own columns of the rows in ``block``."""
    cross, own, rows = statistics.cross[:, block], statistics.own[block], rows[block]
    messages = (inverse @ cross.flatten(1)).view_as(cross)
    self_weight = messages[rows, torch.arange(len(rows))] / inverse[rows, rows][:, None]
    messages = messages - inverse[:, rows, None] * self_weight  # own messages have no weight
    messages[rows, torch.arange(len(rows))] = 0  # but for rounding
    explained = torch.einsum("sra,srb->rab", cross, messages)
    columns = own.diagonal(dim1=1, dim2=2)
    scale = columns[:, :-1].mean(dim=1, keepdim=True).clamp(min=torch.finfo(own.dtype).tiny)
    return Reduced(own - explained, messages, TINY * scale.expand(-1, own.shape[1] - 1))


def back_substitute(reduced: Reduced) -> Rows:
    """Weights of the own columns, and then W."""
    system = reduced.own[:, :-1, :-1] + torch.diag_embed(reduced.ridge)
    own = torch.linalg.solve(system, reduced.own[:, :-1, -1])  # (row, column)
    connectivity = reduced.messages[..., -1] - torch.einsum(
        "src,rc->sr", reduced.messages[..., :-1], own
    )
    residual = reduced.own[:, -1, -1] - (own * reduced.own[:, :-1, -1]).sum(dim=1)
    return Rows(connectivity.mT, own, residual)


def squared_error(statistics: Statistics, solution: Rows) -> Tensor:
    """Sum of squares (row,) that a solution leaves in other frames."""
    weights, cross = solution.connectivity, statistics.cross
    signed = torch.cat([solution.own, -torch.ones_like(solution.own[:, :1])], dim=1)
    sent = ((weights @ statistics.gram) * weights).sum(dim=1)
    mixed = torch.einsum("rs,src,rc->r", weights, cross, signed)
    return sent + 2 * mixed + torch.einsum("ra,rab,rb->r", signed, statistics.own, signed)


def choose_penalty(
    train: Statistics, held_out: Statistics, rows: Tensor, penalties: Sequence[float]
) -> float:
    """The penalty whose solution leaves the smallest error in frames that it has not seen.

    Rows count by the share of their variance that is left.
    """
    variance = held_out.own[:, -1, -1].clamp(min=torch.finfo(train.gram.dtype).tiny)

    def error(penalty: float) -> float:
        solution = solve_rows(train, rows, penalty)
        return float((squared_error(held_out, solution) / variance).mean())

    return min(penalties, key=error)
