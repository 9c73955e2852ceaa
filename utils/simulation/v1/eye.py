"""Where the eye looks: drift, saccades and microsaccades, and what a tracker measures of it.

Drift is Brownian motion (Kuang et al. 2012); the duration of a saccade follows the main sequence
(Bahill et al. 1975) and its course is that of minimum jerk. Degrees: azimuth to the right,
elevation upwards, from the centre of the screen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 120.0
DIFFUSION = 0.011  # deg^2/s: each axis gains a variance of 2 D t
REFRACTORY = 0.12  # s from a saccade to the next, at least
FREE_WAIT, FIXATION_WAIT = 0.18, 0.4  # s, mean of the gamma interval that comes on top
WAIT_SHAPE = 2.0
SACCADE_SIZE = 3.0  # deg, mean of the exponential
MICROSACCADE_SIZE, MICROSACCADE_LIMIT = 0.3, 0.8  # deg
MICROSACCADE_SHARE = 0.2  # of the saccades during free viewing
FIELD = 5.2  # deg: saccades of free viewing land within this azimuth and elevation
FIXATION_SPREAD = 0.085  # deg, of the places where corrective microsaccades land
SHORTEST, PER_DEGREE = 0.021, 0.0022  # s: the main sequence
TRACKER_NOISE = 0.01  # deg
LOSSES_PER_S, LOSS_SECONDS = 0.05, (0.1, 0.5)


class Gaze(NamedTuple):
    """Eye movements of one trial on the clock of the recording."""

    position: NDArray[np.float64]  # (T, 2) deg in the middle of each bin
    onsets: NDArray[np.float64]  # (saccade,) s from the start of the trial
    amplitudes: NDArray[np.float64]  # (saccade,) deg


def free_viewing(n_bins: int, rng: np.random.Generator) -> Gaze:
    """Saccades over a scene, from a random place."""
    return _gaze(n_bins, rng.uniform(-FIELD, FIELD, 2), FREE_WAIT, scene_saccade, rng)


def fixation(n_bins: int, rng: np.random.Generator) -> Gaze:
    """Drift around the centre of the screen with microsaccades back to it."""
    start = FIXATION_SPREAD * rng.standard_normal(2)
    return _gaze(n_bins, start, FIXATION_WAIT, _corrective_microsaccade, rng)


def measured(
    gaze: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What the tracker says of a gaze (T, 2), NaN where it lost the eye, and where (T,) it did."""
    n_bins = len(gaze)
    lost = np.zeros(n_bins, bool)
    for first in rng.integers(0, n_bins, rng.poisson(LOSSES_PER_S * n_bins / RATE_HZ)):
        lost[first : first + round(rng.uniform(*LOSS_SECONDS) * RATE_HZ)] = True
    position = gaze + TRACKER_NOISE * rng.standard_normal(gaze.shape)
    position[lost] = np.nan
    return position.astype(np.float32), lost


def scene_saccade(place: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(2,) deg, from a place to another in the field; some are microsaccades."""
    if rng.random() < MICROSACCADE_SHARE:
        size = min(rng.exponential(MICROSACCADE_SIZE), MICROSACCADE_LIMIT)
        return size * _direction(rng)
    jump = np.full(2, np.inf)
    while (np.abs(place + jump) > FIELD).any():
        jump = rng.exponential(SACCADE_SIZE) * _direction(rng)
    return jump


def _gaze(n_bins, start, wait, saccade, rng) -> Gaze:
    onsets = _onsets(n_bins / RATE_HZ, wait, rng)
    times = (np.arange(n_bins) + 0.5) / RATE_HZ
    steps = np.sqrt(2 * DIFFUSION / RATE_HZ) * rng.standard_normal((n_bins, 2))
    position = start + steps.cumsum(axis=0)
    amplitudes = np.empty(len(onsets))
    for i, onset in enumerate(onsets):
        place = position[min(int(onset * RATE_HZ), n_bins - 1)]
        jump = saccade(place, rng)
        amplitudes[i] = np.hypot(*jump)
        progress = np.clip((times - onset) / (SHORTEST + PER_DEGREE * amplitudes[i]), 0, 1)
        position += _minimum_jerk(progress)[:, None] * jump
    return Gaze(position, onsets, amplitudes)


def _onsets(seconds: float, wait: float, rng: np.random.Generator) -> NDArray[np.float64]:
    most = int(seconds / REFRACTORY) + 1
    intervals = REFRACTORY + rng.gamma(WAIT_SHAPE, wait / WAIT_SHAPE, most)
    onsets = intervals.cumsum() - rng.uniform(0, intervals[0])  # the trial starts within one
    return onsets[onsets < seconds]


def _corrective_microsaccade(
    place: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    jump = FIXATION_SPREAD * rng.standard_normal(2) - place
    return jump * min(1.0, MICROSACCADE_LIMIT / np.hypot(*jump))


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _minimum_jerk(progress: NDArray[np.float64]) -> NDArray[np.float64]:
    return progress**3 * (10 - 15 * progress + 6 * progress**2)
