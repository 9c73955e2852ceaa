"""Scores of fitted models beside their baselines, with intervals, and the leaderboard."""

from utils.evaluation.compare import average_seeds, compare, over_seeds, pooled_over_sessions
from utils.evaluation.forecasts import BASELINES, ForecastScores, fitted_baseline, score_forecasts
from utils.evaluation.leaderboard import describe, leaderboard, verdict

__all__ = [
    "BASELINES",
    "ForecastScores",
    "average_seeds",
    "compare",
    "describe",
    "fitted_baseline",
    "leaderboard",
    "over_seeds",
    "pooled_over_sessions",
    "score_forecasts",
    "verdict",
]
