"""A small world for forecasters: calcium of neurons that share a few hidden fluctuations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

BURN_IN = 60.0  # s, longer than any memory of the world


@dataclass(frozen=True)
class CalciumPopulation:
    """Simulated calcium with its truth. All arrays are float32, times are in seconds."""

    activity: np.ndarray  # (time, neuron), calcium and white noise
    timestamps: np.ndarray  # (time,) float64
    calcium: np.ndarray  # (time, neuron), the signal without noise
    latents: np.ndarray  # (time, latent), unit variance
    loadings: np.ndarray  # (latent, neuron), calcium = decayed latents times loadings
    latent_taus: np.ndarray  # (latent,) correlation time
    indicator_decay: float
    noise: float  # standard deviation of the white noise
    frame_rate: float  # Hz


def simulate_calcium_population(
    n_neurons: int = 300,
    n_frames: int = 12_000,
    frame_rate: float = 5.0,
    n_latents: int = 8,
    signal: float = 0.4,
    seed: int = 0,
    *,
    latent_taus: Sequence[float] = (0.2, 6.0),
    indicator_decay: float = 0.5,
) -> CalciumPopulation:
    """Shared Ornstein-Uhlenbeck latents, an indicator that decays exponentially, white noise.

    The defaults are the preset that forecasters are compared on. Chosen so that the simple
    forecasts (48 -> 24 frames) score about as in the table that the preset is meant for: latents
    with correlation times spaced geometrically from 0.2 to 6 s, an indicator decay of 0.5 s,
    Gaussian loadings, so that neurons differ in their part of signal, and noise of equal
    variance for all neurons. There is no other private activity: the calcium of a neuron is
    driven by the latents alone.

    Parameters
    ----------
    frame_rate : Hz.
    signal : part of the calcium in the variance of the activity, over all neurons, 0 to 1.
    latent_taus : shortest and longest correlation time, s.
    indicator_decay : time constant of the indicator, s.

    Returns
    -------
    Activity with variance 1 over all neurons, and the truth. Same arguments, same values.

    Raises
    ------
    ValueError
        A size that is not positive, or ``signal`` outside of 0 to 1.
    """
    if min(n_neurons, n_frames, n_latents, frame_rate, indicator_decay, *latent_taus) <= 0:
        raise ValueError("numbers of neurons, frames and latents, rate and times must be positive")
    if not 0 <= signal <= 1:
        raise ValueError(f"signal = {signal}: the part of the variance must lie in 0 to 1")
    rng = np.random.default_rng(seed)
    burn_in = round(BURN_IN * frame_rate)
    taus = np.geomspace(*latent_taus, n_latents)
    latents = _latents(np.exp(-1 / (taus * frame_rate)), burn_in + n_frames, rng)
    decay = np.exp(-1 / (indicator_decay * frame_rate))
    decayed = lfilter([1], [1, -decay], latents, axis=0)[burn_in:]
    decayed -= decayed.mean(axis=0)
    loadings = rng.standard_normal((n_latents, n_neurons))
    loadings *= np.sqrt(signal) / (decayed @ loadings).std()
    calcium = decayed @ loadings
    noise = np.sqrt(1 - signal)
    activity = calcium + noise * rng.standard_normal((n_frames, n_neurons))
    return CalciumPopulation(
        activity=activity.astype(np.float32),
        timestamps=np.arange(n_frames) / frame_rate,
        calcium=calcium.astype(np.float32),
        latents=latents[burn_in:].astype(np.float32),
        loadings=loadings.astype(np.float32),
        latent_taus=taus.astype(np.float32),
        indicator_decay=indicator_decay,
        noise=float(noise),
        frame_rate=frame_rate,
    )


def _latents(decay: np.ndarray, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Independent first-order fluctuations of unit variance, (time, latent)."""
    noise = rng.standard_normal((n_frames, len(decay))) * np.sqrt(1 - decay**2)
    return np.column_stack([lfilter([1], [1, -a], noise[:, k]) for k, a in enumerate(decay)])
