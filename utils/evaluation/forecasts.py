"""Score a forecaster on a block of windows, beside the baselines that it has to beat.

Windows are streamed; baselines are fitted, and scored, once per recording. Over several neurons
the squared and absolute errors, R2 and skill are pooled (a neuron counts by its variance); CRPS
and coverage are means over all values; Pearson correlation and AUPRC are means over neurons.

Each model is scored as a distribution too: its own where it has one, else its residuals on at most
500 validation windows around its forecast, per frame ahead and neuron (split conformal
prediction). Events are frames in which a neuron exceeds its train mean by two standard deviations;
the forecast has one where it exceeds a shrunken threshold, the part of those two deviations that
gives the model the best F1 on validation windows. The area under the precision-recall curve, which
needs no threshold, is that of at most 1000 windows and 32 million values, evenly spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from utils.evaluation.oracle import Oracle
from utils.evaluation.window_errors import (
    Errors,
    errors_of_forecaster,
    errors_of_oracle,
)
from utils.metrics import (
    LEVELS,
    SkillInterval,
    block_bootstrap,
    block_bootstrap_fraction,
    skill,
)
from utils.models.forecasting import Forecaster, build_forecaster

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit

BASELINES = ("persistence", "mean", "train_mean", "ar16", "population_ridge")
FLOOR = "mean"  # what the fraction of the oracle starts from
COVERED = (0.8, 0.95)  # central intervals whose coverage is told

# Baselines are the same for all models scored on one recording.
_fitted: WeakKeyDictionary[WindowData, dict[str, Forecaster]] = WeakKeyDictionary()
_scored: WeakKeyDictionary[WindowData, dict[tuple, Errors]] = WeakKeyDictionary()
_oracles: WeakKeyDictionary[Oracle, dict[tuple, Errors]] = WeakKeyDictionary()


@dataclass
class ForecastScores:
    """Scores of one model on one block of one recording."""

    model: str
    split: str
    source: str  # "simulated", "ibl", ...
    unit: str
    frame_rate: float  # Hz
    data_hash: str
    window: tuple[int, int]  # frames of context and horizon
    settings: dict[str, Any] = field(repr=False)
    errors: Errors = field(repr=False)
    baselines: dict[str, Errors] = field(repr=False)  # "oracle" among them where there is one
    neurons: pd.DataFrame = field(repr=False)
    train_mean: Errors = field(repr=False)
    floor: Errors = field(repr=False)  # the context mean
    seed: int = 0  # of the bootstrap
    seed_mses: tuple[float, ...] = ()  # of each seed, where the errors are a mean over seeds

    @cached_property
    def skills(self) -> dict[str, SkillInterval]:
        """Skill over each baseline per horizon."""
        return {
            name: block_bootstrap(self.errors.forecast, other.forecast, seed=self.seed)
            for name, other in self.baselines.items()
        }

    @cached_property
    def overall(self) -> dict[str, SkillInterval]:
        """Skill over each baseline, all horizons as one."""
        return {
            name: block_bootstrap(self.errors.pooled, other.pooled, seed=self.seed)
            for name, other in self.baselines.items()
        }

    def of_oracle(self, by_horizon: bool = False) -> SkillInterval | None:
        """(MSE of the context mean - MSE) / (MSE of the context mean - MSE of the oracle).

        0 is the context mean, 1 the best possible forecast; None without an oracle.
        """
        if "oracle" not in self.baselines:
            return None
        three = (self.errors, self.floor, self.baselines["oracle"])
        errors = [each.forecast if by_horizon else each.pooled for each in three]
        return block_bootstrap_fraction(*errors, seed=self.seed)

    def to_frame(self) -> pd.DataFrame:
        """One row per horizon and baseline.

        Columns: model, source, split, data, horizon (frames), seconds, mse, mae, r2 (about the
        train mean), pearson, event_f1, auprc, crps, coverage_80 and coverage_95 (share of the
        truth inside the central interval), of_oracle with its interval (where there is an
        oracle), baseline, skill = 1 - mse / mse of the baseline, its interval low and high (NaN:
        not estimable), n_blocks.
        """
        own = _by_horizon(self.errors, self.train_mean)
        own.insert(0, "horizon", np.arange(1, len(own) + 1))
        own.insert(1, "seconds", own["horizon"] / self.frame_rate)
        for place, (column, value) in enumerate(self._about().items()):
            own.insert(place, column, value)
        fraction = self.of_oracle(by_horizon=True)
        if fraction is not None:
            own = own.assign(
                of_oracle=fraction.skill, of_oracle_low=fraction.low, of_oracle_high=fraction.high
            )
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

        Each baseline has ``over_<baseline>_skill`` with its interval ``_low`` and ``_high``;
        ``of_oracle`` with its interval is there where the oracle is. ``mse_sd`` is the standard
        deviation over ``n_seeds`` seeds (NaN for one).
        """
        row = self._about() | _overall(self.errors, self.train_mean)
        for name, interval in self.overall.items():
            row |= _with_interval(f"over_{name}", interval, "_skill")
            row["n_blocks"] = interval.n_blocks
        fraction = self.of_oracle()
        if fraction is not None:
            row |= _with_interval("of_oracle", fraction)
        row["n_seeds"] = max(len(self.seed_mses), 1)
        row["mse_sd"] = float(np.std(self.seed_mses, ddof=1)) if row["n_seeds"] > 1 else np.nan
        return row

    def reliability(self) -> pd.DataFrame:
        """Share of the truth at or below each predicted quantile: one row per horizon and level.

        Columns: model, horizon, seconds, level, observed (the level where calibrated), n values.
        """
        quantiles = self.errors.quantiles
        observed = quantiles.reliability()  # (horizon, level)
        horizons = np.arange(1, len(observed) + 1)
        table = pd.DataFrame({"model": self.model, "horizon": horizons})
        table = table.loc[table.index.repeat(len(quantiles.levels))].reset_index(drop=True)
        return table.assign(
            seconds=table["horizon"] / self.frame_rate,
            level=np.tile(quantiles.levels, len(observed)),
            observed=observed.ravel(),
            n=np.repeat(quantiles.count.sum(axis=1).astype(int), len(quantiles.levels)),
        )

    @property
    def per_neuron(self) -> pd.DataFrame:
        """One row per neuron, over all horizons: its table columns, scores and skills."""
        errors = self.errors.pooled
        scores = pd.DataFrame(
            {
                "mse": errors.mse[0],
                "mae": errors.mae[0],
                "r2": errors.r2[0],
                "pearson": _mean(self.errors.forecast.pearson, axis=0),
                "event_f1": _mean(self.errors.events.f1, axis=0),
                "crps": _mean(self.errors.quantiles.crps, axis=0),
            }
        )
        for name, other in self.baselines.items():
            scores[f"over_{name}_skill"] = skill(errors.mse[0], other.pooled.mse[0])
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
    oracle: Oracle | None = None,
    levels: Sequence[float] = LEVELS,
    stride: int = 1,
    seed: int = 0,
) -> ForecastScores:
    """Score a fitted forecaster on all windows of a block.

    Parameters
    ----------
    split : block to score: ``test``, ``passive``, ``validation`` or ``train``.
    baselines : names of forecasters, fitted here on the training block of ``data``.
    oracle : the best possible forecast of a simulation, ``oracle(origins)`` with the first future
        frame (batch,) of each window -> (batch, horizon, neuron); scored as a baseline ``oracle``.
    levels : of the predictive quantiles that CRPS and coverage are computed from.
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
    block = find_block(data, split)
    how = (block, stride, tuple(levels))
    others = {name: _baseline_errors(name, *how) for name in baselines}
    if oracle is not None:
        others["oracle"] = _oracle_errors(oracle, *how)
    return ForecastScores(
        model=forecaster.name,
        split=split,
        source=data.source,
        unit=data.unit,
        frame_rate=data.frame_rate,
        data_hash=data.content_hash,
        window=(data.context, data.horizon),
        settings=forecaster.config.model_dump(),
        errors=_errors(forecaster, *how),
        baselines=others,
        neurons=data.neurons,
        train_mean=_baseline_errors("train_mean", *how),
        floor=_baseline_errors(FLOOR, *how),
        seed=seed,
    )


def score_oracle(
    knowing: Oracle, name: str, data: WindowData, *, split: str = "test", **how: Any
) -> ForecastScores:
    """Score a forecast that knows more than a forecaster may, as a row of its own.

    ``name`` is what the row is called; ``how`` as in :func:`score_forecasts`, where ``oracle`` is
    the ceiling that fractions are measured against.
    """
    scores = score_forecasts(fitted_baseline(FLOOR, data), data, split=split, **how)
    seen = find_block(data, split), how.get("stride", 1), tuple(how.get("levels", LEVELS))
    return replace(scores, model=name, settings={}, errors=_oracle_errors(knowing, *seen))


def fitted_baseline(name: str, data: WindowData) -> Forecaster:
    """A baseline with its default settings, fitted once per recording."""
    models = _fitted.setdefault(data, {})
    if name not in models:
        models[name] = build_forecaster(name).fit(data)
    return models[name]


def find_block(data: WindowData, split: str) -> WindowSplit:
    """The block of a name; ValueError where the recording has none."""
    blocks = {block.name: block for block in data.splits if len(block)}
    if split not in blocks:
        raise ValueError(f"no windows in split '{split}'; this recording has {', '.join(blocks)}")
    return blocks[split]


def _errors(
    forecaster: Forecaster, block: WindowSplit, stride: int, levels: tuple[float, ...]
) -> Errors:
    """Errors of a forecaster; those of a fitted baseline are computed once."""
    if forecaster is _fitted.get(block.data, {}).get(forecaster.name):
        return _baseline_errors(forecaster.name, block, stride, levels)
    return errors_of_forecaster(forecaster, block, stride, levels)


def _baseline_errors(
    name: str, block: WindowSplit, stride: int, levels: tuple[float, ...]
) -> Errors:
    known = _scored.setdefault(block.data, {})
    key = name, block.name, stride, levels
    if key not in known:
        baseline = fitted_baseline(name, block.data)
        known[key] = errors_of_forecaster(baseline, block, stride, levels)
    return known[key]


def _oracle_errors(
    oracle: Oracle, block: WindowSplit, stride: int, levels: tuple[float, ...]
) -> Errors:
    known = _oracles.setdefault(oracle, {})
    key = block.data.content_hash, block.name, stride, levels
    if key not in known:
        known[key] = errors_of_oracle(oracle, block, stride, levels)
    return known[key]


def _by_horizon(errors: Errors, train_mean: Errors) -> pd.DataFrame:
    forecast, quantiles = errors.forecast, errors.quantiles
    mse, about_mean = (_pooled(e.forecast.mse, e.forecast.count) for e in (errors, train_mean))
    table = pd.DataFrame(
        {
            "mse": mse,
            "mae": _pooled(forecast.mae, forecast.count),
            "r2": skill(mse, about_mean),
            "pearson": _mean(forecast.pearson, axis=1),
            "event_f1": errors.events.pooled_f1,
            "auprc": _mean(errors.auprc, axis=1),
            "crps": _pooled(quantiles.crps, forecast.count),
        }
    )
    for share in COVERED:
        if quantiles.has_interval(share):
            covered = _pooled(quantiles.coverage(share), forecast.count)
            table[f"coverage_{share * 100:.0f}"] = covered
    return table


def _overall(errors: Errors, train_mean: Errors) -> dict[str, float]:
    """Means over horizons; R2 from the mean errors."""
    row = {name: float(value) for name, value in _by_horizon(errors, train_mean).mean().items()}
    about_mean = _pooled(train_mean.forecast.mse, train_mean.forecast.count).mean()
    return row | {"r2": float(skill(row["mse"], about_mean))}


def _with_interval(name: str, interval: SkillInterval, suffix: str = "") -> dict[str, float]:
    return {
        f"{name}{suffix}": float(interval.skill[0]),
        f"{name}_low": float(interval.low[0]),
        f"{name}_high": float(interval.high[0]),
    }


def _pooled(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Mean over neurons (horizon,), each weighted by its scored values; NaN does not count."""
    weight = count * np.isfinite(values)
    total = weight.sum(axis=1)
    sums = np.nansum(values * weight, axis=1)
    return np.divide(sums, total, out=np.full(total.shape, np.nan), where=total > 0)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is not NaN; NaN without a warning where all is."""
    values = np.moveaxis(values, axis, 1)
    return _pooled(values, np.ones(values.shape))
