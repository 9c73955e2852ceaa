"""Two small recordings of noise, whose cells each follow one pixel, and a twin to learn it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from utils.datasets.v1 import V1DataModule, V1DatasetConfig
from utils.models.v1_twin import TwinConfig, V1Twin, build_model

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

SIZE, LAGS, LAG = 11, 6, 2  # pixels, frames that the twin sees, frames from pixel to response
PIXELS = {"a": [(3, 3), (7, 4), (5, 8)], "b": [(4, 6), (8, 8)]}  # of the cells: row, column
TWIN = {
    "frontend": {"type": "learned_temporal", "kernel": 4, "channels": 2},
    "convnet": {"type": "vanilla", "blocks": [{"channels": 4, "kernel": [1, 3, 3]}]},
    "readout": {"type": "gaussian", "std": 0.7},
}


@pytest.fixture
def noise_data() -> Callable[..., V1DataModule]:
    """``noise_data(names, n_trials, valid, **arguments)``: recordings as a data module."""
    return data_of


@pytest.fixture
def noise_twin() -> Callable[..., V1Twin]:
    """``noise_twin(data, **stages)``: a fresh twin of the data sets, always the same."""
    return twin_of


@pytest.fixture
def pixels() -> dict[str, list[tuple[int, int]]]:
    """Row and column that each cell follows, by data set."""
    return PIXELS


def data_of(
    names: Sequence[str] = ("a", "b"), n_trials: int = 20, valid: Any = None, **arguments: Any
) -> V1DataModule:
    settings = {"grid": (SIZE, SIZE), "n_lags": LAGS, "behavior": ()}
    configs = [
        V1DatasetConfig(name=name, path="", cell_ids=range(len(PIXELS[name])), **settings)
        for name in names
    ]
    recordings = {name: recording_of(name, n_trials, valid) for name in names}
    arguments = {"sequence_bins": 12, "batch_size": 8} | arguments
    return V1DataModule(configs, recordings, **arguments)


def twin_of(data: V1DataModule, **stages: Any) -> V1Twin:
    torch.manual_seed(0)
    return build_model(TwinConfig.model_validate(TWIN | stages), data.configs)


def recording_of(name: str, n_trials: int, valid: Any) -> dict[str, Any]:
    rng = np.random.default_rng(sum(name.encode()))
    n_bins, trial = 30 * n_trials, 30
    stim = rng.integers(0, 256, (n_bins, SIZE, SIZE), np.uint8)
    pixels = np.stack([stim[:, row, column] for row, column in PIXELS[name]], axis=1)
    drive = np.roll((pixels / 255.0 - 0.5) * 2, LAG, axis=0)  # (bin, cell)
    counts = rng.poisson(0.5 * np.exp(1.5 * drive)).astype(np.uint8)
    return {
        "stim": stim,
        "robs": counts,
        "eyepos": np.zeros((n_bins, 2), np.float32),
        "valid": np.ones(counts.shape, bool) if valid is None else valid,
        "trial_inds": np.repeat(np.arange(n_trials), trial),
        "t_bins": (np.arange(n_bins) + 0.5) / 120,
        "stim_type": np.zeros(n_bins, np.int8),
        "stim_types": ["gaborium"],
        "name": name,
        "rate_hz": 120.0,
        "px_per_deg": 37.5,
    }
