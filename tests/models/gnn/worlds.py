"""A small network seen from many start states: its activity tells all of W in little time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DT, GAIN = 0.05, 3.0


class World(NamedTuple):
    """Runs of du_i/dt = -c_i u_i + sum_j W_ij tanh(u_j), one after another, NaN in between."""

    activity: NDArray[np.float32]  # (time, neuron)
    derivative: NDArray[np.float32]
    connectivity: NDArray[np.float32]  # (neuron, neuron) [post, pre]
    dt: float
    types: NDArray[np.int64]


def small_world(
    n_neurons: int = 20, n_runs: int = 60, length: int = 66, n_types: int = 2, seed: int = 0
) -> World:
    random = np.random.default_rng(seed)
    weights = random.normal(0, GAIN / n_neurons**0.5, (n_neurons, n_neurons))
    np.fill_diagonal(weights, 0)
    types = np.arange(n_neurons) % n_types
    state = random.normal(0, 2, (n_runs, n_neurons))
    activity, derivative = np.full((2, n_runs, length, n_neurons), np.nan, np.float32)
    for step in range(length - 1):
        rate = -(1.0 + types) * state + np.tanh(state) @ weights.T
        activity[:, step], derivative[:, step] = state, rate
        state = state + DT * rate
    shape = n_runs * length, n_neurons
    return World(
        activity.reshape(shape),
        derivative.reshape(shape),
        weights.astype(np.float32),
        DT,
        types,
    )
