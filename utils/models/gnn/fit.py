"""Connectivity and dynamics from activity, in closed form but for psi.

1. psi from a few rows of W (variable projection).
2. The shapes that the phi of all neurons are mixed of, from some more rows.
3. All rows of W and all phi in one closed-form solve, with the penalty that explains held-out
   frames best.
4. Types: clusters of phi. Where messages depend on types, steps 1 to 4 are gone through again.

The other method, training a message model by gradient, is in :mod:`utils.models.gnn.gradient`.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from utils.config import validate_config
from utils.models.gnn.connectivity_fit import ConnectivityFit
from utils.models.gnn.conversion import connectivity_by_gradient
from utils.models.gnn.families import TypedPsi, as_ends, join, same_for_all
from utils.models.gnn.projection import Projection
from utils.models.gnn.settings import ConnectivitySettings
from utils.models.gnn.shapes import learn_shapes
from utils.models.gnn.solver import choose_penalty, eliminate_messages, factorise, solve_rows
from utils.models.gnn.splines import Curves, natural_splines, quantile_knots
from utils.models.gnn.statistics import Statistics, collect
from utils.models.gnn.stream import Batch, FrameStream
from utils.models.gnn.types import Types, find_types
from utils.training import choose_device

log = logging.getLogger(__name__)

FIRST_PENALTY = 1e-10  # while psi is sought
PENALTIES = tuple(10.0**power for power in range(-11, 1))
ROUNDS = 3  # of types and their psi in turn
EQUATIONS_PER_NEURON = 5  # at least so many frames while psi is sought
OPERATIONS = 3e10  # frames x neurons^2 that W is found from, unless settings say otherwise


def fit_connectivity(
    activity: ArrayLike,
    *,
    dt: float,
    derivative: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    seed: int = 0,
    **settings: object,
) -> ConnectivityFit:
    """W, psi, phi and types of a network from its activity.

    Parameters
    ----------
    activity : (time, neuron) array or data set of an HDF5 file, read in batches. Frames with a
        missing value are left out.
    dt : time between frames.
    derivative : (time, neuron) du/dt at each frame; None: estimated, see the setting ``estimate``.
    inputs : (time, neuron) additive input; None: there is none.
    seed : of the choice of rows that psi and phi are learned from, or of the training.
    **settings : see :class:`~utils.models.gnn.settings.ConnectivitySettings`.

    Raises
    ------
    ValueError
        Arrays of wrong shape, unknown settings, or too few frames for so many neurons.
    """
    config = validate_config(ConnectivitySettings, settings, where="fit_connectivity")
    device = choose_device(config.device)
    device = "cpu" if device == "mps" else device  # which has no float64
    stream = FrameStream(activity, derivative, inputs, dt, config.estimate, device)
    if config.method == "gradient":
        return connectivity_by_gradient(stream, config, seed)
    return _Fit(stream, config, seed).run()


class _Solution(NamedTuple):
    """All that is found at once for given psi."""

    psi: TypedPsi
    shapes: Curves  # that phi are mixed of
    connectivity: Tensor  # (neuron, neuron)
    phi: Tensor  # (shape, neuron)
    penalty: float
    n_frames: int


class _Fit:
    """The steps of a fit, which share the recording, its settings and the order of rows."""

    def __init__(self, stream: FrameStream, config: ConnectivitySettings, seed: int) -> None:
        if config.types is not None and len(config.types) != stream.n_neurons:
            raise ValueError(f"types: {len(config.types)} given for {stream.n_neurons} neurons")
        self.stream, self.config, self.seed = stream, config, seed
        self.border = round((1 - config.held_out) * stream.n_frames)
        order = np.random.default_rng(seed).permutation(stream.n_neurons)
        self.order = torch.from_numpy(order).to(stream.device)
        self.few = self._batches(max(4000, EQUATIONS_PER_NEURON * stream.n_neurons))
        self.levels = torch.from_numpy(_levels(self.few)).to(stream.device)
        knots = quantile_knots(self.levels.cpu(), config.psi_knots)
        self.basis = natural_splines(knots, stream.device)
        knots = quantile_knots(self.levels.cpu(), config.phi_knots)
        self.phi_splines = natural_splines(knots, stream.device)

    def run(self) -> ConnectivityFit:
        psi = self.learn_psi(self.order)
        solution = self.solve(same_for_all(self.basis.mix(psi), self.stream.n_neurons))
        if self.config.messages == "same":
            return self.as_fit(solution, self.find_types(solution))
        receptions = self.learn_receptions(psi)
        types = self.find_types(solution, receptions)
        for _ in range(ROUNDS):
            solution = self.solve(self.learn_typed_psi(types, psi))
            before, types = types, self.find_types(solution, receptions)
            if adjusted_rand_score(before.labels, types.labels) == 1:
                break
        return self.as_fit(solution, types)

    def learn_psi(
        self, rows: Tensor, senders: Tensor | None = None, start: Tensor | None = None
    ) -> Tensor:
        """psi at the knots of the basis, (knot, sender type), from the first of the rows."""
        projection = self._projection(rows[: self.config.psi_rows], senders)
        return projection.learn(self.config.iterations, self.config.tolerance, start).values

    def learn_typed_psi(self, types: Types, start: Tensor) -> TypedPsi:
        """psi for each pair of types, from one that is the same for all."""
        labels = torch.from_numpy(types.labels).to(self.stream.device)
        senders, receivers = as_ends(self.config.messages, labels)
        start = start.expand(-1, int(senders.max()) + 1)
        rows = [self.order[receivers[self.order] == kind] for kind in receivers.unique()]
        curves = [self.basis.mix(self.learn_psi(each, senders, start)) for each in rows]
        return TypedPsi(curves, senders, receivers)

    def learn_receptions(self, psi: Tensor) -> Tensor | None:
        """What each neuron receives by a psi of its own, (level, neuron) in units of du/dt."""
        if self.config.messages == "sender_type" or self.config.types is not None:
            return None
        curves, strengths = [], []
        for rows in torch.arange(self.stream.n_neurons).split(self.config.phi_rows):
            projection = self._projection(rows.to(self.stream.device))
            state = projection.state(psi)
            curves.append(self.basis.mix(projection.by_row(state).mT)(self.levels))
            strengths.append(state.rows.connectivity.norm(dim=1))
        sent = torch.cat(curves, dim=1)
        sent = (sent - sent.mean(dim=0)) / sent.std(dim=0)
        rising = ((self.levels - self.levels.mean()) @ sent) >= 0
        common = self.basis.mix(psi)(self.levels).std()
        return sent * torch.where(rising, 1.0, -1.0) * common * torch.cat(strengths).median()

    def solve(self, psi: TypedPsi) -> _Solution:
        """W and phi for given psi."""
        n_neurons = self.stream.n_neurons
        shapes = self.learn_shapes(psi)
        groups = [
            (kind, rows, self._statistics(psi, kind, shapes, rows, 0, self.border))
            for kind, rows in psi.groups(torch.arange(n_neurons, device=self.stream.device))
        ]
        penalty = self.config.penalty
        if penalty is None:
            largest = max(groups, key=lambda group: len(group[1]))
            penalty = self.penalty(psi, shapes, *largest)
        connectivity = torch.zeros(n_neurons, n_neurons).to(self.levels)
        phi = torch.zeros(shapes.n_curves, n_neurons).to(self.levels)
        for _, rows, train in groups:
            solved = solve_rows(train, rows, penalty)
            connectivity[rows], phi[:, rows] = solved.connectivity, solved.own.mT
        return _Solution(psi, shapes, connectivity, phi, penalty, groups[0][2].n_frames)

    def learn_shapes(self, psi: TypedPsi) -> Curves:
        parts = []
        for kind, rows in psi.groups(self.order[: self.config.phi_rows]):
            statistics = collect(
                self.few,
                lambda u, kind=kind: psi.sent(u, kind),
                lambda u, rows=rows: self.phi_splines(u[:, rows]),
                rows,
            )
            inverse = factorise(statistics, FIRST_PENALTY)
            parts.append(eliminate_messages(statistics, inverse, rows).own)
        own = torch.cat(parts)
        number = min(self.config.phi_shapes, self.phi_splines.n_curves - 1, len(own))
        return learn_shapes(own, self.phi_splines, number)

    def penalty(
        self, psi: TypedPsi, shapes: Curves, kind: int, rows: Tensor, train: Statistics
    ) -> float:
        some = torch.isin(rows, self.order[: self.config.phi_rows])
        held_out = self._statistics(
            psi, kind, shapes, rows[some], self.border, self.stream.n_frames
        )
        return choose_penalty(train.of_rows(some), held_out, rows[some], PENALTIES)

    def find_types(self, solution: _Solution, receptions: Tensor | None = None) -> Types:
        """Clusters of phi, and of receptions where psi depends on the receiver; or known types."""
        curves = solution.shapes(self.levels) @ solution.phi
        curves = curves - curves.mean(dim=0)
        if receptions is not None:
            curves = torch.cat([curves, receptions])
        config = self.config
        return find_types(curves, config.n_types, config.max_types, config.types)

    def as_fit(self, solution: _Solution, types: Types) -> ConnectivityFit:
        """Take the scale and constant of psi into W and phi."""
        psi, scale, constant = solution.psi.normalised(self.levels)
        pairs = psi.receivers[:, None], psi.senders[None]
        phi = solution.phi.clone()
        phi[0] += (solution.connectivity * constant[pairs]).sum(dim=1)
        connectivity = solution.connectivity * scale[pairs]
        return ConnectivityFit(
            connectivity=connectivity.cpu().numpy().astype(np.float32),
            types=types.labels,
            estimated_n_types=types.estimated_number,
            embeddings=types.embeddings,
            penalty=solution.penalty,
            n_frames=solution.n_frames,
            dt=self.stream.dt,
            settings=self.config,
            psi_curves=join(psi.curves).cpu(),
            senders=psi.senders.cpu(),
            receivers=psi.receivers.cpu(),
            phi_curves=solution.shapes.cpu(),
            phi_weights=phi.cpu(),
        )

    def _projection(self, rows: Tensor, senders: Tensor | None = None) -> Projection:
        return Projection(self.few, rows, self.basis, self.phi_splines, FIRST_PENALTY, senders)

    def _statistics(
        self, psi: TypedPsi, kind: int, shapes: Curves, rows: Tensor, first: int, last: int
    ) -> Statistics:
        wanted = self.config.max_frames or max(OPERATIONS / self.stream.n_neurons**2, 20_000)
        every = max(int(self.stream.n_frames / wanted), 1)
        batches = self.stream.batches(first, last, every)
        return collect(batches, lambda u: psi.sent(u, kind), lambda u: shapes(u[:, rows]), rows)

    def _batches(self, wanted: int) -> list[Batch]:
        """Frames that are kept in memory."""
        every = max(self.border // wanted, 1)
        batches = list(self.stream.batches(0, self.border, every))
        found, needed = sum(len(batch.target) for batch in batches), 2 * self.stream.n_neurons + 50
        if found < needed:
            raise ValueError(
                f"{self.stream.n_frames} frames leave {found} without missing values to learn from "
                f"(the last {self.config.held_out:.0%} are held out), but "
                f"{self.stream.n_neurons} neurons need {needed} at least"
            )
        if self.stream.n_left_out:
            log.warning(
                "%d of %d frames are left out, since values are missing",
                self.stream.n_left_out,
                self.stream.n_read,
            )
        return batches


def _levels(batches: list[Batch]) -> np.ndarray:
    """Activities of all neurons, as quantiles."""
    values = torch.cat([batch.activity[::7].flatten() for batch in batches]).cpu().numpy()
    return np.quantile(values, (np.arange(1000) + 0.5) / 1000)
