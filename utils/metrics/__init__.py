"""Numbers from arrays: forecast errors, event scores and their intervals."""

from utils.metrics.bootstrap import SkillInterval, block_bootstrap
from utils.metrics.events import EventCounts, average_precision, event_f1
from utils.metrics.forecasting import ForecastErrors, mae, mse, pearson, r2, skill

__all__ = [
    "EventCounts",
    "ForecastErrors",
    "SkillInterval",
    "average_precision",
    "block_bootstrap",
    "event_f1",
    "mae",
    "mse",
    "pearson",
    "r2",
    "skill",
]
