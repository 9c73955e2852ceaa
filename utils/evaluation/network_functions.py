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
    psi, true_psi : (point, n) of each neuron as a sender, to receivers of the first type; learned
        psi is scaled to the range of the true one.
    phi, true_phi : (point, n).
    scale : (type of the receiver, n) ranges of learned over those of true psi: what learned
        weights are to be multiplied by.
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
    """Evaluate psi and phi of a fit and of the network where both were seen.

    A sender whose activity never changes has no psi to compare: its weights are scaled like those
    of the others in the middle.
    """
    u = seen_grid(network.activity)
    true = np.stack([true_psi(network, u, kind) for kind in range(network.config.n_types)])
    learned = np.stack([fit.psi(u[:, j], j) for j in range(u.shape[1])], axis=1)
    ranges = np.array([psi_plateau(values) for values in true])  # (type, n)
    moves = ranges > 1e-9
    scale = np.where(moves, psi_plateau(learned) / np.where(moves, ranges, 1), np.nan)
    scale = np.where(moves, scale, np.nanmedian(scale))
    return FunctionComparison(
        u=u,
        psi=learned / scale[0],
        true_psi=true[0],
        phi=np.stack([fit.phi(u[:, i], i) for i in range(u.shape[1])], axis=1),
        true_phi=true_phi(network, u),
        scale=scale,
    )


def scaled_weights(fit: ConnectivityFit, network: Network) -> Floats:
    """(n, n) [post, pre]: learned weights on the scale of the true ones."""
    return fit.connectivity * compare_functions(fit, network).scale[network.types]


def seen_grid(activity: Floats) -> Floats:
    """(point, n) evenly spaced over what was seen of each neuron."""
    frames = slice(None, None, -(-len(activity) // MOST_FRAMES))
    return np.linspace(*np.percentile(activity[frames], SEEN, axis=0), N_POINTS)


def _pooled_r2(learned: Floats, true: Floats) -> float:
    deviation = np.square(true - true.mean()).sum()
    return float(1 - np.square(learned - true).sum() / deviation) if deviation > 0 else np.nan
