"""The mouse: trials of the IBL task, wheel, licks, pupil, and the passive sparse noise.

Conventions are those of IBL data: the contrast is NaN on the side without a stimulus, a catch
trial is 0 on one side; choice +1 turns the wheel to positive angles and moves the stimulus to
the right, which is correct for a stimulus on the left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from utils.simulation.timeline import FINE_STEP, Timeline

CONTRASTS = np.array([1.0, 0.25, 0.125, 0.0625, 0.0])
CONTRAST_WEIGHTS = np.array([2, 2, 2, 2, 1]) / 9
STIMULUS_AZIMUTH = 35.0  # degrees from the midline, either side
THRESHOLD = 0.28  # rad of wheel that bring the stimulus to the midline
ENCODER_STEP = 2 * np.pi / 4096  # rad
WHEEL_RATE = 500  # Hz at which the encoder is read
NOISE_PERIOD = 0.25  # s that one sparse-noise frame is shown
NOISE_SHAPE = (15, 15)  # rows (elevation, top first), columns (azimuth, left first)
NOISE_SQUARE = 8.0  # degrees


@dataclass(frozen=True)
class Behaviour:
    """All that the animal sees and does, on the session clock (s)."""

    trials: pd.DataFrame
    wheel_times: np.ndarray
    wheel_position: np.ndarray  # rad
    movements: pd.DataFrame  # start, stop, amplitude
    licks: np.ndarray
    arousal: np.ndarray  # (n_fine,) unit variance
    noise_times: np.ndarray  # (n,) start of each sparse-noise frame
    noise_frames: np.ndarray  # (n, 15, 15) uint8: 0 black, 128 grey, 255 white

    def wheel_speed(self, times: np.ndarray) -> np.ndarray:
        """Absolute wheel speed at evenly spaced times, rad/s."""
        position = np.interp(times, self.wheel_times, self.wheel_position)
        return np.abs(np.gradient(position, times))


def simulate_behaviour(timeline: Timeline, rng: np.random.Generator) -> Behaviour:
    """Draw one session of behaviour; deterministic for the generator's state."""
    trials = _trials(*timeline.task, rng)
    movements = _movements(trials, rng)
    wheel_times, wheel_position = _wheel(movements, timeline.task)
    noise_times, noise_frames = _sparse_noise(timeline.passive, rng)
    return Behaviour(
        trials=trials,
        wheel_times=wheel_times,
        wheel_position=wheel_position,
        movements=movements,
        licks=_licks(trials, timeline.task, rng),
        arousal=_arousal(timeline.n_fine, rng),
        noise_times=noise_times,
        noise_frames=noise_frames,
    )


def _trials(start: float, stop: float, rng: np.random.Generator) -> pd.DataFrame:
    rows, now, block_left = [], start + 2.0, _blocks(rng)
    while True:
        trial = _trial(now, next(block_left), rng)
        if trial["intervals_1"] > stop - 1.0:
            return pd.DataFrame(rows)
        rows.append(trial)
        now = trial["intervals_1"] + 0.3 + rng.exponential(2.4)


def _blocks(rng: np.random.Generator) -> Iterator[float]:
    """Probability of a stimulus on the left, trial by trial: 90 unbiased ones, then blocks."""
    yield from [0.5] * 90
    left = rng.choice([0.2, 0.8])
    while True:
        yield from [left] * int(np.clip(rng.exponential(60), 20, 100))
        left = 0.2 if left == 0.8 else 0.8


def _trial(start: float, probability_left: float, rng: np.random.Generator) -> dict[str, float]:
    left = rng.random() < probability_left
    contrast = rng.choice(CONTRASTS, p=CONTRAST_WEIGHTS)
    bias = 1.2 * (probability_left - 0.5)
    evidence = (1 if left else -1) * 3.5 * contrast**0.6 + bias
    choice = 1 if rng.random() < 0.04 + 0.92 / (1 + np.exp(-evidence)) else -1
    correct = choice == (1 if left else -1)

    quiescence = rng.uniform(0.4, 0.7)
    stimulus_on = start + quiescence + min(rng.exponential(0.35), 2.0)
    reaction = rng.lognormal(np.log(0.22 + 0.25 * (1 - contrast) ** 4), 0.45)
    first_movement = stimulus_on + 0.08 + min(reaction, 5.0)
    response = first_movement + rng.uniform(0.15, 0.45)
    stimulus_off = response + (1.0 if correct else 2.0)
    return {
        "intervals_0": start,
        "intervals_1": stimulus_off + 0.5,
        "quiescencePeriod": quiescence,
        "goCueTrigger_times": stimulus_on + 0.0005,
        "goCue_times": stimulus_on + 0.001,
        "stimOnTrigger_times": stimulus_on - 0.03,
        "stimOn_times": stimulus_on,
        "firstMovement_times": first_movement,
        "response_times": response,
        "feedback_times": response + 0.0005,
        "stimOffTrigger_times": stimulus_off - 0.03,
        "stimOff_times": stimulus_off,
        "choice": choice,
        "feedbackType": 1 if correct else -1,
        "rewardVolume": 3.0 if correct else 0.0,
        "contrastLeft": contrast if left else np.nan,
        "contrastRight": np.nan if left else contrast,
        "probabilityLeft": probability_left,
    }


