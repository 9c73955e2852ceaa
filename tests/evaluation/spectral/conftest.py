"""A small set of decaying sawtooths, and models whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from utils.datasets.vimh import VIMH, VIMHDataModule, generate_vimh
from utils.models.spectral import HeadPrediction, heads_of


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def saw() -> VIMH:
    return generate_vimh("simple_saw", 300, seed=3)


@pytest.fixture
def data(saw) -> VIMHDataModule:
    return VIMHDataModule(saw, batch_size=32)


class Knowing:
    """Says what a function makes of the true values; certain of it, or without probabilities."""

    def __init__(self, parameters, say: Callable = lambda values: values, certain: bool = True):
        self.heads, self.say, self.certain = heads_of(parameters), say, certain

    def predict(self, batches):
        labels, values = (torch.cat(part).numpy() for part in list(zip(*batches))[2:])
        return {
            head.name: HeadPrediction(
                labels[:, i],
                self.say(values[:, i].astype(float)),
                np.eye(head.n_classes)[labels[:, i]] if self.certain else None,
            )
            for i, head in enumerate(self.heads)
        }


@pytest.fixture
def knowing() -> type[Knowing]:
    return Knowing
