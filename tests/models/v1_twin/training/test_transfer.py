"""A trained core on new recordings: it does not move, what is fresh does."""

from __future__ import annotations

import pytest
import torch

from utils.config import ConfigError
from utils.models.v1_twin import build_model
from utils.models.v1_twin.experiment import TwinTraining
from utils.models.v1_twin.fit import fit_twin
from utils.models.v1_twin.task import TwinTask, TwinTrainer
from utils.models.v1_twin.transfer import transfer

TRAINING = TwinTraining(trainer=TwinTrainer(device="cpu", progress=False, max_epochs=2))
BLOCK = {"channels": 4, "kernel": [1, 3, 3], "norm": "batch", "dropout": 0.5}
CONVNET = {"type": "vanilla", "blocks": [BLOCK]}  # what could move or vary without a gradient


def state_of(module) -> dict[str, torch.Tensor]:
    return {name: values.clone() for name, values in module.state_dict().items()}


def test_the_core_stays_and_the_rest_learns(noise_data, noise_twin):
    model = noise_twin(noise_data(["a"]), convnet=CONVNET)
    new = noise_data(["b"])
    twin = transfer(model, new.configs)
    core, readout = state_of(twin.core), state_of(twin.readouts["b"])
    fit_twin(twin, new, TRAINING)
    torch.testing.assert_close(state_of(twin.core), core, rtol=0, atol=0)
    torch.testing.assert_close(state_of(model.core), core, rtol=0, atol=0)
    changed = [
        not torch.equal(v, readout[name]) for name, v in state_of(twin.readouts["b"]).items()
    ]
    assert all(changed)
    assert list(twin.readouts) == ["b"]
    assert not any(values.requires_grad for values in twin.core.parameters())


def test_a_frozen_core_is_used_as_in_evaluation(noise_data, noise_twin):
    data = noise_data(["a"])
    rates = {"a": torch.ones(3)}
    frozen = TwinTask(transfer(noise_twin(data), data.configs), TRAINING.trainer, rates)
    assert not frozen.train().network.core.training
    assert frozen.network.readouts.training
    trained = TwinTask(noise_twin(data), TRAINING.trainer, rates)
    assert trained.train().network.core.training


def test_the_copy_is_a_copy(noise_data, noise_twin):
    model = noise_twin(noise_data(["a"]))
    twin = transfer(model, noise_data(["b"]).configs)
    assert all(values.requires_grad for values in model.core.parameters())
    twin.core.requires_grad_(True)
    with torch.no_grad():
        for values in twin.core.parameters():
            values += 1
    for own, other in zip(model.core.parameters(), twin.core.parameters()):
        assert not torch.equal(own, other)


def test_other_behaviour_is_refused(noise_data, noise_twin):
    data = noise_data(["a"])
    seen = [{"name": "a", "cell_ids": [0], "behavior_dims": 3, "grid": (11, 11)}]
    model = build_model(noise_twin(data).config.model_dump() | {"modulator": MODULATOR}, seen)
    with pytest.raises(ConfigError, match=r"trained on 1 channels .* 3 of behaviour.* 7 of beh"):
        transfer(model, [seen[0] | {"behavior_dims": 7}])


MODULATOR = {"type": "concat", "hidden": [4]}
