"""Saved models: what is refused, and why."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from utils.models.forecasting import (
    ModelFolderError,
    NotFittedError,
    build_forecaster,
    load_model,
    saved_models,
)
from utils.windows import window_data


@pytest.fixture
def folder(world, tmp_path):
    return build_forecaster("ar16").fit(world).save(tmp_path / "model")


def test_folder_holds_versions_neurons_and_settings(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["name"] == "ar16"
    assert config["settings"]["lags"] == [16]
    assert config["fitted_on"]["source"] == "simulated"
    assert {"python", "torch", "mesotwin"} <= set(config["versions"])
    assert (folder / "neurons.csv").read_text().startswith("uuid\n0\n1\n")


def test_scaler_comes_back(tmp_path):
    activity = np.random.default_rng(0).standard_normal((600, 3))
    data = window_data(activity, np.arange(600) / 5, 8, 4, scale="zscore")
    build_forecaster("mean").fit(data).save(tmp_path / "model")
    scaler = load_model(tmp_path / "model").scaler
    assert scaler["method"] == "zscore"
    np.testing.assert_array_equal(scaler["offset"], data.scaler["offset"])
    np.testing.assert_array_equal(scaler["scale"], data.scaler["scale"])


def test_saving_again_replaces_the_model(world, folder):
    build_forecaster("mean").fit(world).save(folder)
    assert load_model(folder).name == "mean"
    assert not list(folder.parent.glob(".model*"))


def test_other_files_are_never_overwritten(world, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelFolderError, match="holds other files"):
        build_forecaster("mean").fit(world).save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        build_forecaster("mean").save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_missing_folder_and_foreign_folder(tmp_path):
    with pytest.raises(ModelFolderError, match="no such folder"):
        load_model(tmp_path / "nothing")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ModelFolderError, match=r"config.json is missing.*notes.txt"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", b"{", "not readable as JSON"),
        ("config.json", b"\xff\xfe", "not readable as JSON"),
        ("config.json", b'{"format": "other"}', "expected format"),
        ("config.json", b'{"format": "mesotwin forecaster 1"}', "name"),
        ("weights.safetensors", b"short", "cut or not a safetensors"),
        ("neurons.csv", b"uuid\n1\n", "expected 10 neurons, found 1"),
        ("neurons.csv", b"", "cannot be read"),
    ],
)
def test_broken_files_are_named(folder, file, content, message):
    (folder / file).write_bytes(content)
    with pytest.raises(ModelFolderError, match=message):
        load_model(folder)


def test_cut_weights_are_refused(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelFolderError, match="cut or not"):
        load_model(folder)


def test_weights_of_another_model_are_refused(world, folder, tmp_path):
    other = build_forecaster("train_mean").fit(world).save(tmp_path / "other")
    (folder / "weights.safetensors").write_bytes((other / "weights.safetensors").read_bytes())
    with pytest.raises(ModelFolderError, match="does not fit a 'ar16'"):
        load_model(folder)


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_pickles_are_not_executed(folder, capsys):
    (folder / "weights.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelFolderError):
        load_model(folder)
    assert "executed" not in capsys.readouterr().out


def test_models_of_a_run_are_found(folder, world, tmp_path):
    assert saved_models(folder.parent) == [folder]
    several = tmp_path / "several"
    for name in ("mean", "ar16"):
        build_forecaster(name).fit(world).save(several / "models" / name)
    assert [path.name for path in saved_models(several)] == ["ar16", "mean"]
    with pytest.raises(ModelFolderError, match="holds no saved model"):
        saved_models(tmp_path / "nothing")
