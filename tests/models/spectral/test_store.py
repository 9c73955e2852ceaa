"""Models in folders: the same predictions after a round trip, damage named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from utils.config import validate_config
from utils.models.spectral import (
    ModelFolderError,
    SpectralConfig,
    build_network,
    load_model,
    read_about,
)

SETTINGS = [
    {},
    {"network": {"type": "vit", "size": "23k"}, "loss": {"type": "regression"}},
    {"network": {"type": "convnext", "size": "18k"}, "loss": {"type": "soft", "centre": "value"}},
    {"front_end": {"type": "mel", "spectrogram": {"height": 32, "n_fft": 800, "hop_length": 56}}},
    {"front_end": {"type": "leaf", "compression": "pcen"}},
]


def model(settings, heads, **options):
    config = validate_config(SpectralConfig, settings, "test")
    return build_network(config, (1, 32, 32), heads, **options)


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_model_comes_back_the_same(settings, heads, images, sounds, tmp_path):
    data = sounds if "front_end" in settings else images
    before = model(settings, heads)
    before.save(tmp_path / "model", test_accuracy=np.float32(0.5))
    after = load_model(tmp_path / "model")
    assert after.config == before.config
    assert after.heads == before.heads
    assert not after.training
    said, again = (m.predict(data.test_dataloader()) for m in (before, after))
    for name in said:
        assert np.array_equal(said[name].values, again[name].values)
    assert read_about(tmp_path / "model") == {"test_accuracy": 0.5}


def test_auxiliary_inputs_come_back(heads, tmp_path):
    model({}, heads, n_auxiliary=3).save(tmp_path / "model")
    assert load_model(tmp_path / "model").n_auxiliary == 3


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("config", {"network": {"type": "cnm"}}, "config.json: .*unknown 'type' 'cnm'"),
        ("heads", [{"name": "x"}], "config.json: .*minimum"),
        ("image_shape", [1, 4, 4], "config.json: .*at least 8 x 8"),
        ("n_auxiliary", 2, "weights.safetensors does not fit config.json"),
        ("n_auxiliary", None, "key 'n_auxiliary' is missing"),
        ("format", "something", "expected format 'mesotwin spectral 1', found 'something'"),
    ],
)
def test_a_wrong_file_is_named(heads, tmp_path, key, value, message):
    folder = model({}, heads).save(tmp_path / "model")
    content = json.loads((folder / "config.json").read_text())
    content[key] = value
    if value is None:
        del content[key]
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(ModelFolderError, match=message):
        load_model(folder)
