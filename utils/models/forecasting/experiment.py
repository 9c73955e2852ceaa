"""The configuration of a forecasting notebook: windows, a model by name, its trainer."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from utils.config import Config
from utils.models.forecasting.base import Forecaster
from utils.models.forecasting.registry import build_forecaster, forecaster_class


class WindowsConfig(Config):
    """Frames of a window."""

    context: int = Field(48, ge=1)
    horizon: int = Field(16, ge=1)


class ForecastingConfig(Config):
    """``3_MODELLING/experiments/forecasting.yaml``, checked as a whole."""

    windows: WindowsConfig
    model: dict[str, Any]  # name and settings of a registered forecaster
    trainer: dict[str, Any]  # settings of utils.training.TrainerConfig; None: what suits the model

    @model_validator(mode="after")
    def _model_is_known(self) -> ForecastingConfig:
        configured(self)
        return self


def configured(config: ForecastingConfig, **trainer: Any) -> Forecaster:
    """The unfitted forecaster of a configuration; keywords replace settings of the trainer."""
    settings = dict(config.model)
    name = settings.pop("name", None)
    if "trainer" in forecaster_class(name).Config.model_fields:
        settings["trainer"] = {**config.trainer, **trainer}
    return build_forecaster(name, **settings)
