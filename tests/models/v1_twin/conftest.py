"""Twins of two small data sets, and inputs for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from utils.models.v1_twin import TwinConfig, V1Twin, build_model, load_config

BEHAVIOR_DIMS = 6
DATASETS = [
    {"name": "left", "cell_ids": [3, 5, 8], "behavior_dims": BEHAVIOR_DIMS},
    {"name": "right", "cell_ids": [0, 1, 2, 9, 4], "behavior_dims": BEHAVIOR_DIMS},
]


class Inputs(NamedTuple):
    """What a twin sees of some frames."""

    stimulus: Tensor
    behavior: Tensor
    responses: Tensor

    def part(self, first: int, last: int) -> Inputs:
        """Frames from ``first`` to ``last``, both included."""
        return Inputs(*(values[:, first : last + 1] for values in self))


def narrow(config: TwinConfig, by: int = 16) -> TwinConfig:
    """The same stages with fewer channels: quick to compute."""
    values = config.model_dump()
    convnet, recurrent = values["convnet"], values["recurrent"]
    for block in (convnet.get("stem"), *convnet.get("blocks", ()), recurrent):
        if block and "channels" in block:
            block["channels"] = max(block["channels"] // by, 2)
    return TwinConfig.model_validate(values)


@pytest.fixture
def make_inputs() -> Callable[..., Inputs]:
    """Random frames, behaviour and counts."""

    def make(frames: int, batch: int = 1, grid: tuple[int, int] = (51, 51)) -> Inputs:
        generator = torch.Generator().manual_seed(0)
        shape = batch, frames, *grid
        return Inputs(
            torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
            torch.randn(batch, frames, BEHAVIOR_DIMS, generator=generator),
            torch.poisson(torch.ones(batch, frames, 3), generator=generator),
        )

    return make


@pytest.fixture
def make_twin() -> Callable[..., V1Twin]:
    """A narrow twin by the name of its config, with every parameter away from where it starts."""

    def make(name: str, **changes: Any) -> V1Twin:
        torch.manual_seed(0)
        values = narrow(load_config(name)).model_dump() | changes
        twin = build_model(values, DATASETS)
        with torch.no_grad():
            for name, values in twin.named_parameters():
                if not name.startswith("adapters"):
                    values.add_(0.05 * torch.randn_like(values))
        return twin.eval()

    return make
