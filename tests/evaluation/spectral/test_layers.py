"""The table of layers accounts for every parameter."""

from __future__ import annotations

import pytest

from utils.config import validate_config
from utils.datasets.vimh import VIMHDataModule
from utils.evaluation.spectral import layer_table
from utils.models.spectral import SpectralConfig, build_network, heads_of


@pytest.mark.parametrize("type", ["cnn", "vit", "convnext", "dense"])
def test_parameters_add_up(type, saw):
    data = VIMHDataModule(saw, auxiliary=["scale"])
    config = validate_config(SpectralConfig, {"network": {"type": type}}, "test")
    model = build_network(config, data.image_shape, heads_of(data.parameters), data.n_auxiliary)
    table = layer_table(model, next(iter(data.test_dataloader())))
    assert table["parameters"].sum() == model.n_parameters
    assert table.loc["out.1", "output"] == "24"
    assert table.loc["beside.0", "kind"] == "Linear"
    assert model.training


def test_shapes_are_those_of_one_sample(data):
    model = build_network(SpectralConfig(), data.image_shape, heads_of(data.parameters))
    table = layer_table(model.eval(), next(iter(data.test_dataloader())))
    assert table.loc["network.0"].to_dict() == {
        "kind": "Conv2d", "output": "16 x 32 x 32", "parameters": 160,
    }  # fmt: skip
    assert not model.training
