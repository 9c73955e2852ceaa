"""Scores of fitted models beside their baselines, with intervals, and the leaderboard."""

from utils.evaluation.forecasts import BASELINES, ForecastScores, fitted_baseline, score_forecasts
from utils.evaluation.leaderboard import describe, leaderboard, verdict

__all__ = [
    "BASELINES",
    "ForecastScores",
    "describe",
    "fitted_baseline",
    "leaderboard",
    "score_forecasts",
    "verdict",
]
