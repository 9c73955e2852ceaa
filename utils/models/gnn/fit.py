"""Connectivity and dynamics from activity, in closed form but for psi.

1. psi from a few rows of W (variable projection).
2. The shapes that the phi of all neurons are mixed of, from some more rows.
3. All rows of W and all phi in one closed-form solve, with the penalty that explains held-out
   frames best.
4. Types: clusters of phi.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from utils.config import validate_config
from utils.models.gnn.connectivity_fit import ConnectivityFit
from utils.models.gnn.projection import Projection
from utils.models.gnn.settings import ConnectivitySettings
from utils.models.gnn.shapes import learn_shapes
from utils.models.gnn.solver import choose_penalty, eliminate_messages, factorise, solve_rows
from utils.models.gnn.splines import Curves, natural_splines, quantile_knots
from utils.models.gnn.statistics import Statistics, collect
from utils.models.gnn.stream import Batch, FrameStream
from utils.models.gnn.types import find_types
from utils.training import choose_device

log = logging.getLogger(__name__)

FIRST_PENALTY = 1e-10  # while psi is sought
PENALTIES = tuple(10.0**power for power in range(-11, 1))
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
    seed : of the choice of rows that psi and phi are learned from, and of clustering.
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
    return _Fit(stream, config, seed).run()


class _Fit:
    """The steps of a fit, which share the recording, its settings and the order of rows."""

    def __init__(self, stream: FrameStream, config: ConnectivitySettings, seed: int) -> None:
        self.stream, self.config, self.seed = stream, config, seed
        self.border = round((1 - config.held_out) * stream.n_frames)
        order = np.random.default_rng(seed).permutation(stream.n_neurons)
        self.order = torch.from_numpy(order).to(stream.device)
        self.few = self._batches(max(4000, EQUATIONS_PER_NEURON * stream.n_neurons))
        self.levels = _levels(self.few)

    def run(self) -> ConnectivityFit:
        psi = self.learn_psi()
        shapes = self.learn_shapes(psi)
        rows = torch.arange(self.stream.n_neurons, device=self.stream.device)
        train = self._statistics(psi, shapes, rows, 0, self.border)
        penalty = self.config.penalty
        if penalty is None:
            penalty = self.penalty(train, psi, shapes)
        solution = solve_rows(train, rows, penalty)
        return self._as_fit(psi, shapes, solution.connectivity, solution.own.mT, penalty, train)

    def learn_psi(self) -> Curves:
        knots = quantile_knots(self.levels, self.config.psi_knots)
        projection = Projection(
            self.few,
            self.order[: self.config.psi_rows],
            basis=natural_splines(knots, self.stream.device),
            own=self._phi_splines(),
            penalty=FIRST_PENALTY,
        )
        return projection.learn(self.config.iterations, self.config.tolerance).psi

    def learn_shapes(self, psi: Curves) -> Curves:
        splines = self._phi_splines()
        rows = self.order[: self.config.phi_rows]
        statistics = collect(self.few, psi.of_columns, lambda u: splines(u[:, rows]), rows)
        inverse = factorise(statistics, FIRST_PENALTY)
        reduced = eliminate_messages(statistics, inverse, rows)
        number = min(self.config.phi_shapes, splines.n_curves - 1, len(rows))
        return learn_shapes(reduced, splines, number)

    def penalty(self, train: Statistics, psi: Curves, shapes: Curves) -> float:
        rows = self.order[: self.config.phi_rows]
        held_out = self._statistics(psi, shapes, rows, self.border, self.stream.n_frames)
        return choose_penalty(train.of_rows(rows), held_out, rows, PENALTIES)

    def _statistics(
        self, psi: Curves, shapes: Curves, rows: Tensor, first: int, last: int
    ) -> Statistics:
        wanted = self.config.max_frames or max(OPERATIONS / self.stream.n_neurons**2, 20_000)
        every = max(int(self.stream.n_frames / wanted), 1)
        batches = self.stream.batches(first, last, every)
        return collect(batches, psi.of_columns, lambda u: shapes(u[:, rows]), rows)

    def _phi_splines(self) -> Curves:
        knots = quantile_knots(self.levels, self.config.phi_knots)
        return natural_splines(knots, self.stream.device)

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
        return batches

    def _as_fit(
        self,
        psi: Curves,
        shapes: Curves,
        connectivity: Tensor,
        phi: Tensor,
        penalty: float,
        statistics: Statistics,
    ) -> ConnectivityFit:
        """Normalise psi, and cluster phi."""
        levels = torch.from_numpy(self.levels).to(connectivity)
        sent = psi(levels)[:, 0]
        zero = psi(torch.zeros_like(levels[:1]))[0, 0]
        rising = float(((levels - levels.mean()) * sent).mean()) >= 0
        scale = (float(sent.std(correction=0)) or 1.0) * (1 if rising else -1)
        phi = phi.clone()
        phi[0] += zero * connectivity.sum(dim=1)
        constant = torch.zeros_like(psi.pieces)
        constant[:, 0] = zero
        psi = Curves(psi.knots, (psi.pieces - constant) / scale)
        types = find_types(shapes(levels) @ phi, self.config.n_types, self.config.max_types)
        return ConnectivityFit(
            connectivity=(scale * connectivity).cpu().numpy().astype(np.float32),
            types=types.labels,
            estimated_n_types=types.estimated_number,
            embeddings=types.embeddings,
            penalty=penalty,
            n_frames=statistics.n_frames,
            dt=self.stream.dt,
            settings=self.config,
            psi_curves=psi.cpu(),
            senders=torch.zeros(len(connectivity), dtype=torch.int64),
            phi_curves=shapes.cpu(),
            phi_weights=phi.cpu(),
        )


def _levels(batches: list[Batch]) -> np.ndarray:
    """Activities of all neurons, as quantiles."""
    values = torch.cat([batch.activity[::7].flatten() for batch in batches]).cpu().numpy()
    return np.quantile(values, (np.arange(1000) + 0.5) / 1000)
