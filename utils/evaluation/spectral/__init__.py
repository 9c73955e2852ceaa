"""How good is a spectral model? Scores of heads in their units, sounds, and comparisons."""

from utils.evaluation.spectral.audio import AudioEvaluation, evaluate_audio
from utils.evaluation.spectral.baselines import baseline_predictions
from utils.evaluation.spectral.compare import compare_spectral, report, spectral_settings
from utils.evaluation.spectral.evaluate import (
    SpectralEvaluation,
    evaluate_spectral,
    score_heads,
)
from utils.evaluation.spectral.layers import layer_table
from utils.evaluation.spectral.units import unit_of

__all__ = [
    "AudioEvaluation",
    "SpectralEvaluation",
    "baseline_predictions",
    "compare_spectral",
    "evaluate_audio",
    "evaluate_spectral",
    "layer_table",
    "report",
    "score_heads",
    "spectral_settings",
    "unit_of",
]
