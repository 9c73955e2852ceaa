"""Connectivity matrices ``(n, n)``: entry ``[post, pre]``, zero diagonal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utils.simulation.network.config import NetworkConfig

LARGEST_CAUCHY = 25.0  # larger numbers become 0
DISCOUNT = 0.98  # of the successor representation


def draw_connectivity(
    config: NetworkConfig, types: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the connectivity of a network, ``(n, n)`` [post, pre].

    Dale's law takes absolute values and gives each column (sender) a sign; sparsity then keeps
    each entry with that probability and does not rescale the others. The diagonal is 0, so a
    matrix of ``low_rank`` has its rank but for the diagonal.
    """
    weights_rng, mask_rng = rng.spawn(2)  # a sparse network keeps entries of the dense one
    weights = _WEIGHTS[config.connectivity](config, types, weights_rng).astype(np.float32)
    n = config.n_neurons
    if config.dale is not None:
        excites = np.arange(n) < int(n * config.dale)
        weights = np.abs(weights) * np.where(excites, 1, -1).astype(np.float32)
    if config.sparsity < 1:
        weights *= mask_rng.random((n, n), dtype=np.float32) < config.sparsity
    np.fill_diagonal(weights, 0)
    return weights


def _lorentz(config, types, rng):
    n = config.n_neurons
    weights = rng.standard_cauchy((n, n))
    weights[np.abs(weights) > LARGEST_CAUCHY] = 0
    return weights / n ** lorentz_exponent(n)


def lorentz_exponent(n: int) -> float:
    """The published exponents: the spectral radius falls with n and jumps at each border."""
    for largest, exponent in ((1999, 0.7), (3999, 0.675), (7999, 0.67), (8000, 0.66)):
        if n <= largest:
            return exponent
    return 0.5


def _gaussian(config, types, rng):
    n = config.n_neurons
    return rng.standard_normal((n, n)) / np.sqrt(n)


def _low_rank(config, types, rng):
    n, rank = config.n_neurons, config.rank
    left, right = rng.standard_normal((2, n, rank))
    return left @ right.T / np.sqrt(rank * n)


def _uniform(config, types, rng):
    return rng.uniform(-0.5, 0.5, (config.n_neurons, config.n_neurons))


def _ring(config, types, rng):
    angle = 2 * np.pi * np.arange(config.n_neurons) / config.n_neurons
    return (np.cos(angle[:, None] - angle) + 0.5) / config.n_neurons


def _successor(config, types, rng):
    """The inverse of 1 - discount * shift, in closed form: neuron i foresees all after it."""
    steps = np.arange(config.n_neurons) - np.arange(config.n_neurons)[:, None]
    return np.where(steps >= 0, DISCOUNT ** np.abs(steps), 0)


def _null(config, types, rng):
    return np.zeros((config.n_neurons, config.n_neurons))


def _blocks(config, types, rng):
    """Lorentz weights whose sign is that of the pair of types."""
    pairs = rng.random((config.n_types, config.n_types)) < config.positive_blocks
    return np.abs(_lorentz(config, types, rng)) * np.where(pairs, 1, -1)[types[:, None], types]


_WEIGHTS = {
    "lorentz": _lorentz,
    "gaussian": _gaussian,
    "low_rank": _low_rank,
    "uniform": _uniform,
    "ring": _ring,
    "successor": _successor,
    "null": _null,
    "blocks": _blocks,
}
