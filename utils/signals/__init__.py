"""Signals: arrays in, arrays out, shaped ``(time, roi)``; no files and no sessions."""

from utils.signals.baselines import (
    constant_percentile_baseline,
    maximin_baseline,
    running_percentile_baseline,
)

__all__ = [
    "constant_percentile_baseline",
    "maximin_baseline",
    "running_percentile_baseline",
]
