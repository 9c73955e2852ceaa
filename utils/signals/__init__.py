"""Signals: arrays in, arrays out, shaped ``(time, roi)``; no files and no sessions."""

from utils.signals.baselines import (
    maximin_baseline,
    running_percentile_baseline,
)
from utils.signals.causal import bin_mean, bin_starts, causal_smooth
from utils.signals.deconvolution import deconvolve_ar1
from utils.signals.derivatives import (
    DerivativeMethod,
    derivative,
    remove_decay,
    savitzky_golay,
)
from utils.signals.fluorescence import (
    CAUSAL,
    baseline_floor,
    correct_neuropil,
    delta_f_over_f,
    noise_level,
    noise_std,
)
from utils.signals.raised_cosines import raised_cosines
from utils.signals.saccades import Saccades, detect_saccades
from utils.signals.spectra import SpectrogramConfig, spectral_image, stft_magnitude
from utils.signals.statistics import column_quantiles

__all__ = [
    "CAUSAL",
    "DerivativeMethod",
    "Saccades",
    "SpectrogramConfig",
    "baseline_floor",
    "bin_mean",
    "bin_starts",
    "causal_smooth",
    "column_quantiles",
    "correct_neuropil",
    "deconvolve_ar1",
    "delta_f_over_f",
    "derivative",
    "detect_saccades",
    "maximin_baseline",
    "noise_level",
    "noise_std",
    "raised_cosines",
    "remove_decay",
    "running_percentile_baseline",
    "savitzky_golay",
    "spectral_image",
    "stft_magnitude",
]
