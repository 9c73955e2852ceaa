"""Runs of simulated networks: explicit Euler from a random start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from utils.simulation.network.config import NetworkConfig, network_config
from utils.simulation.network.dynamics import Dynamics, stream
from utils.simulation.network.families import own_dynamics
from utils.simulation.network.inputs import draw_inputs
from utils.simulation.network.observe import Observer

Array = NDArray[np.float32]
START_SPREAD = 5.0  # sd of the activity at the start
BLOCK = 1000  # frames that are computed together
_PROGRESS_FROM = 20_000  # frames from which a run takes seconds


@dataclass(frozen=True)
class Network:
    """A simulated network and its run; T frames, n neurons, K types.

    du_i/dt = phi_i(u_i) + g_i p_i sum_j W_ij psi(u_j) + I_i(t), see
    :mod:`utils.simulation.network.families`. Without process noise ``activity[t + 1] ==
    activity[t] + dt * derivative[t]``. Only g_i W_ij can be known from activity: where the gain
    differs between types, compare a fit with that. Arrays over time may be memory-mapped.
    """

    activity: Array  # (T, n) u
    derivative: Array  # (T, n) du/dt per unit of time: the exact right-hand side, without noise
    observed: Array  # (T, n) activity or calcium fluorescence with measurement noise
    inputs: Array | None  # (T, n) I
    efficacy: Array | None  # (T, n) p of short-term plasticity
    dynamics: Dynamics
    config: NetworkConfig

    @property
    def connectivity(self) -> Array:
        """(n, n) [post, pre], zero diagonal; what the simulation used."""
        return self.dynamics.connectivity

    @property
    def types(self) -> NDArray[np.int64]:
        """(n,)"""
        return self.dynamics.types

    @property
    def parameters(self) -> dict[str, Array]:
        """One value per type, (K,)."""
        return self.dynamics.parameters

    @property
    def dt(self) -> float:
        """Time from frame to frame, dimensionless."""
        return self.config.dt

    @property
    def hash(self) -> str:
        """Of the configuration: networks of one hash are the same."""
        return self.config.hash

    def psi(self, u: Array, receiver: int = 0, sender: int = 0) -> Array:
        """The true message of activity ``u`` between two types, without weight and gain."""
        return self.dynamics.psi(np.asarray(u, np.float32), receiver, sender)

    def phi(self, u: Array, neuron: int) -> Array:
        """What activity ``u`` changes in its own neuron, per unit of time (N3: at the start)."""
        kind = self.types[neuron]
        own = {name: value[kind] for name, value in self.parameters.items()}
        return own_dynamics(np.asarray(u, np.float32), own)


def simulate_network(
    config: NetworkConfig | Mapping[str, Any] | None = None, **settings: Any
) -> Network:
    """Simulate a network of neurons whose connectivity is known.

    Parameters
    ----------
    config : a :class:`NetworkConfig`, its values, or None for the baseline (N2, Lorentz).
    settings : fields of it that differ, e.g. ``n_neurons=100, family="N4", sparsity=0.05``.

    Raises
    ------
    ConfigError
        An unknown or wrong setting, named.
    FloatingPointError
        The activity is no longer finite.
    """
    config = network_config(config, **settings)
    return _in_memory(Dynamics.draw(config), config)


def held_out(network: Network, n_frames: int, seed: int) -> Network:
    """The same network from another start state, without any noise: the truth for rollouts.

    It has the same inputs, from the first frame, and goes through a warm-up of its own, so that
    it begins where the network stays. The parameters of N3 drift at the network's own pace.
    """
    settings = {"n_frames": n_frames, "start_seed": seed}
    config = network_config(network.config, **settings, process_noise=0, measurement_noise=0)
    return _in_memory(network.dynamics, config)


def run(dynamics: Dynamics, config: NetworkConfig) -> Iterator[tuple[int, dict[str, Array]]]:
    """First frame and arrays ``(frames, n)`` by name, one block of frames after another.

    ``config`` says how long, from which start and with which noise.
    """
    state = _start(config)
    source = draw_inputs(dynamics.config, stream(config.seed, "inputs"))
    noise_rng = stream(config.seed, "process noise")
    observer = Observer(config)
    borders = chain(range(-config.warm_up, 0, BLOCK), range(0, config.n_frames, BLOCK))
    bar = tqdm(
        total=config.n_frames,
        desc="simulating",
        unit="frame",
        leave=False,
        disable=config.n_frames < _PROGRESS_FROM,
    )
    with bar:
        for first in borders:
            frames = np.arange(first, min(first + BLOCK, config.n_frames if first >= 0 else 0))
            inputs = source(frames) if source else None
            noise = _process_noise(config, len(frames), noise_rng)
            block, state = _steps(dynamics, state, frames, inputs, noise)
            if observer.changes:
                block["observed"] = observer(block["activity"])
            if first >= 0:
                yield first, block
                bar.update(len(frames))


def _steps(
    dynamics: Dynamics,
    state: tuple[Array, Array],
    frames: NDArray[np.int64],
    inputs: Array | None,
    noise: Array | None,
) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """The block's arrays and the state (activity, efficacy) after it."""
    u, p = state
    dt, plastic = np.float32(dynamics.config.dt), dynamics.family.plastic
    names = ["activity", "derivative"] + ["efficacy"] * plastic
    block = {name: np.empty((len(frames), len(u)), np.float32) for name in names}
    with np.errstate(over="ignore", invalid="ignore"):
        for row, frame in enumerate(frames):
            slope = dynamics.derivative(u, p, frame, None if inputs is None else inputs[row])
            block["activity"][row], block["derivative"][row] = u, slope
            if plastic:
                block["efficacy"][row] = p
                p = np.maximum(p + dt * dynamics.efficacy_derivative(u, p), 0)
            u = u + dt * slope
            if noise is not None:
                u += noise[row]
    if not np.isfinite(u).all():
        raise FloatingPointError(
            f"the activity of the network is not finite after frame {frames[-1]}: "
            "lower gain or dt, or choose a bounded phi"
        )
    return block | ({} if inputs is None else {"inputs": inputs}), (u, p)


