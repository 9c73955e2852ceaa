"""Functions of one variable as natural cubic splines: smooth between knots, straight outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from torch import Tensor

from utils.models.gnn.spline_kernels import add_moments, fill_columns, fill_curves


@dataclass(frozen=True)
class Curves:
    """Piecewise cubic functions with common knots, straight left and right of them.

    Attributes
    ----------
    knots : (knot,) ascending, float64.
    pieces : (knot + 1, 4, curve) coefficients of 1, x, x^2, x^3 on each piece, where x is the
        distance from the knot at its left (for the first piece: from the first knot).
    """

    knots: Tensor
    pieces: Tensor

    @property
    def n_curves(self) -> int:
        """Number of functions."""
        return self.pieces.shape[2]

    def __call__(self, u: Tensor) -> Tensor:
        """All curves at all ``u`` of any shape, (*shape, curve)."""
        if u.device.type == "cpu":
            values = np.empty((u.numel(), self.n_curves))
            fill_curves(u.numpy().ravel(), self.knots.numpy(), self.pieces.numpy(), values)
            return torch.from_numpy(values).view(*u.shape, -1)
        piece, x = self._locate(u)
        return _horner(self.pieces.transpose(0, 1)[:, piece], x[..., None])

    def of_columns(self, u: Tensor, labels: Tensor | None = None) -> Tensor:
        """One curve for each column of ``u`` (..., column): that of its label, or the first."""
        if labels is None:
            labels = torch.zeros(u.shape[-1], dtype=torch.int64, device=u.device)
        if u.device.type == "cpu":
            rows = np.ascontiguousarray(u).reshape(-1, len(labels))
            values = np.empty_like(rows)
            fill_columns(rows, self.knots.numpy(), self.pieces.numpy(), labels.numpy(), values)
            return torch.from_numpy(values).view(u.shape)
        piece, x = self._locate(u)
        table = self.pieces.transpose(0, 1).flatten(1)  # (power, piece x curve)
        return _horner(table[:, piece * self.n_curves + labels], x)

    def mix(self, weights: Tensor) -> Curves:
        """Linear combinations of the curves, ``weights`` (curve, new curve)."""
        return Curves(self.knots, self.pieces @ weights)

    def sums(self, u: Tensor, weights: Tensor) -> Tensor:
        """Each curve summed over columns with weights, without the curve of each column.

        On GPUs: a cubic spline that is straight at the left is a line plus one ramp
        ``(u - knot)_+^3`` per knot, times the jump of its third derivative there.

        Parameters
        ----------
        u : (frame, column).
        weights : (column, sum).

        Returns
        -------
        (frame, sum, curve): ``sum_j weights[j, s] curve_k(u[t, j])``.
        """
        if u.device.type == "cpu":
            moments = np.zeros((len(u), *self.pieces.shape[:2], weights.shape[1]))
            weights = np.ascontiguousarray(weights)
            add_moments(np.ascontiguousarray(u), self.knots.numpy(), weights, moments)
            return torch.from_numpy(moments).flatten(1, 2).mT @ self.pieces.flatten(0, 1)
        first = self.pieces[0]
        total = weights.sum(dim=0)[:, None] * first[0]
        total = total + ((u - self.knots[0]) @ weights)[..., None] * first[1]
        jumps = self.pieces[1:, 3] - self.pieces[:-1, 3]  # (knot, curve)
        ramps = torch.stack([(u - knot).clamp_(min=0).pow_(3) @ weights for knot in self.knots])
        return total + torch.einsum("kts,kc->tsc", ramps, jumps)

    def cpu(self) -> Curves:
        """The same in main memory."""
        return Curves(self.knots.cpu(), self.pieces.cpu())

    def _locate(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Piece of each value, and its distance from the knot that the piece counts from."""
        piece = torch.bucketize(u, self.knots, right=True)
        return piece, u - self.knots[(piece - 1).clamp_(min=0)]


def natural_splines(knots: ArrayLike, device: str | torch.device = "cpu") -> Curves:
    """One curve for each knot: 1 there and 0 at the others; their span holds 1 and u.

    A combination of them with weights ``c`` is the natural cubic spline with the values ``c`` at
    the knots.

    Raises
    ------
    ValueError
        Fewer than two knots, or knots that do not ascend.
    """
    knots = np.asarray(knots, dtype=np.float64)
    if len(knots) < 2 or not (np.diff(knots) > 0).all():
        raise ValueError(f"a spline needs two or more ascending knots, found {knots}")
    spline = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")
    pieces = np.zeros((len(knots) + 1, 4, len(knots)))
    pieces[1:-1] = spline.c[::-1].transpose(1, 0, 2)
    for tail, end in ((0, 0), (-1, -1)):
        pieces[tail, 0], pieces[tail, 1] = spline(knots[end]), spline(knots[end], 1)
    return Curves(*(torch.from_numpy(array).to(device) for array in (knots, pieces)))


def quantile_knots(values: ArrayLike, number: int) -> np.ndarray:
    """Knots at quantiles of the values, fewer where values are equal; two at least."""
    values = np.ravel(values)
    knots = np.unique(np.quantile(values, np.linspace(0.0005, 0.9995, number)))
    return knots if len(knots) > 1 else knots[0] + np.array([-0.5, 0.5])


def _horner(coefficients: Tensor, x: Tensor) -> Tensor:
    """Cubic with coefficients (4, ...) of 1, x, x^2, x^3."""
    constant, linear, square, cube = coefficients
    return constant + x * (linear + x * (square + x * cube))
