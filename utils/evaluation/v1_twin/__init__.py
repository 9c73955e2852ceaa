"""How good is a V1 twin? Scores beside floors and oracle, quality of cells, and probes."""

from utils.evaluation.v1_twin.evaluate import TwinEvaluation, evaluate_twin
from utils.evaluation.v1_twin.floors import floor_rates
from utils.evaluation.v1_twin.quality import quality_table
from utils.evaluation.v1_twin.rates import by_repeat, predict_rates
from utils.evaluation.v1_twin.recovery import recovery_summary, recovery_table, truth_table
from utils.evaluation.v1_twin.scores import find_truth, score_cells, score_types

__all__ = [
    "TwinEvaluation",
    "by_repeat",
    "evaluate_twin",
    "find_truth",
    "floor_rates",
    "predict_rates",
    "quality_table",
    "recovery_summary",
    "recovery_table",
    "score_cells",
    "score_types",
    "truth_table",
]
