"""Intervals of a skill that respect the correlation of neighbouring windows.

Overlapping windows are far from independent: treating them so understates the error several
fold. Whole blocks of time (a minute or more) and, nested in them, neurons are drawn with
replacement, the same for model and baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from utils.metrics.forecasting import ForecastErrors, skill

MIN_BLOCKS = 10
DRAWS_AT_ONCE = 100  # bounds the memory: draws x neurons
BLOCK_SECONDS = 60.0
N_RESAMPLES = 1000

# A baseline is compared with many models: its draws are made once.
_drawn: WeakKeyDictionary[ForecastErrors, dict[tuple, NDArray[np.float64]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class SkillInterval:
    """Skill over a baseline per horizon; low and high are NaN below 10 blocks of test time."""

    skill: NDArray[np.float64]  # (horizon,)
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_blocks: int
    level: float

    @property
    def estimable(self) -> bool:
        """Whether the test data hold enough blocks for an interval."""
        return self.n_blocks >= MIN_BLOCKS

    def __str__(self) -> str:
        if not self.estimable:
            return f"interval not estimable ({self.n_blocks} blocks, {MIN_BLOCKS} needed)"
        rows = (f"{s:.3f} [{a:.3f}, {b:.3f}]" for s, a, b in zip(self.skill, self.low, self.high))
        return f"{', '.join(rows)} ({self.level:.0%}, {self.n_blocks} blocks)"


def block_bootstrap(
    model: ForecastErrors,
    baseline: ForecastErrors,
    *,
    block_seconds: float = BLOCK_SECONDS,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> SkillInterval:
    """Interval of the skill 1 - MSE / MSE of the baseline, per horizon, over all neurons.

    Circular moving blocks of chunks [1]_, paired between model and baseline, nested in neurons.
    With few blocks the draws vary too little; their spread about the estimate is widened as a
    t interval with (blocks - 1) degrees of freedom is wider than a normal one.

    Parameters
    ----------
    model, baseline : errors of the same windows, fed with ``start_times``.
    block_seconds : length of a block of time, at least.

    .. [1] Politis and Romano (1992), "A circular block-resampling procedure for stationary data".
    """
    how = (block_seconds, n_resamples, seed)
    return _interval(skill, [model, baseline], how, level)


def block_bootstrap_fraction(
    model: ForecastErrors,
    baseline: ForecastErrors,
    ceiling: ForecastErrors,
    *,
    block_seconds: float = BLOCK_SECONDS,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> SkillInterval:
    """Interval of (MSE of baseline - MSE) / (MSE of baseline - MSE of ceiling), per horizon.

    0 is the baseline, 1 the best that can be reached; NaN where the ceiling is no better than the
    baseline. All three are drawn together, as in :func:`block_bootstrap`.
    """
    how = (block_seconds, n_resamples, seed)
    return _interval(_fraction, [model, baseline, ceiling], how, level)


def resampled_squares(
    errors: ForecastErrors, block_seconds: float, n_resamples: int, seed: int
) -> NDArray[np.float64]:
    """Squared error (draw, horizon) of every draw of blocks and neurons.

    Draws depend on the number of chunks and neurons and on the seed alone: those of two models
    scored on the same windows are paired.
    """
    key = (errors.n_windows, block_seconds, n_resamples, seed)
    known = _drawn.setdefault(errors, {})
    if key not in known:
        sums = errors.chunk_squared
        length = int(np.ceil(block_seconds / errors.chunk_seconds))
        known[key] = np.concatenate(
            [
                _weighted(sums, time, neurons)
                for time, neurons in _weights(sums.shape, length, n_resamples, seed)
            ]
        )
    return known[key]


def interval_of_draws(
    estimate: NDArray[np.float64], draws: NDArray[np.float64], n: int, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Low and high end (horizon,) from (draw, horizon), widened for ``n`` independent units."""
    tail = (1 - level) / 2
    wider = stats.t.isf(tail, n - 1) / stats.norm.isf(tail)
    wider *= np.sqrt(n / (n - 1))
    low, high = estimate + wider * (np.quantile(draws, [tail, 1 - tail], axis=0) - estimate)
    return low, high


def _interval(
    statistic: Callable[..., NDArray[np.float64]],
    errors: list[ForecastErrors],
    how: tuple[float, int, int],  # block_seconds, n_resamples, seed
    level: float,
) -> SkillInterval:
    first = errors[0]
    for other in errors[1:]:
        _check_paired(first, other)
    estimate = statistic(*(e.squared.sum(axis=1) for e in errors))
    n_blocks = int(first.seconds / how[0] + 1e-9)
    if n_blocks < MIN_BLOCKS:
        unknown = np.full(len(estimate), np.nan)
        return SkillInterval(estimate, unknown, unknown.copy(), n_blocks, level)
    draws = statistic(*(resampled_squares(e, *how) for e in errors))  # (draw, horizon)
    return SkillInterval(
        estimate, *interval_of_draws(estimate, draws, n_blocks, level), n_blocks, level
    )


def _fraction(
    model: NDArray[np.float64], baseline: NDArray[np.float64], ceiling: NDArray[np.float64]
) -> NDArray[np.float64]:
    room = baseline - ceiling
    return np.divide(baseline - model, room, out=np.full(room.shape, np.nan), where=room > 0)


def _check_paired(model: ForecastErrors, baseline: ForecastErrors) -> None:
    same = (
        model.chunk_seconds == baseline.chunk_seconds
        and model.n_windows == baseline.n_windows
        and np.array_equal(model.chunk_ids, baseline.chunk_ids)
        and np.array_equal(model.count, baseline.count)
    )
    if not same:
        raise ValueError(
            f"model ({model.n_windows} windows, {len(model.chunk_ids)} chunks) and baseline "
            f"({baseline.n_windows} windows, {len(baseline.chunk_ids)} chunks) must be scored "
            f"on the same windows with the same masks"
        )


def _weights(
    shape: tuple[int, ...], length: int, n_resamples: int, seed: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """How often each chunk (draw, chunk) and each neuron (draw, neuron) is drawn."""
    n_chunks, _, n_neurons = shape
    rng = np.random.default_rng(seed)
    for first in range(0, n_resamples, DRAWS_AT_ONCE):
        n_draws = min(DRAWS_AT_ONCE, n_resamples - first)
        starts = rng.integers(n_chunks, size=(n_draws, -(-n_chunks // length), 1))
        chunks = (starts + np.arange(length)).reshape(n_draws, -1)[:, :n_chunks] % n_chunks
        neurons = rng.integers(n_neurons, size=(n_draws, n_neurons))
        yield _counts(chunks, n_chunks), _counts(neurons, n_neurons)


def _counts(drawn: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """(draw, item) numbers below n -> (draw, n) how often each occurs."""
    flat = drawn + n * np.arange(len(drawn))[:, None]
    return np.bincount(flat.ravel(), minlength=n * len(drawn)).reshape(-1, n).astype(float)


def _weighted(
    sums: NDArray[np.float64], time: NDArray[np.float64], neurons: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared error of each draw (draw, horizon) from (chunk, horizon, neuron)."""
    steps = range(sums.shape[1])
    return np.stack([np.einsum("dn,dn->d", time @ sums[:, h], neurons) for h in steps], axis=1)
