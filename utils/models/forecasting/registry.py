"""All forecasters by name. A new model enters with one line here (and passes the gate tests).

A model of your own, outside of this package, enters with :func:`register_forecaster`.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

from utils.config import ConfigError, near_matches
from utils.models.forecasting.base import Forecaster

# Classes are imported on first use: networks need libraries that take seconds to import.
FORECASTERS: dict[str, str | type[Forecaster]] = {
    "persistence": "utils.models.forecasting.simple:Persistence",
    "mean": "utils.models.forecasting.simple:ContextMean",
    "train_mean": "utils.models.forecasting.simple:TrainMean",
    "exponential": "utils.models.forecasting.smoothing:ExponentialSmoothing",
    "linear": "utils.models.forecasting.linear:LinearForecaster",
    "ar16": "utils.models.forecasting.linear:Autoregression",
    "var": "utils.models.forecasting.var:VectorAutoregression",
    "population_ridge": "utils.models.forecasting.population:PopulationRidge",
    "dlinear": "utils.models.forecasting.decomposition:DLinearForecaster",
    "nlinear": "utils.models.forecasting.decomposition:NLinearForecaster",
    "rlinear": "utils.models.forecasting.decomposition:RLinearForecaster",
    "tsmixer": "utils.models.forecasting.tsmixer:TSMixerForecaster",
    "patchtst": "utils.models.forecasting.patchtst:PatchTSTForecaster",
    "itransformer": "utils.models.forecasting.itransformer:ITransformerForecaster",
    "population_network": "utils.models.forecasting.population_network:PopulationNetwork",
    "informer": "utils.models.forecasting.informer:InformerForecaster",
    "autoformer": "utils.models.forecasting.autoformer:AutoformerForecaster",
    "elm": "utils.models.elm.forecaster:ELMForecaster",
    "gnn": "utils.models.gnn.forecaster:GNNForecaster",
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
    found = FORECASTERS[name]
    return resolve_name(found) if isinstance(found, str) else found


def register_forecaster(kind: type[Forecaster]) -> type[Forecaster]:
    """Make a model of your own known by its ``name``, to build, score and load like the others.

    Use it as a decorator. A cell that defines the class again replaces it.

    Raises
    ------
    ConfigError
        The class is no :class:`Forecaster`, has no name, or takes the name of another model.
    """
    if not (isinstance(kind, type) and issubclass(kind, Forecaster)):
        raise ConfigError(f"register_forecaster expects a subclass of Forecaster, found {kind!r}")
    name = getattr(kind, "name", "")
    if not (isinstance(name, str) and name.isidentifier()):
        raise ConfigError(
            f"{kind.__name__} needs a class attribute name such as 'my_model', found {name!r}"
        )
    known = FORECASTERS.get(name)
    if known is not None and getattr(known, "__name__", None) != kind.__name__:
        raise ConfigError(f"the name '{name}' is taken by another forecaster; choose another one")
    FORECASTERS[name] = kind
    return kind


def build_forecaster(name: str, **settings: Any) -> Forecaster:
    """An unfitted forecaster, e.g. ``build_forecaster("linear", subtract="last")``.

    Raises
    ------
    ConfigError
        Unknown name, unknown setting or wrong type; the message names it.
    """
    return forecaster_class(name)(**settings)
