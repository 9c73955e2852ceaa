"""One pass of a model over the windows of a block, after a look at the validation windows.

Forecasts of every kind become comparable on the validation block: a model without a predictive
distribution gets one from its residuals there, and each model the threshold above which its
forecast counts as an event. Nothing here is chosen on test windows; scores of the validation block
itself are flattered by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from utils.evaluation.oracle import Oracle
from utils.metrics import (
    EventCounts,
    ForecastErrors,
    QuantileScores,
    average_precision,
    best_threshold,
    conformal_quantiles,
)
from utils.metrics.forecasting import mark_missing
from utils.models.forecasting import Forecaster
from utils.models.forecasting.simple import train_moments
from utils.training.task import past_covariates

if TYPE_CHECKING:
    from utils.windows import WindowBatch, WindowData, WindowSplit

Predict = Callable[["WindowBatch"], NDArray[np.float32]]

EVENT_DEVIATIONS = 2.0  # an event exceeds its neuron's train mean by so many deviations
SHRUNKEN = np.linspace(1.0, 0.05, 20)  # thresholds of a forecast that are tried, parts of that
BATCH_VALUES = 4_000_000  # forecast values in memory at once

# Bounds of what is kept of a pass; windows and neurons are left out evenly.
RESIDUAL_WINDOWS, RESIDUAL_VALUES = 500, 64_000_000
THRESHOLD_VALUES = 4_000_000
RANKED_WINDOWS, RANKED_VALUES = 1000, 32_000_000

_moments: WeakKeyDictionary[WindowData, tuple[np.ndarray, np.ndarray]] = WeakKeyDictionary()


@dataclass
class Errors:
    """Everything that one pass over the windows of a split gives."""

    forecast: ForecastErrors
    events: EventCounts
    quantiles: QuantileScores
    auprc: NDArray[np.float64] = field(repr=False)  # (horizon, ranked neuron)

    @cached_property
    def pooled(self) -> ForecastErrors:
        """The errors with all horizons as one."""
        return self.forecast.pooled()


def errors_of_forecaster(
    forecaster: Forecaster, block: WindowSplit, stride: int, levels: Sequence[float]
) -> Errors:
    """Errors of a fitted forecaster on every ``stride``-th window of a block."""

    def predict(batch: WindowBatch) -> NDArray[np.float32]:
        return forecaster.predict(batch.past, past_covariates(batch), batch.past_mask).numpy()

    def predict_quantiles(batch: WindowBatch) -> NDArray[np.float32]:
        covariates = past_covariates(batch)
        return forecaster.predict_quantiles(batch.past, levels, covariates, batch.past_mask).numpy()

    own = predict_quantiles if getattr(forecaster, "is_probabilistic", False) else None
    return _errors(predict, own, block, stride, levels)


def errors_of_oracle(
    oracle: Oracle, block: WindowSplit, stride: int, levels: Sequence[float]
) -> Errors:
    """Errors of the best possible forecast, which is asked by frame."""
    context = block.data.context

    def predict(batch: WindowBatch) -> NDArray[np.float32]:
        return np.asarray(oracle(batch.starts.numpy() + context), np.float32)

    return _errors(predict, None, block, stride, levels)


@dataclass(frozen=True)
class _Calibration:
    """What the validation windows say of a model."""

    residuals: NDArray[np.float32]  # (1, horizon, neuron, level) quantiles
    threshold: NDArray[np.float64]  # (neuron,) of its forecasts for an event


def _errors(
    predict: Predict,
    predict_quantiles: Predict | None,
    block: WindowSplit,
    stride: int,
    levels: Sequence[float],
) -> Errors:
    data = block.data
    calibration = _calibrate(predict, data, levels)
    errors = ForecastErrors(_train_moments(data)[0], data.frame_rate)
    events = EventCounts(_event_threshold(data), pred_threshold=calibration.threshold)
    quantiles = QuantileScores(levels)
    ranked = _Ranked(-(-len(block) // stride), data)
    for batch in block.batches(_batch_size(data), stride=stride):
        forecast, truth = predict(batch), _truth(batch)
        times = data.timestamps[batch.starts.numpy() + data.context]
        errors.update(forecast, truth, start_times=times)
        events.update(forecast, truth)
        ranked.keep(forecast, truth)
        if predict_quantiles is None:
            quantiles.update(calibration.residuals, truth - forecast)
        else:
            quantiles.update(predict_quantiles(batch), truth)
    return Errors(errors, events, quantiles, ranked.auprc(data))


def _calibrate(predict: Predict, data: WindowData, levels: Sequence[float]) -> _Calibration:
    mean, deviation = _train_moments(data)
    thresholds = [mean + part * EVENT_DEVIATIONS * deviation for part in SHRUNKEN]
    batches = list(_some_validation(data))
    forecast = np.concatenate([predict(batch) for batch in batches])
    truth = np.concatenate([_truth(batch) for batch in batches])
    thin = slice(None, None, -(-truth.size // THRESHOLD_VALUES))
    best = best_threshold(forecast[thin], truth[thin], _event_threshold(data), thresholds)
    residuals = np.subtract(truth, forecast, out=forecast)
    return _Calibration(conformal_quantiles(residuals, levels)[None], thresholds[best])


def _some_validation(data: WindowData) -> Iterator[WindowBatch]:
    """At most 500 validation windows, evenly spread over the block, in batches."""
    most = max(100, min(RESIDUAL_WINDOWS, RESIDUAL_VALUES // (data.horizon * data.n_neurons)))
    places = _evenly(len(data.validation), most)
    for first in range(0, len(places), _batch_size(data)):
        yield data.validation.batch(places[first : first + _batch_size(data)])


class _Ranked:
    """Forecasts that are kept to rank them, for the precision-recall curve.

    At most 1000 windows and 32 million values, spread evenly over windows and neurons.
    """

    def __init__(self, n_windows: int, data: WindowData) -> None:
        windows = _evenly(n_windows, RANKED_WINDOWS)
        most = max(1, RANKED_VALUES // (len(windows) * data.horizon))
        self.neurons = _evenly(data.n_neurons, most)
        self._chosen = np.zeros(n_windows, bool)
        self._chosen[windows] = True
        self._seen = self._n = 0
        shape = (2, len(windows), data.horizon, len(self.neurons))
        self._kept = np.empty(shape, np.float32)  # forecast, truth

    def keep(self, forecast: NDArray[np.float32], truth: NDArray[np.float32]) -> None:
        chosen = np.flatnonzero(self._chosen[self._seen : self._seen + len(truth)])
        into = slice(self._n, self._n + len(chosen))
        for kept, values in zip(self._kept, (forecast, truth)):
            kept[into] = values[chosen][:, :, self.neurons]
        self._seen, self._n = self._seen + len(truth), into.stop

    def auprc(self, data: WindowData) -> NDArray[np.float64]:
        forecast, truth = self._kept
        return average_precision(forecast, truth, _event_threshold(data)[self.neurons])


def _truth(batch: WindowBatch) -> NDArray[np.float32]:
    """The future of a batch, NaN where it was not measured."""
    mask = None if batch.future_mask is None else batch.future_mask.numpy()
    return mark_missing(batch.future.numpy(), mask)


def _event_threshold(data: WindowData) -> NDArray[np.float64]:
    mean, deviation = _train_moments(data)
    return mean + EVENT_DEVIATIONS * deviation


def _train_moments(data: WindowData) -> tuple[np.ndarray, np.ndarray]:
    if data not in _moments:
        mean, deviation = train_moments(data)
        _moments[data] = mean.numpy(), deviation.numpy()
    return _moments[data]


def _batch_size(data: WindowData) -> int:
    return max(1, min(512, BATCH_VALUES // (data.horizon * data.n_neurons)))


def _evenly(n: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of the numbers below ``n``, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
