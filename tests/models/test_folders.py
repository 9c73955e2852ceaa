"""Folders of saved models: written as a whole or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from utils.models.folders import (
    ModelFolderError,
    new_folder,
    read_config,
    read_tensors,
    write_model,
)


def write(folder, **content):
    with new_folder(folder) as new:
        write_model(new, "test 1", content, {"w": torch.arange(6.0).view(2, 3).T})


def test_what_is_written_comes_back(tmp_path):
    write(tmp_path / "deep" / "model", name="a", scale=np.float32(0.5), places=np.arange(2))
    found = read_config(tmp_path / "deep" / "model", "test 1")
    assert (found["name"], found["scale"], found["places"]) == ("a", 0.5, [0, 1])
    assert {"python", "torch", "mesotwin"} <= found["versions"].keys()
    tensors = read_tensors(tmp_path / "deep" / "model" / "weights.safetensors")
    assert torch.equal(tensors["w"], torch.arange(6.0).view(2, 3).T)


def test_a_failure_leaves_the_older_model_and_no_rubbish(tmp_path):
    write(tmp_path / "model", name="old")
    with pytest.raises(TypeError, match=r"object cannot be kept in config.json"):
        write(tmp_path / "model", name=object())
    assert read_config(tmp_path / "model", "test 1")["name"] == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    write(tmp_path / "model", name="new")
    assert read_config(tmp_path / "model", "test 1")["name"] == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_other_files_are_never_replaced(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    file = tmp_path / "notes.txt"
    file.touch()
    for taken in (tmp_path, file):
        with pytest.raises(ModelFolderError, match="holds other files; give an empty or new"):
            write(taken)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "notes.txt"]


def test_everyone_may_read_a_model(tmp_path):
    write(tmp_path / "model")
    usual = tmp_path / "usual"
    usual.mkdir()
    assert (tmp_path / "model").stat().st_mode == usual.stat().st_mode


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"format": "test 2"})])
def test_another_configuration_is_refused(tmp_path, content):
    write(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(content)
    with pytest.raises(ModelFolderError, match=r"config.json: (not readable|expected format)"):
        read_config(tmp_path / "model", "test 1")
