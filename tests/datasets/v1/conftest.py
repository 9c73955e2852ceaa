"""Small recordings with made-up content, as dictionaries of arrays and metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

TYPES = ["backimage", "gratings", "stabilised"]


@pytest.fixture
def make_recording() -> Callable[..., dict[str, Any]]:
    """Makes a recording of trials of some lengths; arrays can be replaced or, as None, left out."""
    return recording_of


def recording_of(
    lengths: Sequence[int] = (30, 25, 40, 30, 35, 20),
    types: Sequence[int] | int = 0,
    *,
    n_cells: int = 3,
    seed: int = 0,
    **replaced: Any,
) -> dict[str, Any]:
    """Noise: every number differs from its neighbours, so that a shift shows."""
    rng = np.random.default_rng(seed)
    n_bins = sum(lengths)
    types = np.broadcast_to(types, len(lengths))
    recording = {
        "stim": rng.integers(0, 256, (n_bins, 7, 9), np.uint8),
        "robs": rng.poisson(0.5, (n_bins, n_cells)).astype(np.uint8),
        "eyepos": rng.normal(0, 1, (n_bins, 2)).cumsum(axis=0).astype(np.float32),
        "valid": np.ones((n_bins, n_cells), bool),
        "trial_inds": np.repeat(np.arange(len(lengths)) + 3, lengths),
        "t_bins": (np.arange(n_bins) + 0.5) / 120,
        "stim_type": np.repeat(types, lengths).astype(np.int8),
        "name": "noise",
        "rate_hz": 120.0,
        "px_per_deg": 37.5,
        "stim_types": TYPES,
    }
    return {key: value for key, value in (recording | replaced).items() if value is not None}
