"""Models by name, and the configuration of the notebooks."""

from __future__ import annotations

import pytest

from utils.config import ConfigError, load_config
from utils.models.forecasting import (
    FORECASTERS,
    Forecaster,
    ForecastingConfig,
    available_forecasters,
    build_forecaster,
    configured,
    forecaster_class,
    load_model,
    register_forecaster,
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
        fields = forecaster_class(name).Config.model_fields
        assert set(config.model) == {"name", *fields} - {"trainer"}  # all that can be set


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


def test_trainer_leaves_to_the_model_what_is_not_said():
    def trainer(*overrides):
        return configured(load_config("forecasting", overrides, ForecastingConfig)).config.trainer

    own, usual = trainer("model=population_network"), trainer("model=informer")
    assert own.learning_rate > usual.learning_rate
    assert trainer("model=population_network", "trainer.learning_rate=1e-5").learning_rate == 1e-5
    quick = trainer("model=population_network", "trainer=quick")
    assert (quick.max_epochs, quick.learning_rate) == (1, own.learning_rate)


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


@pytest.mark.parametrize("name", ["informer", "itransformer", "patchtst"])
def test_heads_that_do_not_divide_the_width_are_refused_before_any_fit(name):
    with pytest.raises(ConfigError, match="d_model 30 must be a multiple of n_heads 4"):
        build_forecaster(name, d_model=30)


@pytest.fixture
def registry(monkeypatch):
    for name in list(FORECASTERS):
        monkeypatch.setitem(FORECASTERS, name, FORECASTERS[name])
    yield FORECASTERS
    FORECASTERS.pop("halfway", None)


def make_own():
    class Halfway(Forecaster):
        name = "halfway"

        def _fit(self, data):
            pass

        def _forecast(self, past, mask, covariates):
            return past[:, -1:].repeat(1, self.fitted_on.horizon, 1) / 2

    return Halfway


def test_own_model_is_built_saved_and_loaded_by_name(world, registry, tmp_path):
    assert register_forecaster(make_own()).name == "halfway"
    register_forecaster(make_own())  # the cell was executed again
    model = build_forecaster("halfway").fit(world)
    model.save(tmp_path / "model")
    past = world.test.batch([0]).past
    assert (load_model(tmp_path / "model").predict(past)[:, 0] == past[:, -1] / 2).all()


def test_own_model_needs_a_free_name_and_the_right_base(registry):
    taken = make_own()
    taken.name = "ar16"
    with pytest.raises(ConfigError, match="'ar16' is taken"):
        register_forecaster(taken)
    nameless = make_own()
    nameless.name = "my model"
    with pytest.raises(ConfigError, match="class attribute name"):
        register_forecaster(nameless)
    with pytest.raises(ConfigError, match="subclass of Forecaster"):
        register_forecaster(dict)
