"""Inputs I_i(t): functions of the frame, so a run of any length can be had block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from utils.simulation.network.config import Impulses, Movie, NetworkConfig, Oscillation

Array = NDArray[np.float32]
Source = Callable[[NDArray[np.int64]], Array]  # frames (b,) -> inputs (b, n)
SPREAD = (0.5, 2.0)  # factors of frequencies, amplitudes and wavelengths that vary


def draw_inputs(config: NetworkConfig, rng: np.random.Generator) -> Source | None:
    """The input of all neurons as a function of frames; frame 0 is the first after warm-up."""
    if config.input is None:
        return None
    draw = {Oscillation: _oscillation, Impulses: _impulses, Movie: _movie}[type(config.input)]
    varying = draw(config.input, config, rng)

    def source(frames: NDArray[np.int64]) -> Array:
        return (config.input.offset + varying(frames)).astype(np.float32)

    return source


def _oscillation(settings: Oscillation, config: NetworkConfig, rng: np.random.Generator) -> Source:
    amplitude = settings.amplitude * rng.uniform(-1, 1, config.n_neurons)
    turn = 2 * np.pi * settings.frequency * config.dt  # rad per frame
    return lambda frames: np.cos(turn * frames)[:, None] * amplitude


def _impulses(settings: Impulses, config: NetworkConfig, rng: np.random.Generator) -> Source:
    """Bursts around the multiples of the interval, later by up to half of it.

    Each trigger has random numbers of its own, so what happens at a frame does not depend on
    which frames are asked for.
    """
    n, key = config.n_neurons, rng.integers(2**32)

    def burst(index: int, frames: NDArray[np.int64]) -> Array:
        own = np.random.default_rng([key, index])
        start = index * settings.interval + own.integers(-(-settings.interval // 2))
        targets = own.choice(n, min(settings.n_targets, n), replace=False)
        frequency, amplitude = np.exp(own.uniform(*np.log(SPREAD), 2))
        since = frames - start
        wave = amplitude * np.cos(2 * np.pi * frequency * settings.frequency * config.dt * since)
        wave *= (since >= 0) & (since < settings.duration)
        values = wave[:, None] * settings.amplitude * own.uniform(-1, 1, n)
        values[np.ix_(since == 0, targets)] += settings.strength
        return values

    def varying(frames: NDArray[np.int64]) -> Array:
        reach = settings.interval + settings.duration
        first = max(0, (frames[0] - reach) // settings.interval)
        last = frames[-1] // settings.interval
        values = np.zeros((len(frames), n))
        for index in range(first, last + 1):
            values += burst(index, frames)
        return values

    return varying


def _movie(settings: Movie, config: NetworkConfig, rng: np.random.Generator) -> Source:
    """Plane waves of random direction, length and frequency, of unit variance together."""
    n_waves = settings.n_waves
    place = rng.random((2, config.n_neurons))
    angle, phase = rng.uniform(0, 2 * np.pi, (2, n_waves))
    wavelength = settings.wavelength * np.exp(rng.uniform(*np.log(SPREAD), n_waves))
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    at = 2 * np.pi / wavelength[:, None] * (direction @ place) + phase[:, None]  # (wave, neuron)
    turn = 2 * np.pi * settings.frequency * config.dt * rng.random(n_waves)  # rad per frame
    scale = settings.amplitude * np.sqrt(2 / n_waves)

    def varying(frames: NDArray[np.int64]) -> Array:
        past = np.outer(frames, turn)
        return scale * (np.cos(past) @ np.cos(at) + np.sin(past) @ np.sin(at))

    return varying
