"""Scores of fitted models beside their baselines, with intervals, and the leaderboard."""

from utils.evaluation.compare import average_seeds, compare, over_seeds, pooled_over_sessions
from utils.evaluation.connectivity import ConnectivityEvaluation, evaluate_connectivity
from utils.evaluation.fine_tuning import few_minutes
from utils.evaluation.forecasts import (
    BASELINES,
    ForecastScores,
    fitted_baseline,
    score_forecasts,
    score_oracle,
)
from utils.evaluation.leaderboard import describe, leaderboard, verdict
from utils.evaluation.neuronio import NeuronIOPrediction, evaluate_neuronio, predict_neuronio
from utils.evaluation.oracle import Oracle, calcium_oracle, kalman_oracle
from utils.evaluation.oracle_session import open_oracle, session_oracle
from utils.evaluation.spectral import compare_spectral, evaluate_audio, evaluate_spectral
from utils.evaluation.v1_twin import TwinEvaluation, evaluate_twin

__all__ = [
    "BASELINES",
    "ConnectivityEvaluation",
    "ForecastScores",
    "NeuronIOPrediction",
    "Oracle",
    "TwinEvaluation",
    "average_seeds",
    "calcium_oracle",
    "compare",
    "compare_spectral",
    "describe",
    "evaluate_audio",
    "evaluate_connectivity",
    "evaluate_neuronio",
    "evaluate_spectral",
    "evaluate_twin",
    "few_minutes",
    "fitted_baseline",
    "kalman_oracle",
    "leaderboard",
    "open_oracle",
    "over_seeds",
    "pooled_over_sessions",
    "predict_neuronio",
    "score_forecasts",
    "score_oracle",
    "session_oracle",
    "verdict",
]
