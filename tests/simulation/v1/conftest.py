"""Simulated V1 recordings that several tests look at."""

from __future__ import annotations

import pytest

from utils.simulation import SimulatedV1, simulate_v1


@pytest.fixture(scope="package")
def tiny() -> SimulatedV1:
    """Two sessions of four and eight cells."""
    return simulate_v1(n_sessions=2, n_cells=12, minutes=1.5, n_families=6)


@pytest.fixture(scope="package")
def population() -> SimulatedV1:
    """One short session of 48 cells."""
    return simulate_v1(n_sessions=1, n_cells=48, minutes=6.0, seed=0)
