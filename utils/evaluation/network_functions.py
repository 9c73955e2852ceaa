"""Learned beside true functions of a network's neurons, where their activity was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.evaluation.network_truth import true_phi, true_psi
from utils.metrics.connectivity import psi_plateau
from utils.models.gnn import ConnectivityFit
from utils.simulation import Network

Floats = NDArray[np.floating]

SEEN = (0.5, 99.5)  # percentiles of a neuron's activity between which functions are compared
N_POINTS = 61
MOST_FRAMES = 20_000  # of which percentiles are computed, evenly spaced


@dataclass(frozen=True)
class FunctionComparison:
    """Functions at ``u (point, n)``, between the percentiles :data:`SEEN` of each neuron.

    Attributes
    ----------
    psi, true_psi : (point, n) of each neuron as a sender, to the first neuron; the learned one is
        scaled to the range of the true one.
    phi, true_phi : (point, n).
    scale : (n, n) [post, pre] ranges of learned over those of true psi: what learned weights are
        to be multiplied by.
    """

    u: Floats
    psi: Floats
    true_psi: Floats
    phi: Floats
    true_phi: Floats
    scale: Floats

    def scores(self) -> dict[str, float]:
        """R2 over points and neurons: no freedom of scale for phi, its range for psi."""
        return {
            "psi_R2": _pooled_r2(self.psi, self.true_psi),
            "phi_R2": _pooled_r2(self.phi, self.true_phi),
        }

    def example_senders(self, types: NDArray[np.integer]) -> NDArray[np.integer]:
        """The neuron of each type that was seen over the widest range."""
        reach = np.ptp(self.u, axis=0)
        members = [np.flatnonzero(types == kind) for kind in np.unique(types)]
        return np.array([group[np.argmax(reach[group])] for group in members])


def compare_functions(fit: ConnectivityFit, network: Network) -> FunctionComparison:
    """Evaluate psi and phi of a fit and of the network where both were seen."""
    u = seen_grid(network.activity)
    scale = _scale(fit, network, u)
    return FunctionComparison(
        u=u,
        psi=_learned_psi(fit, u, 0) / scale[0],
        true_psi=true_psi(network, u, network.types[0]),
        phi=np.stack([fit.phi(u[:, i], i) for i in range(u.shape[1])], axis=1),
        true_phi=true_phi(network, u),
        scale=scale,
    )


def scaled_weights(fit: ConnectivityFit, network: Network) -> Floats:
    """(n, n) [post, pre]: learned weights on the scale of the true ones."""
    return fit.connectivity * _scale(fit, network, seen_grid(network.activity))


def seen_grid(activity: Floats) -> Floats:
    """(point, n) evenly spaced over what was seen of each neuron."""
    frames = slice(None, None, -(-len(activity) // MOST_FRAMES))
    return np.linspace(*np.percentile(activity[frames], SEEN, axis=0), N_POINTS)


def _scale(fit: ConnectivityFit, network: Network, u: Floats) -> Floats:
    """(n, n) ranges of learned over true psi.

    A sender whose activity never changes has no psi to compare: its weights are scaled like those
    of the sender in the middle.
    """
    _, first, kind = np.unique(fit.receivers, return_index=True, return_inverse=True)
    learned = np.array([psi_plateau(_learned_psi(fit, u, neuron)) for neuron in first])
    types = range(network.config.n_types)
    true = np.array([psi_plateau(true_psi(network, u, receiver)) for receiver in types])
    learned, true = learned[kind], true[network.types]  # (n, n)
    scale = np.divide(learned, true, out=np.full(true.shape, np.nan), where=true > 1e-9)
    return np.where(np.isnan(scale), np.nanmedian(scale), scale)


def _learned_psi(fit: ConnectivityFit, u: Floats, receiver: int) -> Floats:
    """(point, n) what each neuron sends to one receiver."""
    return np.stack([fit.psi(u[:, j], j, receiver) for j in range(u.shape[1])], axis=1)


def _pooled_r2(learned: Floats, true: Floats) -> float:
    deviation = np.square(true - true.mean()).sum()
    return float(1 - np.square(learned - true).sum() / deviation) if deviation > 0 else np.nan
