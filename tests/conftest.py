"""Fixtures for all tests. Tests never touch the user's DATA folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest

from utils.paths import DATA_VARIABLE, PROJECT

matplotlib.use("Agg")


@pytest.fixture(scope="session", autouse=True)
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty DATA folder for the whole test run."""
    home = tmp_path_factory.mktemp("DATA")
    before = os.environ.get(DATA_VARIABLE)
    os.environ[DATA_VARIABLE] = str(home)
    yield home
    os.environ.pop(DATA_VARIABLE)
    if before is not None:
        os.environ[DATA_VARIABLE] = before


@pytest.fixture(scope="session")
def reference() -> Path:
    """Reference values and small real recordings; a user's clone lacks them."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("reference data (../shared/data) is not part of a clone")
    return folder


@pytest.fixture(scope="session")
def tiny_session(data_home: Path) -> tuple[Path, str]:
    """``(root of the ONE cache, eid)`` of a small simulated session, made once per test run."""
    from utils.paths import one_cache_dir
    from utils.simulation import simulate_session

    root = one_cache_dir()
    return root, simulate_session(root, n_fovs=2, n_cells=12, minutes=8, seed=0)
