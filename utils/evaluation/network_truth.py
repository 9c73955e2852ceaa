"""What of a simulated network can be recovered from its activity, in the units of a fit.

du_i/dt = phi_i(u_i) + sum_j W_ij psi(u_j) + I_i(t) leaves free how a message is shared between
weight and psi, and how a constant is shared between psi and phi. So weights are those of the
simulation, times the gain of the receiver over the mean gain; psi holds the mean gain and is 0 at
0; and phi holds what that takes away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from utils.metrics import lyapunov_exponent
from utils.simulation import Network

Floats = NDArray[np.floating]

LYAPUNOV_STEPS = 10_000  # exponents of short runs differ from one another by half


def true_weights(network: Network) -> Floats:
    """(n, n) [post, pre]; the simulation's own where all types have the same gain."""
    gain = network.parameters["g"][network.types]
    return (gain / _mean_gain(network))[:, None] * network.connectivity


def true_psi(network: Network, u: Floats, receiver: int) -> Floats:
    """(point, n) what senders at ``u (point, n)`` pass on to type ``receiver``, per weight."""
    zero = np.zeros(1)
    psi = np.empty(u.shape)
    for sender, kind in enumerate(network.types):
        passed = network.psi(u[:, sender], receiver, kind)
        psi[:, sender] = passed - network.psi(zero, receiver, kind)
    return _mean_gain(network) * psi


def true_phi(network: Network, u: Floats) -> Floats:
    """(point, n) du/dt of each neuron at ``u (point, n)`` while all others are at 0."""
    n = len(network.types)
    own = np.stack([network.phi(u[:, neuron], neuron) for neuron in range(n)], axis=1)
    own_at_zero = np.array([network.phi(np.zeros(1), neuron)[0] for neuron in range(n)])
    silent = network.dynamics.derivative(np.zeros(n, np.float32), np.ones(n, np.float32), 0)
    return own + (silent - own_at_zero)


def additive_inputs(network: Network) -> Floats | None:
    """(time, n) input that is added to du/dt; one that multiplies messages is no part of a fit."""
    if network.config.input is None or network.config.input.mode != "additive":
        return None
    return network.inputs


def lyapunov_time(network: Network, n_steps: int = LYAPUNOV_STEPS) -> float:
    """Time in which a small difference of two states grows by e; inf where it does not grow.

    Of the noise-free network under its own inputs, from its last state.
    """
    start = [network.activity[-1], *([] if network.efficacy is None else [network.efficacy[-1]])]
    exponent = lyapunov_exponent(
        _euler_step(network), np.concatenate(start), network.dt, n_steps=n_steps
    )
    return 1 / exponent if exponent > 0 else np.inf


def _euler_step(network: Network) -> Callable[[Floats], Floats]:
    """States (2, n), or (2, 2 n) with the efficacies of plastic synapses, to the next ones."""
    weights = network.connectivity.astype(np.float64)
    dynamics, n = replace(network.dynamics, connectivity=weights), len(weights)
    frames, inputs = count(), network.inputs

    def step(states: Floats) -> Floats:
        frame = next(frames) % len(network.activity)
        drive = None if inputs is None else inputs[frame]
        return states + network.dt * np.stack([slope(state, frame, drive) for state in states])

    def slope(state: Floats, frame: int, drive: Floats | None) -> Floats:
        u, p = state[:n], state[n:]
        if not len(p):
            return dynamics.derivative(u, np.ones(n), frame, drive)
        change = dynamics.efficacy_derivative(u, p)
        return np.concatenate([dynamics.derivative(u, p, frame, drive), change])

    return step


def _mean_gain(network: Network) -> float:
    return float(network.parameters["g"][network.types].mean(dtype=np.float64))
