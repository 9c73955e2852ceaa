"""Models by name, and the configuration of the notebooks."""

from __future__ import annotations

import pytest

from utils.config import ConfigError, load_config
from utils.models.forecasting import (
    ForecastingConfig,
    available_forecasters,
    build_forecaster,
    configured,
    forecaster_class,
)
from utils.paths import EXPERIMENTS


def test_names_and_classes_agree():
    assert {forecaster_class(name).name for name in available_forecasters()} == set(
        available_forecasters()
    )


def test_unknown_name_has_near_matches():
    with pytest.raises(ConfigError, match=r"unknown forecaster 'infromer'.*informer"):
        build_forecaster("infromer")


def test_each_model_has_a_config_file_that_is_valid():
    names = {path.stem for path in (EXPERIMENTS / "model").glob("*.yaml")}
    assert names == set(available_forecasters())
    for name in names:
        config = load_config("forecasting", [f"model={name}"], ForecastingConfig)
        assert configured(config).name == name


@pytest.mark.parametrize("trainer", ["default", "quick"])
@pytest.mark.parametrize("windows", ["default", "short", "long"])
def test_each_group_option_is_valid(trainer, windows):
    chosen = [f"trainer={trainer}", f"windows={windows}"]
    config = load_config("forecasting", chosen, ForecastingConfig)
    assert config.windows.horizon in (8, 16, 32)


def test_overrides_reach_the_model():
    overrides = ["model.d_model=32", "trainer.max_epochs=1"]
    model = configured(load_config("forecasting", overrides, ForecastingConfig), progress=False)
    assert model.config.d_model == 32
    assert model.config.trainer.max_epochs == 1
    assert not model.config.trainer.progress


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.d_modle=32", "d_modle"),
        ("model.d_model=30", "multiple of n_heads"),
        ("trainer.max_epochs=many", "max_epochs"),
        ("windows.context=0", "context"),
        ("model=arima", "arima"),
    ],
)
def test_wrong_overrides_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_config("forecasting", [override], ForecastingConfig)
