"""Message models in folders."""

from __future__ import annotations

import json

import pytest
import torch

from tests.models.gnn.test_messages import SEES, random_model
from utils.models.folders import ModelFolderError
from utils.models.gnn.store import load_message_model, save_message_model


@pytest.mark.parametrize("sees", SEES)
@pytest.mark.parametrize("rank", [None, 2])
def test_a_saved_model_predicts_the_same(sees, rank, tmp_path):
    model = random_model(psi_sees=sees, rank=rank).float()
    loaded = load_message_model(save_message_model(model, tmp_path / "model", r2=0.9))
    u = torch.randn(4, 9)
    assert torch.equal(model(u), loaded(u))
    assert loaded.config == model.config
    assert not loaded.training


def test_what_is_missing_is_named(tmp_path):
    folder = save_message_model(random_model(), tmp_path / "model")
    path = folder / "config.json"
    content = json.loads(path.read_text())
    del content["n_neurons"]
    path.write_text(json.dumps(content))
    with pytest.raises(ModelFolderError, match="n_neurons"):
        load_message_model(folder)


def test_weights_of_another_model(tmp_path):
    folder = save_message_model(random_model(), tmp_path / "model")
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"n_neurons": 9', '"n_neurons": 8'))
    with pytest.raises(ModelFolderError, match=r"does not fit config\.json"):
        load_message_model(folder)
