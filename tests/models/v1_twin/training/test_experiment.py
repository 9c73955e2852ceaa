"""Experiments in files: the published settings, and wrong ones by name."""

from __future__ import annotations

import pytest
import torch

from utils.config import ConfigError, load_config
from utils.models.v1_twin import load_config as load_twin_config
from utils.models.v1_twin.experiment import TwinExperiment


def load(name: str, *overrides: str) -> TwinExperiment:
    return load_config(f"v1_twin/training/{name}", overrides, TwinExperiment)


@pytest.mark.parametrize("name", ["small", "flagship", "transfer", "session"])
def test_files_are_valid(name):
    load(name)


def test_the_flagship_is_trained_as_published():
    experiment = load("flagship")
    assert experiment.model == load_twin_config("learned_resnet_none_convgru_gaussian")
    features, std = experiment.regularisers
    assert (features.type, features.parameters) == ("l1", "readouts.*.features")
    assert (features.strength, features.from_epoch) == (1e-7, 30)
    assert (std.type, std.upper, std.ramp_epochs) == ("clamp", (10.0, 1.5), 50)


def test_parts_of_the_model_can_be_overridden():
    experiment = load("small", "model.readout.std=2.5", "trainer.batch_size=7", "loss=tweedie")
    assert experiment.model.readout.std == 2.5
    assert experiment.loss == "tweedie"
    assert experiment.loading["batch_size"] == 7


def test_a_seed_decides_the_weights():
    dataset = {"name": "a", "cell_ids": [0], "behavior_dims": 2}
    first, same, other = (
        load("small", f"trainer.seed={seed}").build_model([dataset]).readouts["a"].features
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss=l2", "'loss' = 'l2'.*poisson.*gaussian.*tweedie"),
        ("start=sta", "'start' = 'sta'.*mean_rates.*features"),
        ("trainer.schedule=triangle", "schedule.*constant.*cosine.*step.*plateau"),
        ("trainer.devices=0", r"trainer\.devices"),
        ("+trainer.warm_up=3", "warm_up_epochs"),
        ("+model.readout.sd=3", "sd"),
        ("regularisers=[{type: l1, strength: 1}]", r"regularisers\.0\.parameters"),
    ],
)
def test_wrong_settings_are_named(override, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        load("small", override)
