"""Connectivity and dynamics from activity, in closed form but for psi.

1. psi from a few rows of W (variable projection).
2. The shapes that the phi of all neurons are mixed of, from some more rows.
3. All rows of W and all phi in one closed-form solve, with the penalty that explains held-out
   frames best.
4. Types: clusters of phi.

Where messages depend on types, these are told by what neurons send or receive (mixtures.py) before
step 1, and steps 1 to 4 are gone through in turn.

The other method, training a message model by gradient, is in :mod:`utils.models.gnn.gradient`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
from utils.models.gnn.mixtures import Mixtures, learn_mixtures
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
FILLED, LEAST_FILLED = 0.9999, 0.25  # of the variance, in so many of the dimensions
LOOKED_AT = 1000  # neurons, for a count of dimensions
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

    def phi_at(self, levels: Tensor) -> Tensor:
        """All phi, (level, neuron)."""
        return self.shapes(levels) @ self.phi


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
        _warn_of_rest(self.few)
        knots = quantile_knots(self.levels.cpu(), config.psi_knots)
        self.basis = natural_splines(knots, stream.device)
        knots = quantile_knots(self.levels.cpu(), config.phi_knots)
        self.phi_splines = natural_splines(knots, stream.device)

    def run(self) -> ConnectivityFit:
        if self.config.messages == "same":
            psi = self.basis.mix(self.learn_psi(self.order))
            solution = self.solve(same_for_all(psi, self.stream.n_neurons))
            return self.as_fit(solution, self.find_types(solution.phi_at(self.levels)))
        mixtures = [self.learn_mixtures(number) for number in self.config.message_shapes]
        messages = [each.strength * self.basis.mix(each.values)(self.levels) for each in mixtures]
        types = self.find_types(mixtures[0].phi, messages)
        for _ in range(ROUNDS):
            solution = self.solve(self.learn_typed_psi(types, mixtures[0].values))
            before, types = types, self.find_types(solution.phi_at(self.levels), messages)
            if adjusted_rand_score(before.labels, types.labels) == 1:
                break
        return self.as_fit(solution, types)

    def learn_psi(
        self, rows: Tensor, senders: Tensor | None = None, start: Tensor | None = None
    ) -> Tensor:
        """psi at the knots of the basis, (knot, sender type), from the first of the rows."""
        projection = self._projection(rows[: self.config.psi_rows], senders)
        return projection.learn(self.config.iterations, self.config.tolerance, start).values

    def learn_mixtures(self, number: int) -> Mixtures:
        """Messages of each neuron, mixed of so many shapes, and phi, while types are unknown."""
        batches = self._batches(max(4000, EQUATIONS_PER_NEURON * number * self.stream.n_neurons))
        return learn_mixtures(
            batches,
            self.order,
            self.basis,
            self.phi_splines,
            self.levels,
            end="sender" if self.config.messages == "sender_type" else "receiver",
            number=number,
            penalty=FIRST_PENALTY,
        )

    def learn_typed_psi(self, types: Types, messages: Tensor) -> TypedPsi:
        """psi for each pair of types, from the mean message (knot, neuron) of their neurons."""
        labels = torch.from_numpy(types.labels).to(self.stream.device)
        senders, receivers = as_ends(self.config.messages, labels)
        sender_types, curves = senders.unique(), []
        for kind in receivers.unique():
            if self.config.messages == "sender_type":
                members = senders[:, None] == sender_types
            else:
                members = (receivers == kind)[:, None].expand(-1, len(sender_types))
            start = messages @ (members / members.sum(dim=0)).to(messages)
            rows = self.order[receivers[self.order] == kind]
            curves.append(self.basis.mix(self.learn_psi(rows, senders, start)))
        return TypedPsi(curves, senders, receivers)

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

    def find_types(self, phi: Tensor, messages: Sequence[Tensor] = ()) -> Types:
        """Clusters of phi (level, neuron) and messages in units of du/dt; or known types."""
        config = self.config
        return find_types(phi, config.n_types, config.max_types, config.types, messages)

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


def _warn_of_rest(batches: list[Batch]) -> None:
    """Say so where activity leaves most directions, and with them most of W, untouched."""
    activity = torch.cat([batch.activity[:, :LOOKED_AT] for batch in batches])
    variances = torch.linalg.eigvalsh(torch.cov(activity.mT).reshape(activity.shape[1], -1))
    left = variances.clamp(min=0).cumsum(dim=0)  # by the smallest ones
    filled = int((left > (1 - FILLED) * left[-1]).sum())
    if filled < LEAST_FILLED * activity.shape[1]:
        log.warning(
            "%.2f%% of the variance of activity lies in %d dimensions of %d neurons: weights from "
            "other directions cannot be told; a network that rests needs noise or input",
            100 * FILLED,
            filled,
            activity.shape[1],
        )


def _levels(batches: list[Batch]) -> np.ndarray:
    """Activities of all neurons, as quantiles."""
    values = torch.cat([batch.activity[::7].flatten() for batch in batches]).cpu().numpy()
    return np.quantile(values, (np.arange(1000) + 0.5) / 1000)
