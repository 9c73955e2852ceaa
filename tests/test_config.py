"""The config loader: composition, overrides, and errors that name the key and the way out."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from utils import config
from utils.config import Config, ConfigError, config_hash, load_config, validate_config


class Net(Config):
    d_model: int = 8
    dropout: float = 0.1


class Experiment(Config):
    net: Net = Net()
    epochs: int = 1


@pytest.fixture(autouse=True)
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "net/small.yaml": "d_model: 8\ndropout: 0.1\n",
        "net/large.yaml": "d_model: 64\ndropout: 0.2\n",
        "study.yaml": "defaults: [net: small, _self_]\nepochs: 3\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(config, "EXPERIMENTS", tmp_path)
    return tmp_path


def test_composes_groups_and_overrides() -> None:
    loaded = load_config("study", ["net=large", "net.dropout=0.5"], Experiment)
    assert loaded == Experiment(net=Net(d_model=64, dropout=0.5), epochs=3)


def test_a_config_of_a_group_uses_its_own_keys() -> None:
    assert load_config("net/small", ["d_model=16"], Net) == Net(d_model=16, dropout=0.1)


def test_without_schema_gives_a_plain_dict() -> None:
    assert load_config("study") == {"net": {"d_model": 8, "dropout": 0.1}, "epochs": 3}


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("study", ["net.d_modle=4"], r"unknown key 'net.d_modle'; did you mean net.d_model"),
        ("study", ["+net.width=4"], r"unknown key 'net.width'; known: d_model, dropout"),
        ("study", ["epochs=many"], r"'epochs' = 'many': input should be a valid integer"),
        ("study", ["epochs"], r"override 'epochs': expected key=value"),
        ("study", ["net=huge"], r"net/huge"),
        ("studdy", [], r"no config 'studdy'.*did you mean study"),
    ],
)
def test_errors_name_the_key_and_the_way_out(name: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(name, overrides, Experiment)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"settings: .*'epochs'.*; unknown key 'epoch'"):
        validate_config(Experiment, {"epochs": "x", "epoch": 1}, where="settings")


class Relu(Config):
    type: Literal["relu"] = "relu"
    slope: float = 0.0


class Square(Config):
    type: Literal["square"] = "square"
    limit: float


class Stack(Config):
    layers: tuple[Annotated[Relu | Square, Field(discriminator="type")], ...]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"type": "cube"}, r"'layers.0': unknown 'type' 'cube'; known: 'relu', 'square'"),
        ({"type": "relu", "slop": 1}, r"unknown key 'layers.0.slop'; did you mean slope\?"),
        ({"type": "relu", "slope": "x"}, r"'layers.0.slope' = 'x': input should be a valid number"),
        ({"type": "square"}, r"'layers.0.limit': field required"),
    ],
)
def test_errors_in_a_part_that_is_chosen_by_its_type(layer: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate_config(Stack, {"layers": [layer]}, where="stack")


def test_hash_ignores_order_and_sees_values() -> None:
    assert config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1})
    assert config_hash(Experiment()) != config_hash(Experiment(epochs=2))


def test_configs_are_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Experiment().epochs = 5
