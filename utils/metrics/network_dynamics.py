"""How long a model of a network stays with the network: rollouts, and how chaotic it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]


def rollout_r2(predicted: ArrayLike, true: ArrayLike) -> Floats:
    """R2 of the first k steps of a rollout, for every k.

    Pooled over neurons, the steps 1 to k and, where there are several, trajectories:
    1 - squared errors / squared deviations of the truth from its mean over all of these.

    Parameters
    ----------
    predicted, true : (steps + 1, n) or (trajectory, steps + 1, n), the start state first.

    Returns
    -------
    (steps,) ; NaN while the truth is constant, -inf from where a prediction is not finite.
    """
    predicted, true = _pair(predicted, true)
    after = true[:, 1:]
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.square(predicted[:, 1:] - after).sum(axis=(0, 2))
    errors = np.cumsum(np.where(np.isfinite(errors), errors, np.inf))  # (steps,)
    middle = after.mean()  # keeps the digits of the difference of squares
    count = np.arange(1, after.shape[1] + 1) * after.shape[0] * after.shape[2]
    total = np.cumsum((after - middle).sum(axis=(0, 2)))
    squares = np.cumsum(np.square(after - middle).sum(axis=(0, 2)))
    deviation = squares - total**2 / count
    known = deviation > 1e-12 * squares
    return np.where(known, 1 - errors / np.where(known, deviation, 1), np.nan)


def steps_above(curve: ArrayLike, threshold: float = 0.9) -> int:
    """Steps until a curve (steps,) first falls under ``threshold``; its length if it never does."""
    curve = np.asarray(curve, float)
    below = ~(curve >= threshold)
    return int(np.argmax(below)) if below.any() else len(curve)


def state_fit(predicted: ArrayLike, true: ArrayLike) -> tuple[float, float]:
    """``test_R2`` and ``test_pearson`` as NeuralGraph defines them.

    R2 is that of the straight line through predicted over true states of all neurons at the last
    step; the line is fitted to neurons within three standard deviations of both medians. Pearson
    is over time, averaged over neurons. Both forgive a wrong scale: :func:`rollout_r2` does not.

    Parameters
    ----------
    predicted, true : (steps + 1, n), the start state first.

    Returns
    -------
    Both NaN where a prediction is not finite, R2 where predictions are constant or fewer than two
    neurons are left; neurons that are constant in time do not count for Pearson.
    """
    predicted, true = (values[0] for values in _pair(predicted, true))
    if not np.isfinite(predicted).all():
        return np.nan, np.nan
    return _line_r2(true[-1], predicted[-1]), _mean_correlation(predicted[1:], true[1:])


def lyapunov_exponent(
    step: Callable[[Floats], Floats],
    start: ArrayLike,
    dt: float,
    *,
    n_steps: int = 2000,
    renew_every: int = 10,
    separation: float = 1e-6,
    seed: int = 0,
) -> float:
    """Largest Lyapunov exponent, per unit of time: how fast nearby trajectories part.

    A copy that starts at a small distance in a random direction is brought back to that distance
    every few steps, and the logarithms of its growth are averaged over the second half of the run
    (Benettin et al., Meccanica 15, 1980). Its inverse is the Lyapunov time.

    Parameters
    ----------
    step : takes states (2, n) to the next ones, in double precision, noise-free.
    start : (n,) state on the attractor.
    dt : time of one step.
    n_steps : length of the run.
    renew_every : steps between renewals of the distance.
    separation : the distance, relative to the size of the state.

    Returns
    -------
    Exponent; positive for chaos, -inf where the two meet, NaN where the states diverge.
    """
    start = np.asarray(start, np.float64)
    if start.ndim != 1 or n_steps < 2 * renew_every:
        raise ValueError(
            f"start {start.shape}, {n_steps} steps: expected one state (n,) and at least "
            f"{2 * renew_every} steps"
        )
    direction = np.random.default_rng(seed).standard_normal(start.shape)
    distance = separation * max(float(np.linalg.norm(start)), 1.0)
    states = np.stack([start, start + distance * direction / np.linalg.norm(direction)])  # (2, n)
    growth = []
    for _ in range(n_steps // renew_every):
        for _ in range(renew_every):
            states = step(states)
        apart = states[1] - states[0]
        reached = float(np.linalg.norm(apart))
        if not np.isfinite(reached) or reached == 0:
            return -np.inf if reached == 0 else np.nan
        growth.append(np.log(reached / distance))
        states = np.stack([states[0], states[0] + apart * (distance / reached)])
    settled = growth[len(growth) // 2 :]  # the copy has turned into the fastest direction
    return float(np.mean(settled) / (renew_every * dt))


def _pair(predicted: ArrayLike, true: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 (trajectory, steps + 1, n)."""
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if predicted.shape != true.shape or true.ndim not in (2, 3) or true.shape[-2] < 2:
        raise ValueError(
            f"rollout {predicted.shape} and truth {true.shape} must both be (steps + 1, n) or "
            "(trajectory, steps + 1, n) with at least one step"
        )
    if not np.isfinite(true).all():
        raise ValueError("the true trajectory holds values that are not finite")
    return predicted.reshape(-1, *true.shape[-2:]), true.reshape(-1, *true.shape[-2:])


def _line_r2(true: Floats, predicted: Floats) -> float:
    central = [np.abs(v - np.median(v)) <= 3 * v.std() for v in (true, predicted)]
    kept = central[0] & central[1]
    if np.ptp(predicted) == 0 or kept.sum() < 2 or np.ptp(true[kept]) == 0:
        return np.nan
    slope, intercept = np.polyfit(true[kept], predicted[kept], 1)
    residual = predicted - (slope * true + intercept)
    return float(1 - np.square(residual).sum() / np.square(predicted - predicted.mean()).sum())


def _mean_correlation(predicted: Floats, true: Floats) -> float:
    """Over time, averaged over the neurons that change in both."""
    centred = [values - values.mean(axis=0) for values in (predicted, true)]
    spread = np.sqrt(np.square(centred[0]).sum(axis=0) * np.square(centred[1]).sum(axis=0))
    moving = (np.ptp(predicted, axis=0) > 0) & (np.ptp(true, axis=0) > 0)
    together = (centred[0] * centred[1]).sum(axis=0)
    return float((together[moving] / spread[moving]).mean()) if moving.any() else np.nan
