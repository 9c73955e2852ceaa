"""All forecasters by name. A new model enters with one line here (and passes the gate tests)."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

from utils.config import ConfigError, near_matches
from utils.models.forecasting.base import Forecaster

# Classes are imported on first use: networks need libraries that take seconds to import.
FORECASTERS = {
    "persistence": "utils.models.forecasting.simple:Persistence",
    "mean": "utils.models.forecasting.simple:ContextMean",
    "train_mean": "utils.models.forecasting.simple:TrainMean",
    "linear": "utils.models.forecasting.linear:LinearForecaster",
    "ar16": "utils.models.forecasting.linear:Autoregression",
    "population_ridge": "utils.models.forecasting.population:PopulationRidge",
    "informer": "utils.models.forecasting.informer:InformerForecaster",
}


def available_forecasters() -> list[str]:
    """Names that :func:`build_forecaster` knows."""
    return list(FORECASTERS)


def forecaster_class(name: str) -> type[Forecaster]:
    """The class behind a name; an unknown name is an error with near matches."""
    if name not in FORECASTERS:
        raise ConfigError(
            f"unknown forecaster '{name}'{near_matches(str(name), list(FORECASTERS))}"
        )
    return resolve_name(FORECASTERS[name])


def build_forecaster(name: str, **settings: Any) -> Forecaster:
    """An unfitted forecaster, e.g. ``build_forecaster("linear", subtract="last")``.

    Raises
    ------
    ConfigError
        Unknown name, unknown setting or wrong type; the message names it.
    """
    return forecaster_class(name)(**settings)
