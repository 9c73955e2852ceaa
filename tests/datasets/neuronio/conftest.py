"""Small native files, and the contents of one that is written by hand."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from utils.datasets import convert_neuronio, write_neuronio_like


@pytest.fixture(scope="session")
def native(tmp_path_factory) -> Path:
    """Two simulated files of four and two simulations of 2 s."""
    folder = tmp_path_factory.mktemp("native")
    write_neuronio_like(folder / "sim__a.p", n_simulations=4, seconds=2, seed=0)
    write_neuronio_like(folder / "more" / "sim__b.p", n_simulations=2, seconds=2, seed=1)
    return folder


@pytest.fixture(scope="session")
def converted(native, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    convert_neuronio(native, folder, progress=False)
    return folder


@pytest.fixture
def contents() -> dict:
    """A file of one simulation of 20 ms."""
    run = {
        "exInputSpikeTimes": {np.int64(0): [np.int64(0), np.int64(19)], 638: [3, 3]},
        "inhInputSpikeTimes": {np.int64(5): [np.int64(7)], 6: []},
        "outputSpikeTimes": np.array([0.4, 1.5, 12.9], np.float16),
        "somaVoltageLowRes": np.linspace(-80, -40, 20).astype(np.float16),
        "somaVoltageHighRes": np.full(160, -70, np.float16),
    }
    run["somaVoltageHighRes"][[30, 31, 100, 150]] = [10, 10, -24, -26]
    params = {
        "totalSimDurationInSec": 0.02,
        "allSegmentsType": ["basal"] * 262 + ["apical"] * 377,
        "allSegments_DistFromSoma": list(np.arange(639.0)),
    }
    return {"Params": params, "Results": {"listOfSingleSimulationDicts": [run]}}


@pytest.fixture
def save(tmp_path):
    """Write contents to a file."""

    def save(contents: object, name: str = "sim__1.p") -> Path:
        path = tmp_path / name
        path.write_bytes(pickle.dumps(contents, protocol=2))
        return path

    return save
