"""How good is a predictive distribution: CRPS, coverage, width and reliability.

The continuous ranked probability score (CRPS) is the integral over x of (F(x) - [truth <= x])^2:
the absolute error where the forecast is a single value, smaller where a distribution knows more. It
is in the unit of the data, lower is better, and lowest in the mean for who says what they
believe [1]_.

.. [1] Gneiting and Raftery (2007), "Strictly proper scoring rules, prediction, and estimation".
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from utils.metrics.forecasting import mark_missing, same_floats

Floats = NDArray[np.float64]

# Central intervals of 20, 40, 60, 80 and 95 %.
LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
WINDOWS_AT_ONCE = 256  # single precision suffices for the sums of so many
NEURONS_AT_ONCE = 256  # quantiles and sums of so many neurons stay in the processor's cache


def crps_gaussian(true: ArrayLike, mean: ArrayLike, deviation: ArrayLike) -> Floats:
    """CRPS of a normal distribution [1]_, of the shape that the arguments have together."""
    deviation = np.asarray(deviation, np.float64)
    z = (np.asarray(true, np.float64) - mean) / deviation
    return deviation * (
        z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
    )


def crps_student_t(true: ArrayLike, location: ArrayLike, scale: ArrayLike, df: ArrayLike) -> Floats:
    """CRPS of a Student-t distribution with more than one degree of freedom [1]_; NaN below.

    .. [1] Jordan, Krüger and Lerch (2019), "Evaluating probabilistic forecasts with scoringRules".
    """
    scale, df = np.asarray(scale, np.float64), np.asarray(df, np.float64)
    df = np.where(df > 1, df, np.nan)
    z = (np.asarray(true, np.float64) - location) / scale
    spread = 2 * np.sqrt(df) / (df - 1)
    spread *= special.beta(0.5, df - 0.5) / special.beta(0.5, df / 2) ** 2
    density = 2 * stats.t.pdf(z, df) * (df + z**2) / (df - 1)
    return scale * (z * (2 * stats.t.cdf(z, df) - 1) + density - spread)


def level_weights(levels: ArrayLike) -> Floats:
    """Weights (level,) with which twice the pinball losses add up to the CRPS.

    The trapezoidal rule over levels from 0 to 1, where the loss is 0; levels need not be evenly
    spaced. With :data:`LEVELS` the CRPS of a Gaussian comes out 1.4 % low.
    """
    levels = checked_levels(levels)
    edges = np.concatenate([[0.0], levels, [1.0]])
    return (edges[2:] - edges[:-2]) / 2


def crps_from_quantiles(true: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> Floats:
    """CRPS, as twice the integral of the pinball loss over levels [1]_.

    Parameters
    ----------
    true : (...) the truth.
    quantiles : (..., level) of the forecast.
    levels : (level,) increasing, each between 0 and 1.

    .. [1] Laio and Tamea (2007), "Verification tools for probabilistic forecasts of continuous
       hydrological variables".
    """
    weights, levels = level_weights(levels), np.asarray(levels, np.float64)
    above = np.asarray(true, np.float64)[..., None] - quantiles
    return 2 * np.maximum(levels * above, (levels - 1) * above) @ weights


def conformal_quantiles(residuals: ArrayLike, levels: ArrayLike) -> NDArray[np.float32]:
    """Quantiles (horizon, neuron, level) of residuals (window, horizon, neuron) not trained on.

    At rank (n + 1) times the level, between two ranks interpolated, so that a further residual
    falls below each with the probability of its level, whatever the distribution [1]_; the ends
    stand in for ranks beyond them. NaN residuals are left out; all NaN gives NaN.

    .. [1] Lei et al. (2018), "Distribution-free predictive inference for regression".
    """
    residuals, levels = np.asarray(residuals), checked_levels(levels)
    shape = (*residuals.shape[1:], len(levels))
    quantiles = np.full((int(np.prod(shape[:2])), len(levels)), np.nan, np.float32)
    if not residuals.size:
        return quantiles.reshape(shape)
    ranked = np.sort(residuals.reshape(len(residuals), -1).T, axis=1)  # NaN last
    counts = (~np.isnan(ranked)).sum(axis=1)
    columns = np.arange(len(ranked))
    for k, level in enumerate(levels):
        place = np.clip((counts + 1) * level - 1, 0, np.maximum(counts - 1, 0))
        low = place.astype(np.int64)
        below = ranked[columns, low]
        above = ranked[columns, np.minimum(low + 1, np.maximum(counts - 1, 0))]
        quantiles[:, k] = below + (place - low) * (above - below)
    return quantiles.reshape(shape)


def checked_levels(levels: ArrayLike) -> Floats:
    """Levels as an array; a ValueError unless they increase between 0 and 1."""
    levels = np.asarray(levels, np.float64)
    if levels.ndim != 1 or not len(levels) or (np.diff([0.0, *levels, 1.0]) <= 0).any():
        raise ValueError(
            f"levels of quantiles must increase from above 0 to below 1, found {levels.tolist()}"
        )
    return levels


class QuantileScores:
    """Scores of predictive quantiles that arrive batch by batch.

    A truth equal to a quantile lies below it where the level is 0.5 or more: a central interval
    holds both of its ends, as it must where many values are the same, e.g. 0.

    Parameters
    ----------
    levels : (level,) of the quantiles, increasing, each between 0 and 1.
    """

    def __init__(self, levels: Sequence[float] = LEVELS) -> None:
        self.levels = checked_levels(levels)
        self.weights = level_weights(self.levels)
        self._count: Floats | None = None  # (horizon, neuron)
        self._loss: Floats  # (horizon, neuron) weighted pinball losses
        self._below: Floats  # (horizon, level, neuron) truths below each quantile
        self._total: Floats  # (horizon, level, neuron) sums of the quantiles

    def update(
        self, quantiles: ArrayLike, true: ArrayLike, mask: ArrayLike | None = None
    ) -> QuantileScores:
        """Add a batch; a neuron with a NaN quantile beside a truth has no scores.

        Parameters
        ----------
        quantiles : (window, horizon, neuron, level), or one window that stands for all.
        true : (window, horizon, neuron); NaN does not count.
        mask : the same shape, True where the truth was measured.
        """
        quantiles, true = same_floats(quantiles, mark_missing(true, mask))
        expected = (*true.shape, len(self.levels))
        if true.ndim != 3 or quantiles.shape not in (expected, (1, *expected[1:])):
            raise ValueError(
                f"quantiles have shape {quantiles.shape}, expected (window, horizon, neuron, "
                f"level) = {expected} beside a truth of {true.shape}"
            )
        if self._count is None:
            n_steps, n_neurons = true.shape[1:]
            self._count, self._loss = np.zeros((2, n_steps, n_neurons))
            self._below, self._total = np.zeros((2, n_steps, len(self.levels), n_neurons))
        quantiles = np.ascontiguousarray(np.moveaxis(quantiles, 3, 2))
        for first in range(0, len(true), WINDOWS_AT_ONCE):
            part = slice(first, first + WINDOWS_AT_ONCE)
            self._add(quantiles if len(quantiles) == 1 else quantiles[part], true[part])
        return self

    @classmethod
    def together(cls, parts: Sequence[QuantileScores]) -> QuantileScores:
        """The scores of several, e.g. of several seeds on the same windows, as one."""
        one = copy(parts[0])
        for name in ("_count", "_loss", "_below", "_total"):
            setattr(one, name, sum(getattr(part, name) for part in parts))
        return one

    @property
    def count(self) -> Floats:
        """Scored values (horizon, neuron)."""
        if self._count is None:
            raise ValueError("no forecasts were scored; call update first")
        return self._count

    @property
    def crps(self) -> Floats:
        """Mean CRPS (horizon, neuron)."""
        count = self.count  # raises where nothing was scored
        return _divide(2 * self._loss, count)

    @property
    def below(self) -> Floats:
        """Share of truths below each quantile (horizon, neuron, level); best: the levels."""
        count = self.count[:, None]
        return np.moveaxis(_divide(self._below, count), 1, 2)

    def coverage(self, share: float) -> Floats:
        """Share of truths (horizon, neuron) in the central interval, ``share=0.8`` for 80 %."""
        low, high = self._interval(share)
        below = self.below
        return below[..., high] - below[..., low]

    def has_interval(self, share: float) -> bool:
        """Whether the levels hold both ends of a central interval."""
        wanted = np.array([(1 - share) / 2, (1 + share) / 2])
        return bool(np.isclose(self.levels[:, None], wanted, atol=1e-6).any(axis=0).all())

    def width(self, share: float) -> Floats:
        """Mean width (horizon, neuron) of the central interval."""
        low, high = self._interval(share)
        return _divide(self._total[:, high] - self._total[:, low], self.count)

    def reliability(self) -> Floats:
        """Share of truths below each quantile (horizon, level), all neurons together."""
        scored = self.count * np.isfinite(self._loss)
        return _divide(np.nansum(self._below, axis=2), scored.sum(axis=1)[:, None])

    def pit(self) -> Floats:
        """Density (horizon, level + 1) of the truth between quantiles; 1 where calibrated.

        The histogram of the probability integral transform over the bins that the levels make.
        """
        edges = np.concatenate([[0.0], self.levels, [1.0]])
        below = self.reliability()
        ends = np.zeros((len(below), 1)), np.ones((len(below), 1))
        return np.diff(np.hstack([ends[0], below, ends[1]]), axis=1) / np.diff(edges)

    def _add(self, quantiles: NDArray, true: NDArray) -> None:
        valid = ~np.isnan(true)
        loss = np.zeros(true.shape[1:], true.dtype)  # few enough windows for single precision
        below = np.zeros(quantiles.shape[1:], true.dtype)
        levels, weights = self.levels.astype(true.dtype), self.weights.astype(true.dtype)
        gain, fall = levels * weights, (levels - 1) * weights
        n_strict = int((self.levels < 0.5).sum())
        _add_quantiles(quantiles, true, gain, fall, n_strict, loss, below)
        below += 0 * loss[:, None]  # a quantile that is NaN makes all scores of its neuron so
        count = valid.sum(axis=0, dtype=np.float64)
        self._count += count
        self._loss += loss
        self._below += below
        if len(quantiles) == 1:
            self._total += quantiles[0] * count[:, None]
        else:
            seen = valid.all() or valid[:, :, None]  # a mask costs more than the sum
            self._total += quantiles.sum(axis=0, dtype=np.float64, where=seen)

    def _interval(self, share: float) -> tuple[int, int]:
        wanted = np.array([(1 - share) / 2, (1 + share) / 2])
        found = np.abs(self.levels[:, None] - wanted).argmin(axis=0)
        if not self.has_interval(share):
            raise ValueError(
                f"an interval of {share:.0%} needs the levels {wanted[0]:.4g} and "
                f"{wanted[1]:.4g}, found {self.levels.tolist()}"
            )
        return int(found[0]), int(found[1])


@njit(cache=True, nogil=True)
def _add_quantiles(
    quantiles: NDArray,  # (window or 1, horizon, level, neuron)
    true: NDArray,
    gain: NDArray,  # (level,) loss per unit by which the truth lies above the quantile
    fall: NDArray,  # and below it
    n_strict: int,  # quantiles that the truth must be less than
    loss: NDArray,
    below: NDArray,
) -> None:
    n_windows, n_steps, n_neurons = true.shape
    moving = len(quantiles) > 1
    zero, one = true.dtype.type(0), true.dtype.type(1)  # plain 0 would make doubles of them
    for step in range(n_steps):
        for first in range(0, n_neurons, NEURONS_AT_ONCE):
            last = min(first + NEURONS_AT_ONCE, n_neurons)
            for window in range(n_windows):
                truth = true[window, step, first:last]
                losses = loss[step, first:last]
                for k in range(len(gain)):
                    quantile = quantiles[window if moving else 0, step, k, first:last]
                    counts = below[step, k, first:last]
                    strictly = k < n_strict
                    for n in range(last - first):
                        above = truth[n] - quantile[n]
                        cost = gain[k] * above if above > zero else fall[k] * above
                        losses[n] += cost if truth[n] == truth[n] else zero
                        under = above < zero if strictly else above <= zero
                        counts[n] += one if under else zero


def _divide(a: Floats, b: Floats) -> Floats:
    b = np.broadcast_to(b, np.shape(a))
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)