def _movements(trials: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The turn that answers each trial, and smaller ones between trials."""
    start = trials["firstMovement_times"].to_numpy()
    answers = pd.DataFrame(
        {
            "start": start,
            "stop": trials["response_times"] + 0.05,
            "amplitude": trials["choice"] * THRESHOLD * rng.uniform(1.0, 1.5, len(trials)),
        }
    )
    gaps = trials["intervals_0"].to_numpy()[1:]
    fidgets = gaps[rng.random(len(gaps)) < 0.5] - 0.25
    others = pd.DataFrame(
        {
            "start": fidgets,
            "stop": fidgets + rng.uniform(0.12, 0.5, len(fidgets)),
            "amplitude": rng.normal(0, 0.15, len(fidgets)),
        }
    )
    return pd.concat([answers, others]).sort_values("start", ignore_index=True)


def _wheel(movements: pd.DataFrame, bout: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Encoder times and position: one sample at each change of the quantised angle."""
    times = np.arange(bout[0], bout[1], 1 / WHEEL_RATE)
    position = np.zeros(len(times))
    for start, stop, amplitude in movements.itertuples(index=False):
        first, last = np.searchsorted(times, (start, stop))
        phase = (times[first:last] - start) / (stop - start)
        position[first:last] += amplitude * phase**2 * (3 - 2 * phase)
        position[last:] += amplitude
    ticks = np.round(position / ENCODER_STEP)
    kept = np.flatnonzero(np.diff(ticks, prepend=ticks[0] - 1))
    kept = np.union1d(kept, len(ticks) - 1)
    return times[kept], ticks[kept] * ENCODER_STEP


def _licks(trials: pd.DataFrame, bout: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Bursts at 7 Hz after each reward, and single licks anywhere in the task."""
    rewards = trials.loc[trials["feedbackType"] == 1, "feedback_times"].to_numpy()
    counts = rng.integers(4, 12, len(rewards))
    bursts = [
        reward + 0.1 + np.cumsum(rng.normal(1 / 7, 0.015, count))
        for reward, count in zip(rewards, counts)
    ]
    strays = rng.uniform(*bout, rng.poisson(0.03 * (bout[1] - bout[0])))
    licks = np.sort(np.concatenate([*bursts, strays]))
    return licks[licks < bout[1]]


def _arousal(n_fine: int, rng: np.random.Generator) -> np.ndarray:
    """Slow and fast fluctuations, 60 s and 5 s, of unit variance."""
    slow, fast = (ornstein_uhlenbeck(tau, n_fine, rng) for tau in (60.0, 5.0))
    return np.sqrt(0.6) * slow + np.sqrt(0.4) * fast


def ornstein_uhlenbeck(
    tau: float, shape: int | tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Float32 noise of unit variance with correlation time ``tau`` s along the last axis."""
    decay = np.exp(-FINE_STEP / tau)
    noise = rng.standard_normal(shape, dtype=np.float32)
    # the first sample has the variance of the steady state
    noise[..., 1:] *= np.float32(np.sqrt(1 - decay**2))
    coefficients = np.array([1.0], np.float32), np.array([1.0, -decay], np.float32)
    return lfilter(*coefficients, noise)


def _sparse_noise(
    bout: tuple[float, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of rare black and white squares on grey, from 5 s after the bout's start."""
    times = np.arange(bout[0] + 5.0, bout[1] - NOISE_PERIOD, NOISE_PERIOD)
    draws = rng.random((len(times), *NOISE_SHAPE))
    frames = np.full(draws.shape, 128, dtype=np.uint8)
    frames[draws < 0.03] = 0
    frames[draws > 0.97] = 255
    return times, frames
