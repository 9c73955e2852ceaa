"""Experiments: every file is valid and builds a model for its data set; overrides are checked."""

from __future__ import annotations

import pytest

from utils.config import ConfigError, load_config
from utils.datasets.vimh import vimh_data
from utils.models.spectral import SpectralExperiment, build_network, heads_of
from utils.paths import EXPERIMENTS

NAMES = sorted(path.stem for path in (EXPERIMENTS / "spectral").glob("*.yaml"))


def experiment(name: str, *overrides: str) -> SpectralExperiment:
    return load_config(f"spectral/{name}", overrides, SpectralExperiment)


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_has_a_model_for_its_data(name):
    config = experiment(name, "data.n_samples=20")
    data = vimh_data(config.data, config.trainer.batch_size)
    model = build_network(config, data.image_shape, heads_of(data.parameters), data.n_auxiliary)
    batch = next(iter(data.train_dataloader()))
    assert model.losses(batch)["loss"].isfinite()


@pytest.mark.parametrize("kind", ["loss", "model"])
def test_every_file_of_a_group_is_used_or_valid(kind):
    for path in (EXPERIMENTS / "spectral" / kind).glob("*.yaml"):
        values = load_config(f"spectral/{kind}/{path.stem}")
        values = {"loss": values} if kind == "loss" else values
        if values.get("front_end", {}).get("type", "image") == "image":
            values["data"] = {"synthesiser": "simple_saw"}
            SpectralExperiment(**values)


def test_overrides_reach_the_model():
    config = experiment("cnn", "network.size=64k", "loss.width=2", "trainer.max_epochs=3")
    assert (config.network.size, config.loss.width, config.trainer.max_epochs) == ("64k", 2, 3)


def test_a_folder_takes_the_place_of_the_synthesiser(reference):
    folder = reference / "vimh" / "vimh-32x32x1_8000Hz_1p0s_16dss_simple_2p"
    config = experiment("cnn", f"data.folder='{folder}'", "data.synthesiser=null")
    assert len(vimh_data(config.data, 4).data.train) == 12


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.sise=tiny", "unknown key 'network.sise'; did you mean network.size"),
        ("data.inputs=audio", "front_end 'image' does not take data.inputs = 'audio'"),
        ("data.synthesiser=null", "either a folder or a synthesiser"),
        ("data.auxiliary=[level]", "'scale' or 'envelopes'"),
        ("trainer.max_epochs=many", "trainer.max_epochs"),
    ],
)
def test_wrong_overrides_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        experiment("cnn", override)