def _start(config: NetworkConfig) -> tuple[Array, Array]:
    if config.start_seed is None:
        rng = stream(config.seed, "start")
    else:  # never that of the run it is held out from, even if the seeds are equal
        rng = stream(config.start_seed, "another start")
    activity = rng.standard_normal(config.n_neurons, dtype=np.float32)
    return np.float32(START_SPREAD) * activity, np.ones(config.n_neurons, np.float32)


def _process_noise(config: NetworkConfig, n_frames: int, rng: np.random.Generator) -> Array | None:
    """Noise of each step. Its sd does not depend on dt: a finer step means more noise."""
    if not config.process_noise:
        return None
    shape = (n_frames, config.n_neurons)
    return np.float32(config.process_noise) * rng.standard_normal(shape, dtype=np.float32)


def _in_memory(dynamics: Dynamics, config: NetworkConfig) -> Network:
    arrays: dict[str, Array] = {}
    for first, block in run(dynamics, config):
        for name, values in block.items():
            if name not in arrays:
                arrays[name] = np.empty((config.n_frames, config.n_neurons), np.float32)
            arrays[name][first : first + len(values)] = values
    return network_of(arrays, dynamics, config)


def network_of(arrays: Mapping[str, Array], dynamics: Dynamics, config: NetworkConfig) -> Network:
    """A network of the arrays that its run gave."""
    return Network(
        activity=arrays["activity"],
        derivative=arrays["derivative"],
        observed=arrays.get("observed", arrays["activity"]),
        inputs=arrays.get("inputs"),
        efficacy=arrays.get("efficacy"),
        dynamics=dynamics,
        config=config,
    )
