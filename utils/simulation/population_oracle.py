"""The best forecasts of a simulated calcium population, in closed form.

Two ceilings: what can be known from the true state at one frame (latents and calcium of all
neurons), and what can be known from the activity observed so far (the Kalman filter, which has
the true parameters). The world is linear and Gaussian, so both are exact; no forecast has a
smaller expected squared error with the same knowledge.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov
from scipy.signal import lfilter

from utils.simulation.population import CalciumPopulation

_SMALLEST_NOISE = 1e-4  # the filter needs some; the activity has unit variance


def expected_calcium(
    population: CalciumPopulation, latents: np.ndarray, calcium: np.ndarray, horizon: int
) -> np.ndarray:
    """Calcium expected in the ``horizon`` frames after one with the given state.

    The noise is white, so this is the expected activity as well.

    Parameters
    ----------
    latents : (batch, latent), true or estimated.
    calcium : (batch, neuron) at the same frames.

    Returns
    -------
    (batch, horizon, neuron) float32.
    """
    decay, transition = population.decay, population.transition
    expected = np.empty((len(calcium), horizon, calcium.shape[1]), dtype=np.float32)
    for ahead in range(horizon):
        latents = latents @ transition
        calcium = decay * calcium + latents @ population.loadings
        expected[:, ahead] = calcium
    return expected


def oracle_r2(population: CalciumPopulation, horizon: int) -> np.ndarray:
    """R2 that the forecast from the true state has in expectation, pooled over neurons.

    Returns
    -------
    (horizon,) float64.
    """
    forward, input_covariance, shared = _shared_dynamics(population)
    covariance = solve_discrete_lyapunov(forward, input_covariance)
    decay = population.decay
    private = population.private_drive**2 / (1 - decay**2)
    total = np.trace(shared @ covariance @ shared.T) / shared.shape[0]
    total += private + population.noise**2
    explained = []
    for _ in range(horizon):
        shared, private = shared @ forward, private * decay**2
        mean = np.trace(shared @ covariance @ shared.T) / shared.shape[0]
        explained.append((mean + private) / total)
    return np.array(explained)


def filtered_state(population: CalciumPopulation) -> tuple[np.ndarray, np.ndarray]:
    """Latents and calcium expected from the activity up to and including each frame.

    Outside of the space that the loadings span, calcium is private and equally distributed in
    all directions, so that one scalar filter serves; inside, the filter has few dimensions.

    Returns
    -------
    latents : (time, latent) float32.
    calcium : (time, neuron) float32.
    """
    basis = np.linalg.qr(population.loadings.T.astype(np.float64))[0]  # (neuron, direction)
    activity = population.activity.astype(np.float64)
    inside = activity @ basis
    latents, calcium = _filter_inside(population, basis, inside)
    outside = _filter_outside(population, activity - inside @ basis.T)
    outside += calcium @ basis.T
    return latents.astype(np.float32), outside.astype(np.float32)


def _shared_dynamics(population: CalciumPopulation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the state (latents, decayed latents): its step, its input's covariance, its read-out."""
    turn = population.transition.T
    n = len(turn)
    forward = np.block([[turn, np.zeros((n, n))], [turn, population.decay * np.eye(n)]])
    spread = np.tile(_latent_input(population), (2, 2))  # new input reaches both at once
    shared = np.hstack([np.zeros(population.loadings.T.shape), population.loadings.T])
    return forward, spread, shared


def _latent_input(population: CalciumPopulation) -> np.ndarray:
    """Covariance of what is new in the latents in each frame, (latent, latent)."""
    decay = np.exp(-1 / (population.latent_taus * population.frame_rate))
    return np.diag(1 - decay.astype(np.float64) ** 2)


def _filter_inside(
    population: CalciumPopulation, basis: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Steady Kalman filter of (latents, calcium in the directions of ``basis``)."""
    turn, mix = population.transition.T, (population.loadings @ basis).T  # (direction, latent)
    n_latents, n_directions = len(turn), len(mix)
    decay = population.decay * np.eye(n_directions)
    forward = np.block([[turn, np.zeros((n_latents, n_directions))], [mix @ turn, decay]])
    reach = np.vstack([np.eye(n_latents), mix])
    spread = reach @ _latent_input(population) @ reach.T
    spread[n_latents:, n_latents:] += population.private_drive**2 * np.eye(n_directions)
    see = np.hstack([np.zeros((n_directions, n_latents)), np.eye(n_directions)])
    noise = _noise_variance(population) * np.eye(n_directions)
    uncertainty = solve_discrete_are(forward.T, see.T, spread, noise)
    gain = np.linalg.solve(see @ uncertainty @ see.T + noise, see @ uncertainty).T
    step = forward - gain @ see @ forward
    states = observed @ gain.T  # filled in place: what each frame adds, then the state
    for frame in range(1, len(states)):
        states[frame] += step @ states[frame - 1]
    return states[:, :n_latents], states[:, n_latents:]


def _filter_outside(population: CalciumPopulation, observed: np.ndarray) -> np.ndarray:
    """Steady Kalman filter of private calcium alone, each column by itself."""
    decay, noise = population.decay, _noise_variance(population)
    drive = population.private_drive**2
    surplus = drive - noise * (1 - decay**2)
    uncertainty = (surplus + np.sqrt(surplus**2 + 4 * drive * noise)) / 2
    gain = uncertainty / (uncertainty + noise)
    return lfilter([gain], [1, -(1 - gain) * decay], observed, axis=0)


def _noise_variance(population: CalciumPopulation) -> float:
    return max(population.noise, _SMALLEST_NOISE) ** 2
