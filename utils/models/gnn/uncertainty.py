"""How sure a recording is of each weight: block bootstrap of the sums over frames.

Frames that follow one another are alike, so blocks of frames are what is drawn anew, with
replacement (Kuensch 1989). A weight is a smooth function of sums over blocks; to first order each
block moves it by a fixed amount, whenever the block is drawn. The spread over all possible draws
then has a closed form, the sum of squared moves, and nothing need be drawn (the sandwich of Liang
& Zeger 1986, with blocks as clusters).

What is covered is chance: noise, and the part of the network's states that were visited. What is
not covered is bias, which more frames do not cure: noise of the measurement in what is regressed
on, neurons that were not recorded, a psi that was wrong. psi itself is taken as known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from utils.models.gnn.connectivity_fit import ConnectivityFit
from utils.models.gnn.solver import Reduced, Rows, back_substitute, eliminate_messages, factorise
from utils.models.gnn.statistics import Statistics, collect
from utils.models.gnn.stream import FrameStream


@dataclass(frozen=True)
class Uncertainty:
    """Weights and how far off chance may have put them, (neuron, neuron) [post, pre]."""

    connectivity: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    n_blocks: int

    def interval(self, level: float = 0.95) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper ends of the intervals that hold a weight with this probability."""
        width = stats.t.ppf((1 + level) / 2, self.n_blocks - 1) * self.standard_error
        return self.connectivity - width, self.connectivity + width


def connectivity_uncertainty(
    fit: ConnectivityFit,
    activity: ArrayLike,
    *,
    derivative: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    n_blocks: int = 40,
) -> Uncertainty:
    """Standard errors of a fit's weights, from the recording that it was made of.

    Parameters
    ----------
    activity, derivative, inputs : as given to
        :func:`~utils.models.gnn.fit.fit_connectivity`; gone through twice.
    n_blocks : equal blocks the recording is cut into, each longer than the activity remembers.

    Raises
    ------
    ValueError
        Fewer than two blocks hold frames without missing values.
    """
    stream = FrameStream(activity, derivative, inputs, fit.dt, fit.settings.estimate)
    errors = torch.zeros(stream.n_neurons, stream.n_neurons, dtype=torch.float64)
    for kind in fit.receivers.unique():
        rows = torch.nonzero(fit.receivers == kind)[:, 0]
        blocks = _Blocks(fit, stream, int(kind), rows, n_blocks)
        errors[rows] = standard_errors(blocks, rows, fit.penalty)
    return Uncertainty(fit.connectivity, errors.numpy().astype(np.float32), n_blocks)


def standard_errors(blocks: Iterable[Statistics], rows: Tensor, penalty: float) -> Tensor:
    """Standard error of W for the given rows, (row, sender); 0 for a neuron's own message.

    Parameters
    ----------
    blocks : one per block of frames, at least two; gone through twice.
    rows, penalty : as in :func:`~utils.models.gnn.solver.solve_rows`.
    """
    total = reduce(add, blocks)
    inverse = factorise(total, penalty)
    reduced = eliminate_messages(total, inverse, rows)
    solution = back_substitute(reduced)
    squares, n_blocks = torch.zeros_like(solution.connectivity), 0
    for block in blocks:
        squares += _move(block, inverse, reduced, solution, rows).square()
        n_blocks += 1
    if n_blocks < 2:
        raise ValueError(f"{n_blocks} block of frames: a spread needs two at least; cut shorter")
    return (n_blocks / (n_blocks - 1) * squares).sqrt()


@dataclass(frozen=True)
class _Blocks:
    """Sums over each block of a recording, read anew each time they are gone through."""

    fit: ConnectivityFit
    stream: FrameStream
    kind: int  # of the receivers
    rows: Tensor  # (row,) which they are
    n_blocks: int

    def __iter__(self) -> Iterator[Statistics]:
        borders = np.linspace(0, self.stream.n_frames, self.n_blocks + 1).astype(int)
        for first, last in pairwise(borders):
            block = collect(
                self.stream.batches(first, last),
                lambda u: self.fit.sent(u, self.kind),
                lambda u: self.fit.phi_curves(u[:, self.rows]),
                self.rows,
            )
            if block is not None:
                yield block


def _move(
    block: Statistics, inverse: Tensor, reduced: Reduced, solution: Rows, rows: Tensor
) -> Tensor:
    """How far W moves per copy of a block, (row, sender): one Newton step on its residuals."""
    signed = torch.cat([-solution.own, torch.ones_like(solution.own[:, :1])], dim=1)
    sent = torch.einsum("src,rc->sr", block.cross, signed) - block.gram @ solution.connectivity.mT
    own = torch.einsum("rac,rc->ra", block.own, signed)[:, :-1]
    own -= torch.einsum("src,rs->rc", block.cross, solution.connectivity)[:, :-1]

    explained, columns = reduced.messages[..., :-1], reduced.own[:, :-1, :-1]
    own -= torch.einsum("src,sr->rc", explained, sent)
    own = torch.linalg.solve(columns + torch.diag_embed(reduced.ridge), own)
    moved = inverse @ sent
    moved -= inverse[:, rows] * (moved[rows, torch.arange(len(rows))] / inverse[rows, rows])
    return (moved - torch.einsum("src,rc->sr", explained, own)).mT
