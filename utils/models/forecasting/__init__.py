"""Forecasters: one interface from copying the last value to transformers."""

from utils.models.forecasting.apply import apply, write_predictions
from utils.models.forecasting.base import (
    DataMismatchError,
    Forecaster,
    ForecasterConfig,
    NotFittedError,
)
from utils.models.forecasting.experiment import ForecastingConfig, WindowsConfig, configured
from utils.models.forecasting.registry import (
    FORECASTERS,
    available_forecasters,
    build_forecaster,
    forecaster_class,
    register_forecaster,
)
from utils.models.forecasting.store import ModelFolderError, load_model, saved_models

__all__ = [
    "FORECASTERS",
    "DataMismatchError",
    "Forecaster",
    "ForecasterConfig",
    "ForecastingConfig",
    "ModelFolderError",
    "NotFittedError",
    "WindowsConfig",
    "apply",
    "available_forecasters",
    "build_forecaster",
    "configured",
    "forecaster_class",
    "load_model",
    "register_forecaster",
    "saved_models",
    "write_predictions",
]
