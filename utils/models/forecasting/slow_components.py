"""Slow components of a population: what its neurons share, sorted by how long it lasts.

Principal components order shared activity by its size, and sessions with other neurons order it
in another way. Turned so that values a few frames apart are uncorrelated between components
(time-lagged independent components; Molgedey and Schuster 1994), they come in the order of their
memory, which depends on the dynamics and much less on which neurons were recorded. White noise,
which no forecast can use, comes last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from utils.models.forecasting.shared_series import Components, leading_components

if TYPE_CHECKING:
    from utils.windows import WindowData

LAG = 2  # frames: past the correlation that one frame shares with the next
SMALLEST_VARIANCE = 1e-6  # of the largest: a component with less is none


def slow_components(
    data: WindowData, mean: Tensor, deviation: Tensor, n_components: int
) -> tuple[Tensor, Tensor]:
    """Leading components of the training block, turned by their memory, the slowest first.

    Parameters
    ----------
    mean, deviation : (neuron,) of the training block; silent neurons have no part.

    Returns
    -------
    writes : (neuron, component) from standardised activity to components of unit variance.
    reads : (neuron, component) from components to standardised activity. Both are float64, and
        0 for components that the recording does not have.
    """
    most = min(n_components, data.n_neurons)
    components = leading_components(data, mean, deviation, most)
    axes = components.weights * deviation[:, None]  # orthonormal, for standardised values
    covariance, lagged = _covariances(data, components)
    variances, basis = torch.linalg.eigh(covariance)
    there = variances > SMALLEST_VARIANCE * variances.max().clamp(min=SMALLEST_VARIANCE)
    deviations = variances[there].sqrt()
    white = basis[:, there] / deviations
    turn = torch.linalg.eigh(white.T @ lagged @ white).eigenvectors.flip(1)
    writes = axes @ white @ turn
    reads = axes @ (basis[:, there] * deviations) @ turn
    sign = torch.where(reads.sum(dim=0) < 0, -1.0, 1.0)  # eigenvectors have none of their own
    missing = (0, n_components - writes.shape[1])
    return tuple(torch.nn.functional.pad(part * sign, missing) for part in (writes, reads))


def _covariances(data: WindowData, components: Components) -> tuple[Tensor, Tensor]:
    """Of the component series at the same time and ``LAG`` frames apart, (component, component)."""
    n, series = components.weights.shape[1], components.series(data)
    same, apart = torch.zeros(2, n, n, dtype=torch.float64)
    n_same, n_apart = 0, 0
    for start, stop in data.train.segments.tolist():
        values = series(slice(start, stop))
        same += values.T @ values
        apart += values[:-LAG].T @ values[LAG:]
        n_same, n_apart = n_same + len(values), n_apart + max(len(values) - LAG, 0)
    return same / max(n_same, 1), (apart + apart.T) / (2 * max(n_apart, 1))
