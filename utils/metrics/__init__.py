"""Numbers from arrays: errors of forecasts, events, distributions, connectivity; intervals."""

from utils.metrics.bootstrap import SkillInterval, block_bootstrap, block_bootstrap_fraction
from utils.metrics.connectivity import (
    cluster_accuracy,
    connectivity_r2,
    connectivity_scores,
    spectral_radius,
)
from utils.metrics.events import (
    EventCounts,
    around_onsets,
    average_precision,
    best_threshold,
    event_f1,
    event_share,
)
from utils.metrics.forecasting import ForecastErrors, mae, mse, pearson, r2, skill
from utils.metrics.heads import (
    calibration_error,
    just_noticeable_difference_score,
    mean_absolute_error,
    reliability_table,
)
from utils.metrics.network_dynamics import (
    lyapunov_exponent,
    rollout_r2,
    state_fit,
    steps_above,
)
from utils.metrics.neuronio import neuronio_metrics
from utils.metrics.probabilistic import (
    LEVELS,
    QuantileScores,
    conformal_quantiles,
    crps_from_quantiles,
    crps_gaussian,
    crps_student_t,
)
from utils.metrics.repeats import ccnorm, one_minus_alpha, reliability
from utils.metrics.spikes import (
    bits_per_spike,
    mean_rates,
    oracle_bits_per_spike,
    saccade_triggered_average,
)

__all__ = [
    "LEVELS",
    "EventCounts",
    "ForecastErrors",
    "QuantileScores",
    "SkillInterval",
    "around_onsets",
    "average_precision",
    "best_threshold",
    "bits_per_spike",
    "block_bootstrap",
    "block_bootstrap_fraction",
    "calibration_error",
    "ccnorm",
    "cluster_accuracy",
    "conformal_quantiles",
    "connectivity_r2",
    "connectivity_scores",
    "crps_from_quantiles",
    "crps_gaussian",
    "crps_student_t",
    "event_f1",
    "event_share",
    "just_noticeable_difference_score",
    "lyapunov_exponent",
    "mae",
    "mean_absolute_error",
    "mean_rates",
    "mse",
    "neuronio_metrics",
    "one_minus_alpha",
    "oracle_bits_per_spike",
    "pearson",
    "r2",
    "reliability",
    "reliability_table",
    "rollout_r2",
    "saccade_triggered_average",
    "skill",
    "spectral_radius",
    "state_fit",
    "steps_above",
]
