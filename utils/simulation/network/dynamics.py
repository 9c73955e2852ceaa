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
STREAMS = ("connectivity", "inputs", "start", "process noise", "measurement noise")


def stream(seed: int, what: str) -> np.random.Generator:
    """Random numbers for one purpose, so that no setting shifts those for another."""
    return np.random.default_rng([seed, STREAMS.index(what)])


@dataclass(frozen=True)
class Dynamics:
    """One network without its run; ``parameters`` hold one value per type."""

    config: NetworkConfig
    connectivity: Array  # (n, n) [post, pre]
    types: NDArray[np.int64]  # (n,) contiguous
    parameters: dict[str, Array]

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
        """dp/dt ``(n,)`` of short-term plasticity, 0 where the family has none."""
        if not self.family.plastic:
            return np.zeros_like(p)
        tau, alpha = self._per_neuron["tau"], self._per_neuron["alpha"]
        return (1 - p) / tau - alpha * p * np.abs(u)

    def parameters_at(self, frame: int) -> dict[str, Array]:
        """One value per neuron, ``(n,)``; those of N3 reach the next type at the last frame."""
        if not self.family.drifts:
            return self._per_neuron
        part = np.float32(np.clip(frame / max(self.config.n_frames - 1, 1), 0, 1))
        return {
            name: (1 - part) * value + part * self._next_per_neuron[name]
            for name, value in self._per_neuron.items()
        }

    def edge(self, u: Array, receiver: int, sender: int | None = None) -> Array:
        """The edge function psi of ``u`` between two types, without weight and gain.

        ``sender`` None: ``u (n,)`` is the activity of all neurons, each of its own type.
        """
        source = (
            self._per_neuron
            if sender is None
            else {name: value[sender] for name, value in self.parameters.items()}
        )
        target = {name: value[receiver] for name, value in self.parameters.items()}
        return self.family.edge(u, self._activations[receiver], source, target)

    def _messages(self, u: Array, parameters: dict[str, Array]) -> Array:
        if not self.family.by_receiver:
            phi = self._activations[0]
            return self.connectivity @ self.family.edge(u, phi, parameters, parameters)
        parts = [self.connectivity[rows] @ self.edge(u, kind) for kind, rows in self._rows]
        return np.concatenate(parts)

    @cached_property
    def _rows(self) -> list[tuple[int, slice]]:
        """Types that some neuron has, and their neurons."""
        borders = np.searchsorted(self.types, np.arange(self.config.n_types + 1))
        rows = enumerate(map(slice, borders[:-1], borders[1:]))
        return [(kind, part) for kind, part in rows if part.stop > part.start]

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
