"""Settings of preprocessing, validated; the options live in experiments/preprocessing/*.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from utils.config import Config, load_config, validate_config
from utils.signals.fluorescence import CAUSAL, BaselineMethod


class BaselineConfig(Config):
    """F0 of dF/F."""

    method: BaselineMethod = "running_percentile"
    percentile: float = Field(30.0, ge=0, le=100)
    window_s: float = Field(60.0, gt=0)
    warmup_s: float = Field(10.0, ge=0)  # of the running percentile; these frames stay empty

    @property
    def causal(self) -> bool:
        """Whether the baseline knows nothing of the future."""
        return CAUSAL[self.method]


class CellFilterConfig(Config):
    """Which cells are kept; all thresholds are fitted on the training block."""

    rule: Literal["basic", "percentiles"] = "basic"
    min_cell_probability: float = Field(0.0, ge=0, le=1)
    min_valid_fraction: float = Field(0.5, ge=0, le=1)
    max_negative_fraction: float = Field(0.5, ge=0, le=1)


class ScalingConfig(Config):
    """Per-neuron scaling: activity = (raw - offset) / scale, fitted on the training block."""

    method: Literal["percentile", "zscore", "robust", "none"] = "percentile"
    low: float = Field(0.0, ge=0, le=100)  # percentiles, for the method of that name
    high: float = Field(99.5, ge=0, le=100)


class SplitConfig(Config):
    """Contiguous training, validation and test blocks with gaps."""

    by: Literal["time", "trial_block"] = "time"
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    max_window_frames: int = Field(64, ge=1)  # longest context + horizon that the gaps allow
    gap_s: float | None = Field(None, ge=0)  # overrides the gap that follows from the windows


class PreprocessConfig(Config):
    """How a recording becomes a session file."""

    activity: Literal["dff", "deconvolved"] = "dff"
    neuropil_coefficient: float = Field(0.7, ge=0, le=2)
    baseline: BaselineConfig = BaselineConfig()
    resampling: Literal["linear", "previous"] = "linear"
    smoothing_s: float = Field(0.0, ge=0)  # time constant of causal smoothing; 0 is none
    bin_frames: int = Field(1, ge=1)
    min_valid_fraction: float = Field(0.5, gt=0, le=1)  # share of cells that a valid frame needs
    cells: CellFilterConfig = CellFilterConfig()
    scaling: ScalingConfig = ScalingConfig()
    split: SplitConfig = SplitConfig()

    @property
    def causal(self) -> bool:
        """Whether no stored value depends on a sample after its time.

        Linear resampling takes up to one frame of the future into each value.
        """
        past_only = self.baseline.causal and self.resampling == "previous"
        return self.activity == "dff" and past_only

    @property
    def unit(self) -> str:
        """What the stored activity is, in words."""
        name = "dF/F" if self.activity == "dff" else "deconvolved activity"
        scaled = {
            "percentile": f", scaled by the {self.scaling.low:g}-{self.scaling.high:g} percentile",
            "zscore": ", z-scored",
            "robust": ", scaled by median and interquartile range",
            "none": "",
        }[self.scaling.method]
        binned = f", mean of {self.bin_frames} frames" if self.bin_frames > 1 else ""
        return name + scaled + binned


def resolve_config(
    config: str | Mapping[str, Any] | PreprocessConfig | None = None, overrides: Sequence[str] = ()
) -> PreprocessConfig:
    """A validated configuration from an option's name, plain values, or a configuration.

    None is ``preprocessing/default``; ``"zscore"`` and ``"preprocessing/zscore"`` are the same.
    ``overrides`` such as ``["scaling.method=zscore"]`` need a named option.

    Raises
    ------
    utils.config.ConfigError
        Unknown option or key, wrong type; the message names it.
    """
    if isinstance(config, PreprocessConfig | Mapping):
        if overrides:
            raise ValueError("overrides change a named option; change these values directly")
        if isinstance(config, PreprocessConfig):
            return config
        return validate_config(PreprocessConfig, config, where="preprocessing config")
    name = "preprocessing/" + (config or "default").removeprefix("preprocessing/")
    return load_config(name, overrides, PreprocessConfig)
