"""One table for all models, sorted, with an honest verdict on each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from utils.evaluation.compare import average_seeds, without_seed
from utils.evaluation.forecasts import ForecastScores

REFERENCE = "mean"  # a forecast counts when it beats the context mean
SAME_DATA = ["source", "data", "split"]
FRONT = ["model", "source", "split", "data", "n_seeds", "mse", "mse_sd"]


def leaderboard(scores: Iterable[ForecastScores | dict[str, Any] | pd.DataFrame]) -> pd.DataFrame:
    """One row per model and recording, best first.

    Parameters
    ----------
    scores : :class:`ForecastScores`, their ``summary()``, or rows of other leaderboards. Scores of
        one model with the same settings and windows but other seeds become one row.

    Returns
    -------
    Columns model, source (simulated or real), split, data, n_seeds, mse, mse_sd (over seeds), mae,
    r2, pearson, event_f1, auprc, crps, coverage_80, coverage_95, of_oracle (where there is an
    oracle), then ``over_<baseline>_skill``, ``_low`` and ``_high`` for each baseline, n_blocks,
    verdict (about the context mean). Models of different recordings or blocks are not compared:
    they stand in groups below each other.
    """
    tables = [_rows(item) for item in _seeds_as_one(scores)]
    if not tables:
        raise ValueError("a leaderboard needs the scores of at least one model")
    board = pd.concat(tables, ignore_index=True)
    board = board.drop_duplicates(["model", *SAME_DATA, "mse"])
    board = board.sort_values([*SAME_DATA, "mse"], ignore_index=True)
    front = [name for name in FRONT if name in board]
    board = board[[*front, *board.columns.drop([*front, "n_blocks"]), "n_blocks"]].copy()
    board["verdict"] = [_row_verdict(row) for _, row in board.iterrows()]
    return board


def verdict(skill: float, low: float, high: float, baseline: str = REFERENCE) -> str:
    """What an interval of the skill says: beats, tie, worse, or nothing."""
    if not np.isfinite([low, high]).all():
        return "interval not estimable" if np.isfinite(skill) else "not scored"
    if low > 0:
        return f"beats {baseline}"
    return f"worse than {baseline}" if high < 0 else f"tie with {baseline}"


def describe(scores: ForecastScores) -> str:
    """The scores in words, one line per baseline, each with its interval and verdict."""
    kind = "simulated" if scores.source == "simulated" else f"real ({scores.source})"
    lines = [f"{scores.model} on {kind} data, {scores.split} block:"]
    for name, interval in scores.overall.items():
        if name in (scores.model, "oracle"):
            continue
        value, low, high = interval.skill[0], interval.low[0], interval.high[0]
        span = f" [{low:+.3f}, {high:+.3f}]" if interval.estimable else ""
        lines.append(
            f"  skill over {name} {value:+.3f}{span}, {interval.n_blocks} blocks: "
            f"{verdict(value, low, high, name)}"
        )
    fraction = scores.of_oracle()
    if fraction is not None:
        low, high = fraction.low[0], fraction.high[0]
        span = f" [{low:+.3f}, {high:+.3f}]" if fraction.estimable else ""
        lines.append(f"  {fraction.skill[0]:+.3f}{span} of the way from the mean to the oracle")
    return "\n".join(lines)


def _row_verdict(row: pd.Series) -> str:
    if row["model"] == REFERENCE:
        return "the reference"
    if f"over_{REFERENCE}_skill" not in row:
        return "not scored"
    return verdict(*(row[f"over_{REFERENCE}_{part}"] for part in ("skill", "low", "high")))


def _seeds_as_one(
    scores: Iterable[ForecastScores | dict[str, Any] | pd.DataFrame],
) -> list[ForecastScores | dict[str, Any] | pd.DataFrame]:
    """The items, with the scores of a model that was trained with several seeds averaged."""
    groups: dict[str, list] = {}
    for item in scores:
        key = f"other {len(groups)}"
        if isinstance(item, ForecastScores):
            settings = without_seed(item.settings)
            key = f"{item.model} {item.data_hash} {item.split} {item.window} {settings}"
        groups.setdefault(key, []).append(item)
    return [group[0] if len(group) == 1 else _average(group) for group in groups.values()]


def _average(group: list[ForecastScores]) -> ForecastScores:
    """One model that is listed twice with the same errors is not two seeds."""
    distinct = {one.errors.forecast.squared.tobytes(): one for one in group}
    scores = list(distinct.values())
    return scores[0] if len(scores) == 1 else average_seeds(scores)


def _rows(item: ForecastScores | dict[str, Any] | pd.DataFrame) -> pd.DataFrame:
    if isinstance(item, pd.DataFrame):
        return item.drop(columns="verdict", errors="ignore")
    return pd.DataFrame([item.summary() if isinstance(item, ForecastScores) else item])
