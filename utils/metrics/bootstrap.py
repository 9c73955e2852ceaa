"""Intervals of a skill that respect the correlation of neighbouring windows.

Overlapping windows are far from independent: treating them so understates the error several
fold. Whole blocks of time (a minute or more) and, nested in them, neurons are drawn with
replacement, the same for model and baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from utils.metrics.forecasting import ForecastErrors, skill

MIN_BLOCKS = 10
DRAWS_AT_ONCE = 100  # bounds the memory: draws x neurons


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
    block_seconds: float = 60.0,
    n_resamples: int = 1000,
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
    _check_paired(model, baseline)
    model_sums, baseline_sums = model.chunk_squared, baseline.chunk_squared
    estimate = skill(model_sums.sum(axis=(0, 2)), baseline_sums.sum(axis=(0, 2)))
    n_blocks = int(model.seconds / block_seconds + 1e-9)
    if n_blocks < MIN_BLOCKS:
        unknown = np.full(len(estimate), np.nan)
        return SkillInterval(estimate, unknown, unknown.copy(), n_blocks, level)

    length = int(np.ceil(block_seconds / model.chunk_seconds))
    draws = np.concatenate(
        [
            skill(_weighted(model_sums, time, neurons), _weighted(baseline_sums, time, neurons))
            for time, neurons in _weights(model_sums.shape, length, n_resamples, seed)
        ]
    )  # (draw, horizon)
    tail = (1 - level) / 2
    wider = stats.t.isf(tail, n_blocks - 1) / stats.norm.isf(tail)
    wider *= np.sqrt(n_blocks / (n_blocks - 1))
    low, high = estimate + wider * (np.quantile(draws, [tail, 1 - tail], axis=0) - estimate)
    return SkillInterval(estimate, low, high, n_blocks, level)


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
