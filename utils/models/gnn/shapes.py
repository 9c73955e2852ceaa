"""Few shapes of which the phi of all neurons are mixed: one constant, and the curves found here."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.models.gnn.splines import Curves

SWEEPS = 20
TINY = 1e-10


def learn_shapes(own: Tensor, splines: Curves, number: int) -> Curves:
    """The constant 1 and ``number`` curves that explain the phi of the rows best.

    The spline weights c_i of row i are known with the information S_i, and in parts not at all: a
    neuron does not visit all activities. So ``sum_i (c_i - F a_i)' S_i (c_i - F a_i)`` is minimised
    over F and a_i in turn, a principal component analysis that weighs what is known.

    Parameters
    ----------
    own : (row, column, column) products of ``splines`` of a row's activity, and of its target, less
        what messages explain: ``Reduced.own``.
    """
    information, slopes = _without_constant(own)
    common = _regular(information.mean(dim=0))
    shapes = _first_guess(information, slopes, common, number)
    for _ in range(SWEEPS):
        scores = _scores(information, slopes, shapes)
        shapes = _orthonormal(_update(information, slopes, scores, common), common)
    # any basis of what they span will do: one whose columns are far from equal keeps rounding small
    shapes = torch.linalg.qr(shapes - shapes.mean(dim=0)).Q * len(shapes) ** 0.5
    constant = torch.ones_like(shapes[:, :1])
    return splines.mix(torch.cat([constant, shapes], dim=1))


def _without_constant(own: Tensor) -> tuple[Tensor, Tensor]:
    """Information (row, knot, knot) and slopes (row, knot), in shares of the target's variance.

    Spline weights that are all 1 make the constant; each row has its own, which is minimised over.
    """
    total = own[:, :-1].sum(dim=1)  # (row, column) products of the constant
    floor = TINY * own[:, :-1, :-1].abs().amax(dim=(1, 2)).clamp(min=TINY)
    share = total / total[:, :-1].sum(dim=1).maximum(floor)[:, None]
    left = own[:, :-1] - own[:, :-1, :-1].sum(dim=2)[..., None] * share[:, None]
    left = left / own[:, -1, -1].clamp(min=TINY)[:, None, None]
    return left[..., :-1], left[..., -1]


def _regular(matrix: Tensor) -> Tensor:
    """Without the directions of rounding errors, in which it is not positive definite."""
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    values = values.clamp(min=TINY * float(values[-1].clamp(min=TINY)))
    return (vectors * values) @ vectors.mT


def _first_guess(information: Tensor, slopes: Tensor, common: Tensor, number: int) -> Tensor:
    """Principal axes of the rows' solutions, held near 0 where a row knows little."""
    solutions = torch.linalg.solve(information + 1e-3 * common, slopes)  # (row, knot)
    whiten = torch.linalg.cholesky(common)
    axes = torch.linalg.svd(solutions @ whiten, full_matrices=False).Vh[:number]
    return torch.linalg.solve_triangular(whiten.mT, axes.mT, upper=True)  # (knot, shape)


def _scores(information: Tensor, slopes: Tensor, shapes: Tensor) -> Tensor:
    system = shapes.mT @ information @ shapes
    system = system + torch.diag_embed(TINY * system.diagonal(dim1=1, dim2=2).mean(dim=0))
    return torch.linalg.solve(system, slopes @ shapes)  # (row, shape)


def _update(information: Tensor, slopes: Tensor, scores: Tensor, common: Tensor) -> Tensor:
    """Shapes (knot, shape) that are best for given scores: one linear system for all of them."""
    n_knots, n_shapes = len(common), scores.shape[1]
    system = torch.einsum("ra,rb,rkl->kalb", scores, scores, information)
    system = system.reshape(n_knots * n_shapes, -1)
    ridge = torch.einsum("kl,ab->kalb", common, torch.eye(n_shapes).to(common))
    system = system + TINY * system.diagonal().mean() * ridge.reshape_as(system)
    return torch.linalg.solve(system, (slopes.mT @ scores).flatten()).view(n_knots, n_shapes)


def _orthonormal(shapes: Tensor, common: Tensor) -> Tensor:
    whiten = torch.linalg.cholesky(common)
    axes = torch.linalg.qr(whiten.mT @ shapes).Q
    return torch.linalg.solve_triangular(whiten.mT, axes, upper=True)
