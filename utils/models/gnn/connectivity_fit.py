"""What a fit of connectivity has found: W, psi, phi and types; to look at, run and keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from utils.models.folders import (
    CONFIG,
    WEIGHTS,
    ModelFolderError,
    new_folder,
    read_config,
    read_tensors,
    write_model,
)
from utils.models.gnn.settings import ConnectivitySettings
from utils.models.gnn.splines import Curves

FORMAT = "mesotwin-connectivity"


@dataclass(frozen=True)
class ConnectivityFit:
    """du_i/dt = phi_i(u_i) + sum_j W_ij psi(u_j) + I_i.

    Data know W and psi up to a factor that wanders between them, and psi up to a constant, which
    may as well lie in phi. Here ``psi(0) = 0``, the standard deviation of psi over the activity of
    all neurons is 1, and psi rises in the mean: the psi of each pair of types by itself, where
    messages depend on types.

    Attributes
    ----------
    connectivity : (neuron, neuron) [post, pre], per unit of time of ``dt``; the diagonal is 0.
    types : (neuron,) cluster of the neuron's phi.
    estimated_n_types : number of types that the data suggest, whether or not it was given.
    embeddings : (neuron, 2) first two principal components of phi over neurons, which are
        standard deviations over the activity of all neurons, constants left out.
    penalty : on W, in mean squares of the messages.
    n_frames : number of frames (or equations) from which W was found.
    dt : time between frames.
    """

    connectivity: NDArray[np.float32]
    types: NDArray[np.int64]
    estimated_n_types: int
    embeddings: NDArray[np.float32]
    penalty: float
    n_frames: int
    dt: float
    settings: ConnectivitySettings
    psi_curves: Curves  # of each pair of types, those to the first type of receivers first
    senders: Tensor  # (neuron,) type as a sender, 0 where psi does not depend on it
    phi_curves: Curves
    phi_weights: Tensor  # (curve, neuron)
    receivers: Tensor | None = None  # (neuron,) type as a receiver; None: psi is the same for all

    def __post_init__(self) -> None:
        if self.receivers is None:
            object.__setattr__(self, "receivers", torch.zeros_like(self.senders))

    def psi(self, u: ArrayLike, sender: int = 0, receiver: int = 0) -> NDArray[np.float32]:
        """The message of neuron ``sender`` at activity ``u`` (any shape), without units."""
        curve = int(self._curves_to(int(self.receivers[receiver]))[sender])
        return self.psi_curves(_as_tensor(u))[..., curve].numpy().astype(np.float32)

    def sent(self, u: Tensor, kind: int = 0) -> Tensor:
        """Messages of all neurons to receivers of a type, float64 (..., neuron) -> the same."""
        return self.psi_curves.of_columns(u, self._curves_to(kind))

    def phi(self, u: ArrayLike, i: int) -> NDArray[np.float32]:
        """What neuron ``i`` does by itself at activity ``u`` (any shape), per unit of time."""
        values = self.phi_curves(_as_tensor(u)) @ self.phi_weights[:, i]
        return values.numpy().astype(np.float32)

    def rate(self, u: ArrayLike) -> NDArray[np.float32]:
        """du/dt without input at activity (..., neuron), same shape."""
        return self._rate(_as_tensor(u)).numpy().astype(np.float32)

    def rollout(
        self, u0: ArrayLike, steps: int, inputs: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Euler steps of ``dt`` from a start state.

        Parameters
        ----------
        u0 : (neuron,) or (batch, neuron).
        steps : number of steps.
        inputs : (at least steps, neuron) input at each step, or None.

        Returns
        -------
        (steps + 1, neuron) or (batch, steps + 1, neuron); the start is the first state.
        """
        state = _as_tensor(u0)
        n_neurons = len(self.connectivity)
        if state.shape[-1:] != (n_neurons,):
            raise ValueError(
                f"u0 must be (neuron,) or (batch, neuron) with {n_neurons} neurons; "
                f"found {tuple(state.shape)}"
            )
        given = None if inputs is None else _as_tensor(inputs)
        states = [state]
        for step in range(steps):
            rate = self._rate(state) if given is None else self._rate(state) + given[step]
            state = state + self.dt * rate
            states.append(state)
        return torch.stack(states, dim=-2).numpy().astype(np.float32)

    def save(self, folder: str | Path) -> None:
        """Write settings and what was found into a folder; an older fit there is replaced."""
        tensors = {name: torch.as_tensor(getattr(self, name)).clone() for name in ARRAYS}
        for name in CURVES:
            curves = getattr(self, name)
            tensors |= {f"{name}.knots": curves.knots, f"{name}.pieces": curves.pieces}
        content = {name: getattr(self, name) for name in NUMBERS}
        content["settings"] = self.settings.model_dump(mode="json")
        with new_folder(folder) as new:
            write_model(new, FORMAT, content, tensors)

    def _rate(self, u: Tensor) -> Tensor:
        """(..., neuron) float64 -> the same."""
        weights = torch.from_numpy(self.connectivity).double()
        own = torch.einsum("...nc,cn->...n", self.phi_curves(u), self.phi_weights)
        for kind in self.receivers.unique():
            rows = self.receivers == kind
            own[..., rows] += self.sent(u, int(kind)) @ weights[rows].mT
        return own

    def _curves_to(self, kind: int) -> Tensor:
        """The curve (neuron,) of each sender's messages to receivers of a type."""
        return self.senders + kind * (int(self.senders.max()) + 1)


ARRAYS = "connectivity", "types", "embeddings", "senders", "receivers", "phi_weights"
CURVES = "psi_curves", "phi_curves"
NUMBERS = "estimated_n_types", "penalty", "n_frames", "dt"


def load_connectivity(folder: str | Path) -> ConnectivityFit:
    """The fit that ``ConnectivityFit.save`` wrote.

    Raises
    ------
    ModelFolderError
        Missing, cut or foreign files; the message names the file.
    """
    folder = Path(folder)
    content, tensors = read_config(folder, FORMAT), read_tensors(folder / WEIGHTS)
    try:
        curves = {
            name: Curves(tensors[f"{name}.knots"], tensors[f"{name}.pieces"]) for name in CURVES
        }
        found = {name: tensors[name] for name in ARRAYS}
        numbers = {name: content[name] for name in NUMBERS}
        settings = ConnectivitySettings.model_validate(content["settings"])
    except (KeyError, ValueError) as error:
        raise ModelFolderError(f"{folder / CONFIG} and {WEIGHTS} do not fit: {error}") from error
    for name in ("connectivity", "types", "embeddings"):
        found[name] = found[name].numpy()
    return ConnectivityFit(**found, **numbers, **curves, settings=settings)


def _as_tensor(values: ArrayLike) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64))
