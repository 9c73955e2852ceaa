"""psi by variable projection: Gauss-Newton steps on psi, W and phi in closed form at each.

The model is linear in W and phi, and nearly so in psi once W is known. A few rows of W tell psi,
since it is the same for all. (Golub & Pereyra 1973; the Jacobian is Kaufman's 1975.)
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from utils.models.gnn.solver import (
    Reduced,
    Rows,
    back_substitute,
    eliminate_messages,
    factorise,
)
from utils.models.gnn.splines import Curves
from utils.models.gnn.statistics import Statistics, collect
from utils.models.gnn.stream import Batch

log = logging.getLogger(__name__)

STARTS = (0.0625, 0.25, 1.0, 4.0)  # widths of the sigmoids psi may start from, in sd of the knots
DAMPING = 1e-6, 1e-12  # of Levenberg and Marquardt, at the start and at least
TINY = 1e-100  # instead of 0, where nothing changes
ROUNDING = 1e-16
TRIALS = 6  # larger and larger dampings after a step that does not help


@dataclass(frozen=True)
class State:
    """psi, and all that follows from it."""

    values: Tensor  # (knot, sender type) of psi
    psi: Curves
    statistics: Statistics
    inverse: Tensor  # of the Gram matrix of messages
    reduced: Reduced
    rows: Rows

    @property
    def error(self) -> float:
        """Share of the targets' sum of squares that is left, as far as rounding tells."""
        total = self.statistics.own[:, -1, -1].sum().clamp(min=TINY)
        return max(float(self.rows.residual.sum() / total), ROUNDING)


@dataclass(frozen=True)
class Projection:
    """Finds psi.

    Attributes
    ----------
    batches : frames in memory.
    rows : (row,) neurons whose targets are used.
    basis : splines in which psi is sought, one for each knot.
    own : splines of phi.
    penalty : on W.
    labels : (neuron,) sender type; each type has its own psi. None: one psi for all.
    """

    batches: Sequence[Batch]
    rows: Tensor
    basis: Curves
    own: Curves
    penalty: float
    labels: Tensor | None = None

    def learn(self, iterations: int, tolerance: float, start: Tensor | None = None) -> State:
        """Steps until the error falls by less than a fraction ``tolerance``."""
        states = map(self.state, self._starts() if start is None else [start])
        state, damping = min(states, key=lambda state: state.error), DAMPING[0]
        for iteration in range(iterations):
            curvature, slope = self._normal_equations(state)
            for _ in range(TRIALS):
                trial = self.state(state.values + self._step(curvature, slope, damping))
                if trial.error < state.error:
                    break
                damping *= 10
            gain = 1 - trial.error / state.error
            log.debug("psi, step %d: error %.3g", iteration + 1, trial.error)
            if gain > 0:
                state, damping = trial, max(damping / 5, DAMPING[1])
            if gain < tolerance:
                break
        return state

    def state(self, values: Tensor) -> State:
        """Solve for W and phi of the rows."""
        psi = self.basis.mix(values)
        statistics = collect(
            self.batches, lambda u: psi.of_columns(u, self.labels), self._phi, self.rows
        )
        inverse = factorise(statistics, self.penalty)
        reduced = eliminate_messages(statistics, inverse, self.rows)
        return State(values, psi, statistics, inverse, reduced, back_substitute(reduced))

    def _starts(self) -> list[Tensor]:
        n_types = 1 if self.labels is None else int(self.labels.max()) + 1
        knots = self.basis.knots
        shapes = [torch.tanh(knots / (width * knots.std())) for width in STARTS]
        return [shape[:, None].repeat(1, n_types) for shape in shapes]

    def _phi(self, u: Tensor) -> Tensor:
        return self.own(u[:, self.rows])

    def _normal_equations(self, state: State) -> tuple[Tensor, Tensor]:
        """Curvature and slope of the error over the values of psi, W and phi minimised over."""
        masks = self._masks()  # (sender, sender type)
        weights = state.rows.connectivity.mT[:, :, None] * masks[:, None]  # (sender, row, type)

        def columns(u: Tensor) -> Tensor:
            sums = self.basis.sums(u, weights.flatten(1))  # (frame, row x type, knot)
            sums = sums.unflatten(1, weights.shape[1:]).flatten(2)  # (frame, row, type x knot)
            return torch.cat([self._phi(u), sums], dim=2)

        statistics = collect(
            self.batches, lambda u: state.psi.of_columns(u, self.labels), columns, self.rows
        )
        own = eliminate_messages(statistics, state.inverse, self.rows).own
        n_phi, n_psi = self.own.n_curves, self.basis.n_curves * masks.shape[1]
        phi, psi = slice(0, n_phi), slice(n_phi, n_phi + n_psi)
        system = own[:, phi, phi] + torch.diag_embed(state.reduced.ridge)
        left = own[:, psi, n_phi:] - own[:, psi, phi] @ torch.linalg.solve(
            system, own[:, phi, n_phi:]
        )
        return left[:, :, :-1].sum(dim=0), left[:, :, -1].sum(dim=0)

    def _step(self, curvature: Tensor, slope: Tensor, damping: float) -> Tensor:
        level = damping * curvature.diagonal().mean().clamp(min=TINY)
        damped = curvature + level * torch.eye(len(curvature)).to(curvature)
        return torch.linalg.solve(damped, slope).view(-1, self.basis.n_curves).mT

    def _masks(self) -> Tensor:
        like = self.basis.knots
        if self.labels is None:
            return torch.ones(len(self.batches[0].activity.mT), 1).to(like)
        return torch.nn.functional.one_hot(self.labels).to(like)
