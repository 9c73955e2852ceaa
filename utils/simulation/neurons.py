"""Cells: what each one listens to, and the spikes that follow.

The log of a cell's rate is the sum of its latents, its events and, in visual areas, of its
receptive field's response to the task's stimulus and to the sparse noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.simulation.anatomy import AREA_NAMES, FieldOfView
from utils.simulation.behaviour import (
    CONTRASTS,
    NOISE_PERIOD,
    NOISE_SHAPE,
    NOISE_SQUARE,
    STIMULUS_AZIMUTH,
    THRESHOLD,
    Behaviour,
    ornstein_uhlenbeck,
)
from utils.simulation.calcium import even_lognormal
from utils.simulation.latents import EVENT_MEANS, EVENT_SPREAD, EVENTS, Latents
from utils.simulation.timeline import FINE_STEP, Timeline

MEDIAN_RATE = 0.06  # Hz
RATE_SPREAD = 1.1  # sigma of the lognormal
LATENT_GAIN = 0.8  # standard deviation of the log-rate that latents cause
LATENT_SHARES = {"shared": 0.4, "area": 0.35, "private": 0.25}  # of that variance
PRIVATE_TAU = 0.3  # s
MAX_RATE = 12.0  # Hz
VISUAL_FRACTION = 0.6  # of the cells in visual areas
STIMULUS_SIGMA = 7.0  # degrees, the task's Gabor
VISUAL_LATENCY = 0.06  # s


@dataclass(frozen=True)
class Cells:
    """Known properties of the cells of one FOV, one row per cell."""

    area: np.ndarray  # (n,) index into AREA_NAMES
    base_rate: np.ndarray  # (n,) Hz
    shared_weights: np.ndarray  # (n, 12)
    area_weights: np.ndarray  # (n, 4)
    private_weight: float
    event_weights: np.ndarray  # (n, event)
    visual_gain: np.ndarray  # (n,) log-rate at full drive; 0 = not visual
    azimuth: np.ndarray  # (n,) degrees, negative = left
    elevation: np.ndarray  # (n,) degrees
    field_size: np.ndarray  # (n,) degrees, sigma
    polarity: np.ndarray  # (n,) +1 prefers white squares, -1 black ones
    half_contrast: np.ndarray  # (n,) contrast of the half-maximal response
    exponent: np.ndarray  # (n,)

    def contrast_response(self, contrast: np.ndarray) -> np.ndarray:
        """Response to contrasts, relative to the largest possible one, ``(n, contrast)``."""
        power = np.asarray(contrast)[None, :] ** self.exponent[:, None]
        return power / (power + self.half_contrast[:, None] ** self.exponent[:, None])

    def block(self, rows: slice) -> Cells:
        """The cells of ``rows`` only."""
        fields = {
            name: value[rows] if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }
        return Cells(**fields)


def draw_cells(fov: FieldOfView, rng: np.random.Generator) -> Cells:
    """Draw the properties of the cells of a FOV, in the order of ``np.flatnonzero(is_cell)``."""
    area = fov.area[fov.is_cell]
    n = len(area)
    names = np.array(AREA_NAMES)[area]
    visual = np.char.startswith(names, "VIS") & (rng.random(n) < VISUAL_FRACTION)
    azimuth, elevation = _retinotopy(fov, rng)
    means = np.array([_event_means(name) for name in names])
    return Cells(
        area=area,
        base_rate=MEDIAN_RATE * even_lognormal(RATE_SPREAD, n, rng),
        shared_weights=_unit_rows(n, 12, LATENT_SHARES["shared"], rng),
        area_weights=_unit_rows(n, 4, LATENT_SHARES["area"], rng, positive=True),
        private_weight=LATENT_GAIN * np.sqrt(LATENT_SHARES["private"]),
        event_weights=means + rng.normal(0, EVENT_SPREAD, (n, len(EVENTS))),
        visual_gain=np.where(visual, rng.uniform(2.0, 4.5, n), 0.0),
        azimuth=azimuth,
        elevation=elevation,
        field_size=rng.uniform(6.0, 14.0, n),
        polarity=rng.choice([-1.0, 1.0], n),
        half_contrast=rng.lognormal(np.log(0.2), 0.5, n),
        exponent=rng.uniform(1.2, 2.5, n),
    )


def simulate_spikes(
    cells: Cells,
    latents: Latents,
    visual_input: VisualInput,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Spike counts (uint8) and rates (float32, Hz) per fine step, ``(n, n_fine)``."""
    log_rate = cells.shared_weights.astype(np.float32) @ latents.shared
    log_rate += cells.event_weights.astype(np.float32) @ latents.events
    for row, (area, weights) in enumerate(zip(cells.area, cells.area_weights)):
        log_rate[row] += weights.astype(np.float32) @ latents.area[area]
    private = ornstein_uhlenbeck(PRIVATE_TAU, log_rate.shape, rng)
    log_rate += np.float32(cells.private_weight) * private
    visual_input.add_drive(cells, log_rate)
    log_rate += np.log(cells.base_rate).astype(np.float32)[:, None]
    rates = np.minimum(np.exp(log_rate, out=log_rate), MAX_RATE, out=log_rate)
    spikes = rng.poisson(rates * FINE_STEP).astype(np.uint8)
    return spikes, rates


