"""Score a forecaster on a block of windows, beside the baselines that it has to beat.

Windows are streamed; baselines are fitted, and scored, once per recording. Over several neurons
the squared and absolute errors, R2 and skill are pooled (a neuron counts by its variance); the
Pearson correlation is the mean over neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from utils.metrics import EventCounts, ForecastErrors, SkillInterval, block_bootstrap, skill
from utils.models.forecasting import Forecaster, build_forecaster
from utils.models.forecasting.simple import train_moments
from utils.training.task import past_covariates

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit

BASELINES = ("persistence", "mean", "train_mean", "ar16")
EVENT_DEVIATIONS = 2.0  # an event exceeds its neuron's train mean by so many deviations
BATCH_VALUES = 4_000_000  # forecast values in memory at once

# Baselines are the same for all models scored on one recording.
_fitted: WeakKeyDictionary[WindowData, dict[str, Forecaster]] = WeakKeyDictionary()
_scored: WeakKeyDictionary[WindowData, dict[tuple, Errors]] = WeakKeyDictionary()
_moments: WeakKeyDictionary[WindowData, tuple[np.ndarray, np.ndarray]] = WeakKeyDictionary()


@dataclass
class Errors:
    """Everything that one pass over the windows of a split gives."""

    forecast: ForecastErrors
    events: EventCounts


@dataclass
class ForecastScores:
    """Scores of one model on one block of one recording."""

    model: str
    split: str
    source: str  # "simulated", "ibl", ...
    unit: str
    frame_rate: float  # Hz
    data_hash: str
    errors: Errors = field(repr=False)
    baselines: dict[str, Errors] = field(repr=False)
    skills: dict[str, SkillInterval] = field(repr=False)  # per horizon
    overall: dict[str, SkillInterval] = field(repr=False)  # all horizons as one
    neurons: pd.DataFrame = field(repr=False)
    train_mean: Errors = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """One row per horizon and baseline.

        Columns: model, source, split, data, horizon (frames), seconds, mse, mae, r2 (about the
        train mean), pearson, event_f1, baseline, skill = 1 - mse / mse of the baseline, its
        interval low and high (NaN: not estimable), n_blocks.
        """
        own = _by_horizon(self.errors, self.train_mean)
        own.insert(0, "horizon", np.arange(1, len(own) + 1))
        own.insert(1, "seconds", own["horizon"] / self.frame_rate)
        for place, (column, value) in enumerate(self._about().items()):
            own.insert(place, column, value)
        tables = [
            own.assign(
                baseline=name,
                skill=interval.skill,
                low=interval.low,
                high=interval.high,
                n_blocks=interval.n_blocks,
            )
            for name, interval in self.skills.items()
        ]
        return pd.concat(tables, ignore_index=True)

    def summary(self) -> dict[str, Any]:
        """The scores over all horizons: one row of the leaderboard.

        Each baseline has ``over_<baseline>_skill`` with its interval ``_low`` and ``_high``.
        """
        row = self._about() | _overall(self.errors, self.train_mean)
        for name, interval in self.overall.items():
            row[f"over_{name}_skill"] = float(interval.skill[0])
            row[f"over_{name}_low"] = float(interval.low[0])
            row[f"over_{name}_high"] = float(interval.high[0])
            row["n_blocks"] = interval.n_blocks
        return row

    @property
    def per_neuron(self) -> pd.DataFrame:
        """One row per neuron, over all horizons: its table columns, scores and skills."""
        errors = self.errors.forecast.pooled()
        scores = pd.DataFrame(
            {
                "mse": errors.mse[0],
                "mae": errors.mae[0],
                "r2": errors.r2[0],
                "pearson": _mean(self.errors.forecast.pearson, axis=0),
                "event_f1": _mean(self.errors.events.f1, axis=0),
            }
        )
        for name, other in self.baselines.items():
            scores[f"over_{name}_skill"] = skill(errors.mse[0], other.forecast.pooled().mse[0])
        return pd.concat([self.neurons.reset_index(drop=True), scores], axis=1)

    def _about(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "source": self.source,
            "split": self.split,
            "data": self.data_hash[:8],
        }


def score_forecasts(
    forecaster: Forecaster,
    data: WindowData,
    *,
    split: str = "test",
    baselines: Sequence[str] = BASELINES,
    stride: int = 1,
    seed: int = 0,
) -> ForecastScores:
    """Score a fitted forecaster on all windows of a block.

    Parameters
    ----------
    split : block to score: ``test``, ``passive``, ``validation`` or ``train``.
    baselines : names of forecasters, fitted here on the training block of ``data``.
    stride : score every ``stride``-th window.
    seed : of the bootstrap.

    Raises
    ------
    DataMismatchError
        The forecaster was fitted on other neurons or windows and does not transfer.
    ValueError
        The recording has no such block.
    """
    forecaster.check_data(data)
    if not baselines:
        raise ValueError(
            f"score_forecasts needs baselines, e.g. {', '.join(BASELINES)}; found none"
        )
    block = _block(data, split)
    errors = _errors(forecaster, block, stride)
    others = {name: _baseline_errors(name, data, block, stride) for name in baselines}
    pooled = errors.forecast.pooled()
    return ForecastScores(
        model=forecaster.name,
        split=split,
        source=data.source,
        unit=data.unit,
        frame_rate=data.frame_rate,
        data_hash=data.content_hash,
        errors=errors,
        baselines=others,
        skills={
            name: block_bootstrap(errors.forecast, other.forecast, seed=seed)
            for name, other in others.items()
        },
        overall={
            name: block_bootstrap(pooled, other.forecast.pooled(), seed=seed)
            for name, other in others.items()
        },
        neurons=data.neurons,
        train_mean=_baseline_errors("train_mean", data, block, stride),
    )


def fitted_baseline(name: str, data: WindowData) -> Forecaster:
    """A baseline with its default settings, fitted once per recording."""
    models = _fitted.setdefault(data, {})
    if name not in models:
        models[name] = build_forecaster(name).fit(data)
    return models[name]


def _baseline_errors(name: str, data: WindowData, block: WindowSplit, stride: int) -> Errors:
    known = _scored.setdefault(data, {})
    key = name, block.name, stride
    if key not in known:
        known[key] = _errors(fitted_baseline(name, data), block, stride)
    return known[key]


def _errors(forecaster: Forecaster, block: WindowSplit, stride: int) -> Errors:
    data = block.data
    if data not in _moments:
        mean, deviation = train_moments(data)
        _moments[data] = mean.numpy(), deviation.numpy()
    mean, deviation = _moments[data]
    errors = ForecastErrors(mean, data.frame_rate)
    events = EventCounts(mean + EVENT_DEVIATIONS * deviation)
    batch_size = max(1, min(512, BATCH_VALUES // (data.horizon * data.n_neurons)))
    for batch in block.batches(batch_size, stride=stride):
        forecast = forecaster.predict(batch.past, past_covariates(batch), batch.past_mask).numpy()
        mask = None if batch.future_mask is None else batch.future_mask.numpy()
        times = data.timestamps[batch.starts.numpy() + data.context]
        errors.update(forecast, batch.future.numpy(), mask, times)
        events.update(forecast, batch.future.numpy(), mask)
    return Errors(errors, events)


def _block(data: WindowData, split: str) -> WindowSplit:
    blocks = {block.name: block for block in data.splits if len(block)}
    if split not in blocks:
        raise ValueError(f"no windows in split '{split}'; this recording has {', '.join(blocks)}")
    return blocks[split]


def _by_horizon(errors: Errors, train_mean: Errors) -> pd.DataFrame:
    forecast = errors.forecast
    mse, about_mean = (_pooled_mse(e.forecast) for e in (errors, train_mean))
    weight = forecast.count / forecast.count.sum(axis=1, keepdims=True)
    return pd.DataFrame(
        {
            "mse": mse,
            "mae": np.nansum(forecast.mae * weight, axis=1),
            "r2": skill(mse, about_mean),
            "pearson": _mean(forecast.pearson, axis=1),
            "event_f1": errors.events.pooled_f1,
        }
    )


def _overall(errors: Errors, train_mean: Errors) -> dict[str, float]:
    """Means over horizons; R2 from the mean errors."""
    row = {name: float(value) for name, value in _by_horizon(errors, train_mean).mean().items()}
    about_mean = _pooled_mse(train_mean.forecast).mean()
    return row | {"r2": float(skill(row["mse"], about_mean))}


def _pooled_mse(errors: ForecastErrors) -> np.ndarray:
    return np.nansum(errors.mse * errors.count, axis=1) / errors.count.sum(axis=1)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is not NaN; NaN without a warning where all is."""
    counted = np.isfinite(values).sum(axis=axis)
    total = np.nansum(values, axis=axis)
    return np.divide(total, counted, out=np.full(total.shape, np.nan), where=counted > 0)
