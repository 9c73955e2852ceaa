"""The families of networks: what a neuron does by itself, and what passes along an edge.

    du_i/dt = own(u_i) + g_i p_i sum_j W_ij edge(u_j) + I_i(t)

own(u) = -c u + s tanh(u), in N4 and N5 -a u + b + s tanh(u), in N11 -c u; p is 1 without
short-term plasticity, and an input may multiply the sum instead.

======  =======================================================================
family  edge(u_j)
======  =======================================================================
N2      phi(u_j)
N3      phi(u_j); parameters drift from those of a type to those of the next
N4      phi((u_j - h_j) / w_j)
N5      phi((u_j - h_j) / w_i) - u_j ln(w_j) / 50
N6      phi(u_j); dp_i/dt = (1 - p_i) / tau_i - alpha_i p_i abs(u_i), p >= 0
N7      phi(u_j / w_i); p as in N6
N11     phi_i(u_j), a function for each type of receivers
======  =======================================================================

A family names its parameters, one value per type, and its edge function. Where that depends on
the sender only, the sum is one product of matrix and vector; where it depends on the receiver's
type as well, one for each type's rows. So no family is summed edge by edge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float32]
Parameters = Mapping[str, Array]  # name -> one value per type or neuron
Activation = Callable[[Array], Array]

ACTIVATIONS: dict[str, Activation] = {
    "tanh": np.tanh,
    "sigmoid": expit,
    "relu": lambda u: np.maximum(u, 0),
    "identity": lambda u: u,
}


@dataclass(frozen=True)
class Family:
    """``edge(u_j, phi, sender, receiver)``: phi is the receiver's, the last two parameters."""

    parameters: tuple[str, ...]
    edge: Callable[[Array, Activation, Parameters, Parameters], Array]
    by_receiver: bool = False  # the edge function depends on the receiver's type
    drifts: bool = False  # parameters go from those of type k to those of type k + 1
    plastic: bool = False  # messages are scaled by an efficacy p that follows dp/dt


def _plain(u, phi, sender, receiver):
    return phi(u)


def _sender_scaled(u, phi, sender, receiver):
    return phi((u - sender["h"]) / sender["w"])


def _both_ends(u, phi, sender, receiver):
    return phi((u - sender["h"]) / receiver["w"]) - u * np.log(sender["w"]) / 50


def _receiver_scaled(u, phi, sender, receiver):
    return phi(u / receiver["w"])


FAMILIES = {
    "N2": Family(("g", "s", "c"), _plain),
    "N3": Family(("g", "s", "c"), _plain, drifts=True),
    "N4": Family(("a", "b", "g", "s", "w", "h"), _sender_scaled),
    "N5": Family(("a", "b", "g", "s", "w", "h"), _both_ends, by_receiver=True),
    "N6": Family(("g", "s", "c", "tau", "alpha"), _plain, plastic=True),
    "N7": Family(
        ("g", "s", "c", "w", "tau", "alpha"), _receiver_scaled, by_receiver=True, plastic=True
    ),
    "N11": Family(("g", "c"), _plain, by_receiver=True),
}


def default_parameters(names: tuple[str, ...], n_types: int, gain: float) -> dict[str, Array]:
    """One value per type: leak and self-coupling on a grid from 1 to 2, the rest as published.

    Four types have the pairs (1, 1), (1, 2), (2, 1), (2, 2) of leak and self-coupling.
    """
    levels = np.linspace(1, 2, int(np.ceil(np.sqrt(n_types))))
    kind = np.arange(n_types)
    leak, coupling = levels[kind // len(levels)], levels[kind % len(levels)]
    default = {
        "g": np.full(n_types, gain),
        "s": coupling,
        "c": leak,
        "a": leak,
        "b": np.zeros(n_types),
        "w": 2.0 ** (kind % 4),
        "h": np.zeros(n_types),
        "tau": np.ones(n_types),
        "alpha": np.full(n_types, 0.1),
    }
    return {name: default[name].astype(np.float32) for name in names}


def own_dynamics(u: Array, parameters: Parameters) -> Array:
    """What a neuron does without others: leak, constant drive and self-coupling."""
    leak = parameters["a"] if "a" in parameters else parameters["c"]
    change = -leak * u
    if "b" in parameters:
        change += parameters["b"]
    if "s" in parameters:
        change += parameters["s"] * np.tanh(u)
    return change
