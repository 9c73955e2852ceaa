"""Neurons and networks in folders: what comes back, and what is refused."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from utils.models.elm import (
    ELMNetwork,
    ELMv1,
    ELMv2,
    ModelFolderError,
    load_elm,
    load_model,
    read_about,
    save_elm,
)


@pytest.fixture
def folder(make, tmp_path):
    return make(ELMv2).save(tmp_path / "model")


@pytest.mark.parametrize("learn", [False, True])
def test_neurons_come_back(make, spikes, version, dendrite, learn, tmp_path):
    neuron = make(version, dendrite, learn=learn, delta_t=2.0, mlp_num_layers=2, routing_seed=3)
    found = load_elm(neuron.save(tmp_path / "deep" / "model"))
    assert type(found) is version
    assert not found.training
    assert found.arguments == neuron.arguments
    assert torch.equal(found(spikes()), neuron(spikes()))
    trained = {name for name, _ in neuron.named_parameters()}
    assert {name for name, value in found.named_parameters() if value.requires_grad} == trained


def test_networks_come_back(tmp_path):
    layers = [{"version": "v1", "num_output": 4}, {"num_output": 12, "memory_tau_max": 30.0}]
    network = ELMNetwork(12, layers, "embedding", 3, "last")
    found = load_model(network.save(tmp_path / "model"))
    tokens = torch.arange(12).view(2, 6)
    assert torch.equal(found(tokens), network(tokens))
    assert found.config == network.config


def test_precision_comes_back(make, spikes, tmp_path):
    neuron = make(ELMv1).double()
    found = load_elm(neuron.save(tmp_path / "model"))
    assert torch.equal(found(spikes()), neuron(spikes()))
    assert found(spikes()).dtype == torch.float64


def test_numbers_of_numpy_are_arguments_too(tmp_path):
    neuron = ELMv2(np.int64(3), 1, num_memory=np.int32(4), delta_t=np.float32(0.5))
    assert load_elm(neuron.save(tmp_path / "model")).delta_t == 0.5


def test_what_belongs_to_the_model_is_kept(make, tmp_path):
    save_elm(make(ELMv1), tmp_path / "model", uuids=["a", "b"], scale=np.array([0.5, 2]), auc=0.9)
    assert read_about(tmp_path / "model") == {"uuids": ["a", "b"], "scale": [0.5, 2.0], "auc": 0.9}
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["name"], config["arguments"]["num_memory"]) == ("ELMv1", 5)
    assert {"python", "torch", "mesotwin"} <= config["versions"].keys()


def test_saving_again_replaces_the_model_and_nothing_else(make, folder):
    make(ELMv1).save(folder)
    assert type(load_elm(folder)) is ELMv1
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    (folder.parent / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelFolderError, match="holds other files"):
        make(ELMv1).save(folder.parent)


def test_missing_and_foreign_folders_are_refused(tmp_path, folder):
    with pytest.raises(ModelFolderError, match="no such folder"):
        load_elm(tmp_path / "nothing")
    with pytest.raises(ModelFolderError, match=r"config.json is missing.*found: model"):
        load_elm(tmp_path)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"weights.safetensors is missing"):
        load_elm(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "mesotwin forecaster 1"}, "expected format 'mesotwin elm 1'"),
        ({"name": "ELMv9"}, "name must be one of ELMv1, ELMv2, ELMNetwork, found 'ELMv9'"),
        ({"arguments": {"num_input": 12}}, r"config.json: .*missing.*'num_output'"),
        ({"arguments": {"memory": 1}}, r"config.json: .*unexpected keyword argument 'memory'"),
        ({"arguments": None}, r"config.json"),
        ({"num_memory": 0}, "num_memory must be a whole number"),
        ({"num_memory": 6}, r"weights.safetensors does not fit config.json: .*size mismatch"),
        ({"num_input": 5}, "input_to_synapse_indices must be whole numbers between 0 and 4"),
    ],
)
def test_another_configuration_is_refused(folder, change, message):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    own = change if change.keys() & config.keys() else {}
    config["arguments"] |= {} if own else change
    path.write_text(json.dumps(config | own))
    with pytest.raises(ModelFolderError, match=f"(?s){message}"):
        load_elm(folder)


def test_weights_of_another_model_are_refused(make, folder, tmp_path):
    other = make(ELMv1).save(tmp_path / "other") / "weights.safetensors"
    (folder / other.name).write_bytes(other.read_bytes())
    with pytest.raises(ModelFolderError, match=r"(?s)does not fit.*tau_b"):
        load_elm(folder)


class Evil:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("file", ["config.json", "weights.safetensors"])
def test_damaged_files_are_refused_and_nothing_is_executed(folder, file, capsys):
    path = folder / file
    whole = path.read_bytes()
    for content in (b"", whole[:-10], whole[: len(whole) // 2], pickle.dumps(Evil())):
        path.write_bytes(content)
        with pytest.raises(ModelFolderError, match=file):
            load_elm(folder)
    assert "executed" not in capsys.readouterr().out
