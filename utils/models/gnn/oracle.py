"""The weights that least squares finds if psi and the form of phi are known: a bound for fits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from utils.models.gnn.fit import PENALTIES
from utils.models.gnn.solver import choose_penalty, solve_rows
from utils.models.gnn.statistics import Statistics, collect
from utils.models.gnn.stream import FrameStream
from utils.models.gnn.weak_form import Bumps
from utils.signals import DerivativeMethod


def connectivity_oracle(
    activity: ArrayLike,
    psi: Callable[[Tensor], Tensor],
    phi: Callable[[Tensor], Tensor],
    *,
    dt: float,
    derivative: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    estimate: DerivativeMethod | Bumps = "savitzky_golay",
    held_out: float = 0.1,
) -> NDArray[np.float32]:
    """W (neuron, neuron) from the same equations as a fit sees, with the true psi.

    Parameters
    ----------
    activity, derivative, inputs, dt, estimate, held_out : as for
        :func:`~utils.models.gnn.fit.fit_connectivity`.
    psi : messages (frame, neuron) of activity (frame, neuron).
    phi : functions (frame, neuron, column) of activity that phi is a sum of, such as 1, u, tanh u.
    """
    stream = FrameStream(activity, derivative, inputs, dt, estimate)
    rows = torch.arange(stream.n_neurons)
    border = round((1 - held_out) * stream.n_frames)

    def sums(first: int, last: int) -> Statistics:
        return collect(stream.batches(first, last), psi, phi, rows)

    train = sums(0, border)
    penalty = choose_penalty(train, sums(border, stream.n_frames), rows, PENALTIES)
    return solve_rows(train, rows, penalty).connectivity.numpy().astype(np.float32)
