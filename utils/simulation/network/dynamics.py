"""The right-hand side of a network's equation, and the truth that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from utils.simulation.network.config import NetworkConfig, Transfer
from utils.simulation.network.connectivity import draw_connectivity
from utils.simulation.network.families import (
    ACTIVATIONS,
    FAMILIES,
    Activation,
    Family,
    default_parameters,
    own_dynamics,
)

Array = NDArray[np.float32]
STREAMS = (  # in this order: their places are part of the seed
    "connectivity",
    "inputs",
    "start",
    "process noise",
    "measurement noise",
    "another start",
)


def stream(seed: int, what: str) -> np.random.Generator:
    """Random numbers for one purpose, so that no setting shifts those for another."""
    return np.random.default_rng([seed, STREAMS.index(what)])


@dataclass(frozen=True)
class Dynamics:
    """A network without a run: what its equation is made of."""

    config: NetworkConfig
    connectivity: Array  # (n, n) [post, pre]
    types: NDArray[np.int64]  # (n,) contiguous
    parameters: dict[str, Array]  # one value per type

    @classmethod
    def draw(cls, config: NetworkConfig) -> Dynamics:
        """The network that a configuration and its seed name."""
        n = config.n_neurons
        types = np.arange(n) * config.n_types // n
        default = default_parameters(
            FAMILIES[config.family].parameters, config.n_types, config.gain
        )
        own = {name: np.array(value, np.float32) for name, value in config.parameters.items()}
        connectivity = draw_connectivity(config, types, stream(config.seed, "connectivity"))
        return cls(config, connectivity, types, default | own)

    @property
    def family(self) -> Family:
        """Parameters and edge function."""
        return FAMILIES[self.config.family]

    def derivative(self, u: Array, p: Array, frame: int, inputs: Array | None = None) -> Array:
        """du/dt ``(n,)`` for activity ``u``, efficacies ``p`` (1 without plasticity) and input."""
        parameters = self.parameters_at(frame)
        drive = parameters["g"] * self._messages(u, parameters)
        if self.family.plastic:
            drive *= p
        if inputs is not None and self.config.input.mode == "multiplicative":
            drive *= inputs
        elif inputs is not None:
            drive += inputs
        return own_dynamics(u, parameters) + drive

    def efficacy_derivative(self, u: Array, p: Array) -> Array:
        """dp/dt ``(n,)`` of short-term plasticity."""
        tau, alpha = self._per_neuron["tau"], self._per_neuron["alpha"]
        return (1 - p) / tau - alpha * p * np.abs(u)

    def parameters_at(self, frame: int) -> dict[str, Array]:
        """One value per neuron, ``(n,)``.

        Those of N3 reach the next type's at the last frame, the last type's the first type's.
        """
        if not self.family.drifts:
            return self._per_neuron
        part = np.float32(np.clip(frame / max(self.config.n_frames - 1, 1), 0, 1))
        return {
            name: (1 - part) * value + part * self._next_per_neuron[name]
            for name, value in self._per_neuron.items()
        }

    def psi(self, u: Array, receiver: int, sender: int) -> Array:
        """The edge function of ``u`` between two types, without weight and gain."""
        phi = self._activations[receiver]
        return self.family.edge(u, phi, self._by_type[sender], self._by_type[receiver])

    def _messages(self, u: Array, parameters: dict[str, Array]) -> Array:
        edge, phi = self.family.edge, self._activations
        if not self.family.by_receiver:
            return self.connectivity @ edge(u, phi[0], parameters, parameters)
        parts = [
            self.connectivity[rows] @ edge(u, phi[kind], parameters, self._by_type[kind])
            for kind, rows in self._rows
        ]
        return np.concatenate(parts)

    @cached_property
    def _rows(self) -> list[tuple[int, slice]]:
        """Types that some neuron has, and their neurons."""
        borders = np.searchsorted(self.types, np.arange(self.config.n_types + 1))
        rows = enumerate(map(slice, borders[:-1], borders[1:]))
        return [(kind, part) for kind, part in rows if part.stop > part.start]

    @cached_property
    def _by_type(self) -> list[dict[str, np.float32]]:
        kinds = range(self.config.n_types)
        return [{name: value[k] for name, value in self.parameters.items()} for k in kinds]

    @cached_property
    def _per_neuron(self) -> dict[str, Array]:
        return {name: value[self.types] for name, value in self.parameters.items()}

    @cached_property
    def _next_per_neuron(self) -> dict[str, Array]:
        return {name: np.roll(value, -1)[self.types] for name, value in self.parameters.items()}

    @cached_property
    def _activations(self) -> list[Activation]:
        """phi by the receiver's type; only in N11 do they differ."""
        kinds = range(self.config.n_types)
        if self.config.family != "N11":
            return [ACTIVATIONS[self.config.phi] for _ in kinds]
        default = [Transfer(function=self.config.phi, slope=2.0 ** (kind % 4)) for kind in kinds]
        return [partial(_transfer, transfer) for transfer in self.config.transfers or default]


def _transfer(transfer: Transfer, u: Array) -> Array:
    scaled = u / np.float32(transfer.slope)
    return np.float32(transfer.amplitude) * ACTIVATIONS[transfer.function](scaled)
