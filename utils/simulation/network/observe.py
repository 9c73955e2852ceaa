"""What is seen of a network: activity or calcium fluorescence, with measurement noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utils.simulation.network.config import Calcium, NetworkConfig
from utils.simulation.network.dynamics import stream

Array = NDArray[np.float32]
DRIVE = {  # of calcium, by activity
    "softplus": lambda u: np.logaddexp(u, np.float32(0)),
    "relu": lambda u: np.maximum(u, 0),
    "tanh": lambda u: 1 + np.tanh(u),
    "identity": lambda u: u,
}


class Observer:
    """Observes a run block by block; calcium goes on from one block to the next."""

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        self._level: Array | None = None  # (n,) calcium at the next frame
        self._rng = stream(config.seed, "measurement noise")

    @property
    def changes(self) -> bool:
        """Whether anything lies between the activity and what is seen of it."""
        return self._config.calcium is not None or self._config.measurement_noise > 0

    def __call__(self, activity: Array) -> Array:
        """What is seen of ``activity (frames, n)``, float32."""
        config, seen = self._config, activity
        if config.calcium:
            seen = _fluorescence(self._concentration(activity), config.calcium)
        if config.measurement_noise:
            noise = self._rng.standard_normal(activity.shape, dtype=np.float32)
            seen = seen + np.float32(config.measurement_noise) * noise
        return seen

    def _concentration(self, activity: Array) -> Array:
        """Explicit Euler, from the level that the first activity would hold."""
        calcium = self._config.calcium
        drive = DRIVE[calcium.activation](activity)
        level = drive[0] if self._level is None else self._level
        rate = np.float32(self._config.dt / calcium.tau)
        concentration = np.empty_like(activity)
        for frame, target in enumerate(drive):
            concentration[frame] = level
            level = level + rate * (target - level)
        self._level = level
        return concentration


def _fluorescence(concentration: Array, calcium: Calcium) -> Array:
    if calcium.saturation is not None:
        concentration = concentration / (1 + np.abs(concentration) / np.float32(calcium.saturation))
    return np.float32(calcium.alpha) * concentration + np.float32(calcium.beta)
