"""Twins from names, files and plain values; wrong ones are refused with what is allowed."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.models.v1_twin.conftest import DATASETS
from utils.config import ConfigError
from utils.datasets.v1.config import V1DatasetConfig
from utils.models.v1_twin import TwinConfig, build_model, load_config

SMALL = {
    "convnet": {"type": "vanilla", "blocks": [{"channels": 2, "kernel": [1, 9, 9]}]},
    "modulator": {"type": "concat", "hidden": [4]},
}


def test_overrides_change_a_config():
    config = load_config("small", ["modulator.type=concat", "readout.std=2.5"])
    assert (config.modulator.type, config.readout.std) == ("concat", 2.5)
    assert load_config("small").modulator.type == "film"


def test_variants_of_the_flagship_differ_in_their_modulator_only():
    flagship = load_config("learned_resnet_none_convgru_gaussian").model_dump()
    for kind in ("concat", "film"):
        variant = load_config(f"learned_resnet_{kind}_convgru_gaussian").model_dump()
        assert variant.pop("modulator")["type"] == kind
        assert variant == {key: value for key, value in flagship.items() if key != "modulator"}


def test_reads_a_file_of_ones_own(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("readout: {type: linear}\nmodulator: {type: film}\n")
    assert load_config(path, ["modulator.type=concat"]) == TwinConfig.model_validate(
        {"readout": {"type": "linear"}, "modulator": {"type": "concat"}}
    )
    path.write_text("readout: {type: [")
    with pytest.raises(ConfigError, match=r"mine.yaml is not readable"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"no_such.yaml is not readable"):
        load_config(tmp_path / "no_such.yaml")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"frontend": {"type": "temporal"}},
            "'frontend': unknown 'type' 'temporal'; known: .*conv",
        ),
        ({"readout": {"type": "gauss"}}, "'readout': unknown 'type' 'gauss'; known: 'gaussian'"),
        ({"readout": {"sd": 2}}, "'readout'.*type"),
        ({"readout": {"type": "gaussian", "stdd": 2}}, "unknown key 'readout.stdd'.*std"),
        ({"convnet": {"type": "resnet", "blocks": []}}, "'convnet.blocks'.*at least 1"),
        (
            {"convnet": {"type": "resnet", "blocks": [{"channels": 2, "norm": "grm"}]}},
            "'convnet.blocks.0.norm' = 'grm'.*'grn'",
        ),
        ({"recurrent": {"type": "convgru", "channels": 0}}, "'recurrent.channels' = 0.*greater"),
        ({"output": "sofplus"}, "'output' = 'sofplus'.*'softplus'"),
        (
            {"behavior_only": True, "convnet": {"type": "none"}, "modulator": {"type": "film"}},
            "behavior_only needs a 'modulator' of type concat or convgru",
        ),
        (
            {"behavior_only": True, "frontend": {"type": "learned_temporal"}},
            "twin: 'config': value error, behavior_only needs 'frontend' of type none",
        ),
    ],
)
def test_wrong_configs_name_the_field_and_what_is_allowed(wrong: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        build_model(SMALL | wrong, DATASETS)


def test_an_unknown_name_is_met_with_near_ones():
    with pytest.raises(ConfigError, match=r"no config 'v1_twin/smal'.*did you mean v1_twin/small"):
        build_model("smal", DATASETS)


def test_data_sets_may_be_configs_plain_values_or_anything_with_the_attributes():
    config = V1DatasetConfig(name="a", path="a.h5", cell_ids=[4, 2])
    as_values = {"name": "b", "path": "b.h5", "cell_ids": [1]}
    other = SimpleNamespace(name="c", cell_ids=np.arange(3), behavior_dims=42, grid=(51, 51))
    twin = build_model(SMALL, [config, as_values, other])
    assert {name: data.cell_ids for name, data in twin.datasets.items()} == {
        "a": (4, 2),
        "b": (1,),
        "c": (0, 1, 2),
    }
    assert [len(readout.bias) for readout in twin.readouts.values()] == [2, 1, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "left"}, "more than one data set has the name 'left'"),
        ({"name": "mouse.1"}, r"data set 1: 'name' = 'mouse.1'"),
        ({"cell_ids": []}, r"data set 1: 'cell_ids'"),
        ({"behavior_dims": 7}, "'left' and 'right'.*behavior_dims differ: 6 and 7"),
        ({"grid": (40, 40)}, r"grid differ: \(51, 51\) and \(40, 40\); an adapter of type affine"),
        ({"stimulus_channels": 2}, "stimulus_channels differ: 1 and 2"),
    ],
)
def test_data_sets_that_do_not_fit_are_refused(change: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        build_model(SMALL, [DATASETS[0], DATASETS[1] | change])


def test_an_adapter_brings_different_grids_together():
    values = SMALL | {"adapter": {"type": "affine", "grid": [30, 30]}}
    twin = build_model(values, [DATASETS[0], DATASETS[1] | {"grid": (80, 60)}])
    assert twin.core.size == (22, 22)


def test_inputs_that_a_config_needs_must_exist():
    with pytest.raises(ConfigError, match="'left' has behavior_dims 0"):
        build_model(SMALL, [DATASETS[0] | {"behavior_dims": 0}])
    with pytest.raises(ConfigError, match="'left' has stimulus_channels 0"):
        build_model(SMALL, [DATASETS[0] | {"stimulus_channels": 0}])
    with pytest.raises(ConfigError, match="at least one data set"):
        build_model(SMALL, [])
