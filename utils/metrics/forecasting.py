"""Forecast errors per horizon and neuron.

Forecasts and truth are (window, horizon, neuron); results are (horizon, neuron). Values that
are masked, or NaN in the truth, do not count. What cannot be computed is NaN, never infinite:
R2 and Pearson of a neuron that does not vary, anything of a neuron without a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
SUMS = ("count", "absolute", "pred", "true", "pred_pred", "true_true", "pred_true")
NEURONS_AT_ONCE = 512  # sums of so many neurons stay in the processor's cache


def mse(pred: ArrayLike, true: ArrayLike, mask: ArrayLike | None = None) -> Floats:
    """Mean squared error (horizon, neuron); ``mask`` is True where the truth was measured."""
    return _errors_of(pred, true, mask).mse


def mae(pred: ArrayLike, true: ArrayLike, mask: ArrayLike | None = None) -> Floats:
    """Mean absolute error (horizon, neuron)."""
    return _errors_of(pred, true, mask).mae


def r2(
    pred: ArrayLike, true: ArrayLike, train_mean: ArrayLike, mask: ArrayLike | None = None
) -> Floats:
    """1 - squared error / squared error of the training mean (neuron,): (horizon, neuron).

    Unlike R2 about the mean of the scored data, which no forecaster can know, it compares
    with a forecast that could have been made.
    """
    return _errors_of(pred, true, mask, train_mean).r2


def pearson(pred: ArrayLike, true: ArrayLike, mask: ArrayLike | None = None) -> Floats:
    """Correlation over windows of forecast and truth (horizon, neuron)."""
    centre = np.nanmean(np.asarray(true, np.float64), axis=(0, 1)) if np.size(true) else None
    return _errors_of(pred, true, mask, centre).pearson


def skill(mse_model: ArrayLike, mse_baseline: ArrayLike) -> Floats:
    """1 - MSE / MSE of the baseline: 1 is perfect, 0 as good as the baseline, NaN if that is 0."""
    return _ratio_to_one(np.asarray(mse_model, float), np.asarray(mse_baseline, float))


class ForecastErrors:
    """Errors of forecasts that arrive batch by batch, in any order.

    Squared errors are also kept in chunks of time, from which
    :func:`utils.metrics.block_bootstrap` makes intervals.

    Parameters
    ----------
    train_mean : (neuron,) mean of the training block: what R2 compares with.
    frame_rate : frames per second.
    chunk_seconds : length of a chunk; a block of the bootstrap is made of several. Scored
        windows must lie closer to one another than this, or the chunks between look like holes.
    """

    def __init__(
        self, train_mean: ArrayLike, frame_rate: float, chunk_seconds: float = 10.0
    ) -> None:
        self.train_mean = np.asarray(train_mean, np.float64)
        self.frame_rate = float(frame_rate)
        self.chunk_seconds = float(chunk_seconds)
        self.n_windows = 0
        self._sums: dict[str, Floats] = {}  # each (horizon, neuron)
        self._chunks: dict[int, Floats] = {}  # squared errors, (horizon, neuron)
        self._span = (np.inf, -np.inf)  # s, first and last window

    def update(
        self,
        pred: ArrayLike,
        true: ArrayLike,
        mask: ArrayLike | None = None,
        start_times: ArrayLike | None = None,
    ) -> ForecastErrors:
        """Add a batch.

        Parameters
        ----------
        pred, true : (window, horizon, neuron) forecast and truth.
        mask : the same shape, True where the truth was measured.
        start_times : (window,) seconds of the first forecast frame of each window.
        """
        pred, true = same_floats(pred, mark_missing(true, mask))
        self._check(pred, true)
        times = np.zeros(len(pred)) if start_times is None else np.asarray(start_times, float)
        if times.shape != (len(pred),):
            raise ValueError(f"start_times has shape {times.shape}, expected ({len(pred)},)")
        if not len(pred):
            return self
        ids, place = np.unique(np.floor(times / self.chunk_seconds), return_inverse=True)
        squared = np.zeros((len(ids), *pred.shape[1:]))
        sums = np.zeros((len(SUMS), *pred.shape[1:]))
        _add_errors(pred, true, self.train_mean, place, sums, squared)
        for name, values in zip(SUMS, sums):
            self._sums[name] = self._sums[name] + values
        for chunk, values in zip(ids.astype(int).tolist(), squared):
            self._chunks[chunk] = self._chunks.get(chunk, 0.0) + values
        self.n_windows += len(pred)
        self._span = min(self._span[0], times.min()), max(self._span[1], times.max())
        return self

    @property
    def count(self) -> Floats:
        """Scored values (horizon, neuron)."""
        return self._sum("count")

    @property
    def squared(self) -> Floats:
        """Sum of the squared errors (horizon, neuron)."""
        self._sum("count")  # raises where nothing was scored
        return sum(self._chunks.values(), np.zeros_like(self.count))

    @property
    def mse(self) -> Floats:
        """Mean squared error (horizon, neuron)."""
        return _divide(self.squared, self.count)

    @property
    def mae(self) -> Floats:
        """Mean absolute error (horizon, neuron)."""
        return _divide(self._sum("absolute"), self.count)

    @property
    def r2(self) -> Floats:
        """1 - squared error / squared error of the training mean (horizon, neuron)."""
        about_mean = self._sum("true_true").copy()
        # A constant neuron differs from its mean by rounding alone.
        about_mean[about_mean <= self.count * (1e-6 * self.train_mean) ** 2] = 0.0
        return _ratio_to_one(self.squared, about_mean)

    @property
    def pearson(self) -> Floats:
        """Correlation of forecast and truth over windows (horizon, neuron)."""
        n = self.count
        pred, true = self._sum("pred"), self._sum("true")
        covariance = self._sum("pred_true") - _divide(pred * true, n)
        variances = []
        for total, squares in ((pred, self._sum("pred_pred")), (true, self._sum("true_true"))):
            variance = squares - _divide(total**2, n)
            floor = n * (1e-6 * self.train_mean) ** 2 + 1e-12 * squares  # rounding
            variances.append(np.where(variance > floor, variance, 0.0))
        return np.clip(_divide(covariance, np.sqrt(variances[0] * variances[1])), -1, 1)

    @property
    def chunk_ids(self) -> NDArray[np.int64]:
        """(chunk,) numbers of the chunks that hold windows; consecutive unless there is a hole."""
        return np.array(sorted(self._chunks), np.int64)

    @property
    def chunk_squared(self) -> Floats:
        """Squared errors summed in each chunk of time (chunk, horizon, neuron)."""
        return np.stack([self._chunks[i] for i in self.chunk_ids])

    @property
    def seconds(self) -> float:
        """Time the forecasts cover, holes left out."""
        if not self._chunks:
            return 0.0
        first, last = self._span
        whole = len(self._chunks) * self.chunk_seconds
        before = first - self.chunk_ids[0] * self.chunk_seconds
        after = (self.chunk_ids[-1] + 1) * self.chunk_seconds - last
        return float(whole - before - after) + self.count.shape[0] / self.frame_rate

    def pooled(self) -> ForecastErrors:
        """The same errors with all horizons as one: results are (1, neuron)."""
        one = copy(self)
        one._sums = {name: v.sum(axis=0, keepdims=True) for name, v in self._sums.items()}
        one._chunks = {i: v.sum(axis=0, keepdims=True) for i, v in self._chunks.items()}
        further = (self.count.shape[0] - 1) / self.frame_rate  # the time covered stays the same
        one._span = self._span[0], self._span[1] + further
        return one

    @classmethod
    def average(cls, parts: Sequence[ForecastErrors]) -> ForecastErrors:
        """The mean errors of several models, e.g. of several seeds, on the same windows."""
        one = copy(parts[0])
        one._sums = {name: sum(p._sums[name] for p in parts) / len(parts) for name in SUMS}
        one._chunks = {i: sum(p._chunks[i] for p in parts) / len(parts) for i in one._chunks}
        return one

    def _sum(self, name: str) -> Floats:
        if name not in self._sums:
            raise ValueError("no forecasts were scored; call update first")
        return self._sums[name]

    def _check(self, pred: NDArray, true: NDArray) -> None:
        if pred.ndim != 3 or pred.shape != true.shape:
            raise ValueError(
                f"forecast {pred.shape} and truth {true.shape} must both be "
                f"(window, horizon, neuron)"
            )
        if pred.shape[2] != len(self.train_mean):
            raise ValueError(f"{pred.shape[2]} neurons, train_mean has {len(self.train_mean)}")
        if not self._sums:
            self._sums = {name: np.zeros(pred.shape[1:]) for name in SUMS}
        elif pred.shape[1:] != self.count.shape:
            raise ValueError(f"batch of {pred.shape[1:]}, earlier ones were {self.count.shape}")


def mark_missing(true: ArrayLike, mask: ArrayLike | None) -> NDArray:
    """The truth with NaN where the mask, True where it was measured, says that it was not."""
    true = np.asarray(true)
    return true if mask is None else np.where(np.asarray(mask, bool), true, np.nan)


def same_floats(*arrays: ArrayLike) -> tuple[NDArray, ...]:
    """All as float32 where all are, else all as float64: what the compiled loops take."""
    arrays = tuple(np.asarray(values) for values in arrays)
    kind = np.float32 if all(a.dtype == np.float32 for a in arrays) else np.float64
    return tuple(values.astype(kind, copy=False) for values in arrays)


@njit(cache=True, nogil=True)
def _add_errors(
    pred: NDArray, true: NDArray, train_mean: Floats, place: NDArray, sums: Floats, squared: Floats
) -> None:
    """Add the (window, horizon, neuron) values to ``sums``, their squares to chunks by place.

    Sums about the training mean keep their digits when the mean is far from 0.
    """
    n_windows, n_steps, n_neurons = pred.shape
    for step in range(n_steps):
        for first in range(0, n_neurons, NEURONS_AT_ONCE):
            last = min(first + NEURONS_AT_ONCE, n_neurons)
            for window in range(n_windows):
                chunk = place[window]
                for n in range(first, last):
                    t = true[window, step, n] - train_mean[n]
                    if t != t:
                        continue
                    p = pred[window, step, n] - train_mean[n]
                    sums[0, step, n] += 1
                    sums[1, step, n] += abs(p - t)
                    sums[2, step, n] += p
                    sums[3, step, n] += t
                    sums[4, step, n] += p * p
                    sums[5, step, n] += t * t
                    sums[6, step, n] += p * t
                    squared[chunk, step, n] += (p - t) * (p - t)


def _errors_of(
    pred: ArrayLike,
    true: ArrayLike,
    mask: ArrayLike | None,
    train_mean: ArrayLike | None = None,
) -> ForecastErrors:
    if train_mean is None:
        train_mean = np.zeros(np.shape(pred)[-1:] or 1)
    return ForecastErrors(train_mean, frame_rate=1.0).update(pred, true, mask)


def _divide(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.full(np.shape(b), np.nan), where=b > 0)


def _ratio_to_one(error: Floats, reference: Floats) -> Floats:
    return 1.0 - _divide(error, np.broadcast_to(reference, np.broadcast(error, reference).shape))
