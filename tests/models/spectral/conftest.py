"""A data set of decaying sawtooths, and the heads of it."""

from __future__ import annotations

import pytest
import torch

from utils.datasets.vimh import VIMH, VIMHAudioModule, VIMHDataModule, generate_vimh
from utils.models.spectral import Head, heads_of


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def saw() -> VIMH:
    return generate_vimh("simple_saw", 96, seed=3)


@pytest.fixture(scope="session")
def heads(saw) -> tuple[Head, ...]:
    return heads_of(saw.parameters)


@pytest.fixture
def images(saw) -> VIMHDataModule:
    return VIMHDataModule(saw, batch_size=16)


@pytest.fixture
def sounds(saw) -> VIMHAudioModule:
    return VIMHAudioModule(saw, batch_size=16)
