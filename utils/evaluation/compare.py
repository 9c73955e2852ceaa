"""Scores set against one another: a model against any other, over seeds and over sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from utils.evaluation.forecasts import ForecastScores
from utils.evaluation.window_errors import Errors
from utils.metrics import (
    EventCounts,
    ForecastErrors,
    QuantileScores,
    SkillInterval,
    block_bootstrap,
    skill,
)
from utils.metrics.bootstrap import (
    BLOCK_SECONDS,
    N_RESAMPLES,
    interval_of_draws,
    resampled_squares,
)

MIN_SEEDS = 3
MIN_SESSIONS = 3


def compare(
    model: ForecastScores, other: ForecastScores, *, by_horizon: bool = False, seed: int = 0
) -> SkillInterval:
    """Skill of one model over another, 1 - MSE / MSE of the other, with its paired interval.

    All horizons as one, or each of its own. Both are scored on the same windows.

    Raises
    ------
    ValueError
        They are scored on different recordings, blocks or windows.
    """
    _require_same_data([model, other])
    if by_horizon:
        return block_bootstrap(model.errors.forecast, other.errors.forecast, seed=seed)
    return block_bootstrap(model.errors.pooled, other.errors.pooled, seed=seed)


def over_seeds(scores: Sequence[ForecastScores]) -> pd.DataFrame:
    """Mean and standard deviation over at least 3 seeds of one model on the same windows.

    Returns
    -------
    One row per score (mse, r2, crps, the skills, of_oracle, ...): mean, sd, n_seeds.

    Raises
    ------
    ValueError
        Fewer than 3 seeds, or not one model with the same settings on the same windows.
    """
    _require_same_model(scores)
    if len(scores) < MIN_SEEDS:
        raise ValueError(f"a spread needs at least {MIN_SEEDS} seeds, found {len(scores)}")
    values = pd.DataFrame([one.summary() for one in scores]).select_dtypes("number")
    interval = values.columns.str.endswith(("_low", "_high"))
    values = values.loc[:, ~interval].drop(columns=["n_seeds", "mse_sd", "n_blocks"])
    table = pd.DataFrame({"mean": values.mean(), "sd": values.std(ddof=1)})
    return table.assign(n_seeds=len(scores)).rename_axis("score")


def average_seeds(scores: Sequence[ForecastScores]) -> ForecastScores:
    """One model trained with several seeds as one: its squared errors averaged over the seeds.

    Intervals then hold for a model of an average seed; they do not grow with the spread of the
    seeds, which :func:`over_seeds` gives.
    """
    _require_same_model(scores)
    parts = [one.errors for one in scores]
    errors = Errors(
        forecast=ForecastErrors.average([part.forecast for part in parts]),
        events=EventCounts.together([part.events for part in parts]),
        quantiles=QuantileScores.together([part.quantiles for part in parts]),
        auprc=np.mean([part.auprc for part in parts], axis=0),
    )
    mses = tuple(float(one.summary()["mse"]) for one in scores)
    return replace(scores[0], errors=errors, seed_mses=mses)


def pooled_over_sessions(
    scores: Sequence[ForecastScores], *, level: float = 0.95, seed: int = 0
) -> dict[str, SkillInterval]:
    """Skill of one model over each baseline as the mean over sessions, all horizons as one.

    Each session counts the same, whatever its unit and its number of cells. The interval draws
    sessions, inside them blocks of time and neurons, and is widened for the number of sessions; it
    is NaN for fewer than 3 sessions, or where a session is too short for an interval of its own.
    """
    models = {one.model for one in scores}
    if len(models) != 1:
        raise ValueError(f"scores of one model are pooled over sessions, found {sorted(models)}")
    shared = [name for name in scores[0].baselines if all(name in s.baselines for s in scores)]
    return {name: _pool(scores, name, level, seed) for name in shared}


def _pool(scores: Sequence[ForecastScores], name: str, level: float, seed: int) -> SkillInterval:
    intervals = [one.overall[name] for one in scores]
    estimate = np.mean([each.skill for each in intervals], axis=0)
    n_blocks = sum(each.n_blocks for each in intervals)
    if len(scores) < MIN_SESSIONS or not all(each.estimable for each in intervals):
        unknown = np.full(1, np.nan)
        return SkillInterval(estimate, unknown, unknown.copy(), n_blocks, level)
    inside = np.stack([_skill_draws(one, name, seed + k) for k, one in enumerate(scores)])
    rng = np.random.default_rng(seed)
    n_sessions, n_draws = inside.shape
    sessions = rng.integers(n_sessions, size=(n_sessions, n_draws))
    draws = inside[sessions, rng.integers(n_draws, size=sessions.shape)].mean(axis=0)
    ends = interval_of_draws(estimate, draws[:, None], n_sessions, level)
    return SkillInterval(estimate, *ends, n_blocks, level)


def _skill_draws(scores: ForecastScores, name: str, seed: int) -> NDArray[np.float64]:
    how = (BLOCK_SECONDS, N_RESAMPLES, seed)
    both = (scores.errors.pooled, scores.baselines[name].pooled)
    return skill(*(resampled_squares(errors, *how)[:, 0] for errors in both))


def _require_same_data(scores: Sequence[ForecastScores]) -> None:
    blocks = {(one.data_hash, one.split, one.window) for one in scores}
    if len(blocks) != 1:
        raise ValueError(
            "scores must be of the same recording and block, and of the same windows, found "
            + ", ".join(
                f"{split} of {data[:8]} in windows of {context} + {horizon} frames"
                for data, split, (context, horizon) in sorted(blocks)
            )
        )


def _require_same_model(scores: Sequence[ForecastScores]) -> None:
    if not scores:
        raise ValueError("no scores were given; score one model per seed")
    _require_same_data(scores)
    models = {one.model for one in scores}
    if len(models) != 1:
        raise ValueError(f"seeds of one model are averaged, found {', '.join(sorted(models))}")
    if any(without_seed(one.settings) != without_seed(scores[0].settings) for one in scores):
        raise ValueError(
            f"the '{scores[0].model}' models differ in more than their seed; "
            "average those of the same settings"
        )


def without_seed(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a model, also nested ones, but for the seed."""
    return {
        name: without_seed(value) if isinstance(value, dict) else value
        for name, value in settings.items()
        if name != "seed"
    }