class VisualInput:
    """What the right hemisphere's cells see: the task's stimulus and the sparse noise."""

    def __init__(self, timeline: Timeline, behaviour: Behaviour) -> None:
        self._describe_task(timeline, behaviour)
        self.noise = (behaviour.noise_frames.astype(np.float32) - 128) / 127
        delayed = behaviour.noise_times + VISUAL_LATENCY
        self.noise_steps = np.searchsorted(timeline.fine_times, delayed)
        self.noise_span = round(NOISE_PERIOD / FINE_STEP)

    def add_drive(self, cells: Cells, log_rate: np.ndarray) -> None:
        """Add the visual response of the cells to their log-rate ``(n, n_fine)``, in place."""
        for row in np.flatnonzero(cells.visual_gain):
            cell = cells.block(slice(row, row + 1))
            log_rate[row, self.task_steps] += cell.visual_gain * self._task_response(cell)
            noise = cell.visual_gain * self._noise_response(cell)
            for shift in range(self.noise_span):
                log_rate[row, self.noise_steps + shift] += noise

    def _describe_task(self, timeline: Timeline, behaviour: Behaviour) -> None:
        """Contrast, azimuth and time course of the stimulus at the steps that show one."""
        times = timeline.fine_times
        position = np.interp(times, behaviour.wheel_times, behaviour.wheel_position)
        steps, contrasts, azimuths, courses = [], [], [], []
        for trial in behaviour.trials.itertuples(index=False):
            delayed = trial.stimOn_times + VISUAL_LATENCY, trial.stimOff_times + VISUAL_LATENCY
            shown = np.arange(*np.searchsorted(times, delayed))
            left = not np.isnan(trial.contrastLeft)
            # the wheel moves the stimulus, up to the response
            start = np.interp(trial.stimOn_times, times, position)
            turned = position[shown] - start
            end = np.interp(trial.response_times, times, position) - start
            turned = np.where(times[shown] < trial.response_times, turned, end)
            side = -STIMULUS_AZIMUTH if left else STIMULUS_AZIMUTH
            steps.append(shown)
            azimuths.append(side + STIMULUS_AZIMUTH * np.clip(turned / THRESHOLD, -1, 1))
            contrast = trial.contrastLeft if left else trial.contrastRight
            contrasts.append(np.full(len(shown), np.flatnonzero(contrast == CONTRASTS)[0]))
            # a transient and a plateau
            since = times[shown] - delayed[0]
            courses.append(0.35 + 0.65 * np.exp(-since / 0.25))
        self.task_steps = np.concatenate(steps)
        self.task_contrast = np.concatenate(contrasts)  # index into CONTRASTS
        self.task_azimuth = np.concatenate(azimuths)
        self.task_course = np.concatenate(courses)

    def _task_response(self, cell: Cells) -> np.ndarray:
        width = cell.field_size**2 + STIMULUS_SIGMA**2
        distance = (self.task_azimuth - cell.azimuth) ** 2 + cell.elevation**2
        tuned = cell.contrast_response(CONTRASTS)[0][self.task_contrast]
        return (tuned * self.task_course * np.exp(-0.5 * distance / width)).astype(np.float32)

    def _noise_response(self, cell: Cells) -> np.ndarray:
        weights = receptive_fields(cell)[0]
        drive = np.tensordot(self.noise, weights, 2) * cell.polarity
        return np.clip(drive, 0, 1).astype(np.float32)


def receptive_fields(cells: Cells) -> np.ndarray:
    """Receptive fields on the grid of the sparse noise, peak about 1, ``(n, 15, 15)`` float32."""
    rows, columns = NOISE_SHAPE
    elevation = ((rows - 1) / 2 - np.arange(rows)) * NOISE_SQUARE
    azimuth = (np.arange(columns) - (columns - 1) / 2) * NOISE_SQUARE
    vertical = _bump(elevation, cells.elevation, cells.field_size)
    horizontal = _bump(azimuth, cells.azimuth, cells.field_size)
    return (vertical[:, :, None] * horizontal[:, None, :]).astype(np.float32)


def _bump(grid: np.ndarray, centre: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * ((grid - centre[:, None]) / size[:, None]) ** 2)


def _retinotopy(fov: FieldOfView, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Field centres: lateral cells look ahead, medial ones to the left; anterior ones down."""
    ml, ap, _ = fov.mlapdv[fov.is_cell].T
    azimuth = -5.0 - 55.0 * (3200 - ml) / 1600 + rng.normal(0, 8, len(ml))
    elevation = -20.0 * (ap + 3200) / 700 + rng.normal(0, 8, len(ml))
    return np.clip(azimuth, -56, 5), np.clip(elevation, -24, 32)


def _event_means(name: str) -> tuple[float, ...]:
    return next(means for prefix, means in EVENT_MEANS.items() if name.startswith(prefix))


def _unit_rows(
    n: int, k: int, share: float, rng: np.random.Generator, positive: bool = False
) -> np.ndarray:
    """Random weights that give each cell the same variance of its log-rate."""
    weights = rng.standard_normal((n, k))
    if positive:  # areas keep a common sign, so that their coupling shows in their mean
        weights = np.abs(weights)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return weights * LATENT_GAIN * np.sqrt(share)
