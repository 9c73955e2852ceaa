"""Signals: arrays in, arrays out, shaped ``(time, roi)``; no files and no sessions."""

from utils.signals.baselines import (
    constant_percentile_baseline,
    maximin_baseline,
    running_percentile_baseline,
)
from utils.signals.fluorescence import (
    CAUSAL,
    baseline_floor,
    correct_neuropil,
    delta_f_over_f,
    noise_level,
    noise_std,
)
from utils.signals.statistics import column_quantiles

__all__ = [
    "CAUSAL",
    "baseline_floor",
    "column_quantiles",
    "constant_percentile_baseline",
    "correct_neuropil",
    "delta_f_over_f",
    "maximin_baseline",
    "noise_level",
    "noise_std",
    "running_percentile_baseline",
]
