"""Twins in folders: what comes back, and what is refused."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from utils.models.folders import ModelFolderError
from utils.models.v1_twin.provenance import TrainedOn
from utils.models.v1_twin.store import load_model, read_about, save_model


@pytest.fixture
def twin(noise_data, noise_twin):
    valid = np.ones((600, 3), bool)
    valid[:, 1] = False  # a cell whose mean rate is not known
    data = noise_data(["a"], valid=valid)
    twin = noise_twin(data)
    twin.trained_on = TrainedOn.of(data)
    return twin.eval()


@pytest.fixture
def folder(twin, tmp_path):
    return save_model(twin, tmp_path / "twin", score=np.float32(0.5), note="first")


def test_a_twin_comes_back(twin, folder):
    found = load_model(folder)
    stimulus = torch.randint(0, 256, (2, 9, 11, 11), dtype=torch.uint8)
    assert torch.equal(found("a", stimulus), twin("a", stimulus))
    assert not found.training
    assert (found.config, found.datasets) == (twin.config, twin.datasets)
    assert found.trained_on.datasets == twin.trained_on.datasets
    assert found.trained_on.statistics == twin.trained_on.statistics
    np.testing.assert_equal(found.trained_on.mean_rates, twin.trained_on.mean_rates)
    assert np.isnan(found.trained_on.mean_rates["a"][1])
    assert found.trained_on.dataset("a").cell_ids == (0, 1, 2)


def test_what_belongs_to_it_is_kept(folder):
    assert read_about(folder) == {"score": 0.5, "note": "first"}
    config = json.loads((folder / "config.json").read_text())
    assert config["model"]["readout"]["std"] == 0.7
    assert {"python", "torch", "mesotwin"} <= config["versions"].keys()


def test_a_fresh_twin_is_kept_as_well(noise_data, noise_twin, tmp_path):
    twin = noise_twin(noise_data()).double()
    found = load_model(twin.save(tmp_path / "twin"))
    assert found.trained_on is None
    assert found.readouts["b"].bias.dtype == torch.float64


def test_other_files_are_not_replaced(twin, folder):
    save_model(twin, folder)
    (folder.parent / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelFolderError, match="holds other files"):
        save_model(twin, folder.parent)


def test_missing_folders_and_files_are_named(folder, tmp_path):
    with pytest.raises(ModelFolderError, match="nothing: no such folder"):
        load_model(tmp_path / "nothing")
    with pytest.raises(ModelFolderError, match=r"nothing\.ckpt: no such checkpoint"):
        load_model(tmp_path / "nothing.ckpt")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"weights\.safetensors is missing"):
        load_model(folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "mesotwin elm 1", "expected format 'mesotwin v1 twin 1'"),
        ("model", {"readout": {"type": "square"}}, r"config\.json: .*readout"),
        ("model", {}, r"weights\.safetensors does not fit config\.json"),
        ("datasets", [], r"config\.json: .*at least one data set"),
        ("datasets", 3, r"config\.json"),
        ("trained_on", {"datasets": []}, r"config\.json: trained_on.*statistics"),
    ],
)
def test_another_configuration_is_refused(folder, key, value, message):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ModelFolderError, match=f"(?s){message}"):
        load_model(folder)


def test_an_incomplete_configuration_is_refused(folder):
    path = folder / "config.json"
    content = json.loads(path.read_text())
    del content["datasets"]
    path.write_text(json.dumps(content))
    with pytest.raises(ModelFolderError, match=r"config\.json: key 'datasets' is missing"):
        load_model(folder)


class Evil:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("file", ["config.json", "weights.safetensors", "model.ckpt"])
def test_damaged_files_are_refused_and_nothing_is_executed(folder, file, capsys):
    path = folder / file
    if file == "model.ckpt":
        torch.save({"twin": {}}, path)
    whole = path.read_bytes()
    for content in (b"", whole[:-10], whole[: len(whole) // 2], pickle.dumps(Evil())):
        path.write_bytes(content)
        with pytest.raises(ModelFolderError, match=file):
            load_model(path if file == "model.ckpt" else folder)
    assert "executed" not in capsys.readouterr().out


def test_checkpoints_of_other_models_are_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ModelFolderError, match=r"other\.ckpt: a checkpoint of something else"):
        load_model(tmp_path / "other.ckpt")
