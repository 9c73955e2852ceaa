"""A small recording whose rates are known: frames, behaviour and a movie that is repeated."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from utils.datasets.v1.config import V1DatasetConfig, V1Source
from utils.datasets.v1.dataset import V1Dataset, prepare_dataset

SIDE, N_LAGS, TRIAL = 9, 4, 60
TYPES = ["noise", "movie"]
REPEATS = 24
N_CELLS = 4  # a linear-nonlinear cell, one driven by behaviour, one by both, one by nothing


def known_recording(n_trials: int = 100, seed: int = 0) -> tuple[dict[str, Any], SimpleNamespace]:
    """Arrays and metadata of trials of noise, then of repeats of a movie; and the truth."""
    rng = np.random.default_rng(seed)
    n_bins = (n_trials + REPEATS) * TRIAL
    is_movie = np.arange(n_bins) >= n_trials * TRIAL
    stim = rng.integers(67, 188, (n_bins, SIDE, SIDE), np.uint8)
    stim[is_movie] = np.tile(stim[is_movie][:TRIAL], (REPEATS, 1, 1))
    behavior = rng.normal(size=(n_bins, 2)).astype(np.float32)
    shape = np.outer(*[np.array([0, 0, 1, 2, 1, -1, -1, 0, 0])] * 2)
    drive = np.einsum("thw,hw->t", (stim - 127.0) / 127, shape)
    drive = np.convolve(drive, [0, 1, 0.5])[:n_bins]  # lags 1 and 2
    visual = 0.4 * np.maximum(drive / drive.std(), 0.05)
    gain = np.exp(0.5 * behavior[:, 0])
    flat = np.full(n_bins, 0.4)
    rates = np.stack([visual, flat * gain, visual * gain, flat], axis=1)
    recording = {
        "stim": stim,
        "robs": rng.poisson(rates).astype(np.uint8),
        "behavior": behavior,
        "trial_inds": np.arange(n_bins) // TRIAL,
        "stim_type": is_movie.astype(np.int8),
        "psth_inds": np.where(is_movie, np.arange(n_bins) % TRIAL, -1),
        "name": "known",
        "rate_hz": 120.0,
        "px_per_deg": 20.0,
        "stim_types": TYPES,
        "cell_ids": [10, 11, 12, 13],
    }
    without = np.stack([visual, flat, visual, flat], axis=1)
    return recording, SimpleNamespace(rates=rates, visual_rates=without)


def known_config(**changes: Any) -> V1DatasetConfig:
    """Of the recording, with the movie held out."""
    settings = {
        "name": "known",
        "path": "none.h5",
        "cell_ids": [10, 11, 12, 13],
        "n_lags": N_LAGS,
        "grid": (SIDE, SIDE),
        "behavior": (V1Source(key="behavior"),),
        "held_out_types": ("movie",),
    }
    return V1DatasetConfig(**settings | changes)


def known_dataset(
    recording: dict[str, Any], changed: dict[str, Any] | None = None, **changes: Any
) -> V1Dataset:
    """The recording made ready; ``changed`` replaces arrays, or leaves them out where None."""
    given = {k: v for k, v in {**recording, **(changed or {})}.items() if v is not None}
    return prepare_dataset(known_config(**changes), given)
