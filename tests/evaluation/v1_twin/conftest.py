"""A model whose cells are known: Gabors behind a temporal kernel, simple and complex."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from utils.datasets.v1 import V1Recording, as_recording
from utils.metrics.reverse_correlation import pixel_degrees

SIDE, PX_PER_DEG, N_LAGS, RATE_HZ = 25, 20.0, 8, 120.0
KERNEL = np.array([0.0, 0.1, 0.6, 1.0, 0.5, 0.0, -0.2, -0.1])  # of lags 0, 1, ..
CELLS = (  # azimuth, elevation (deg), sf (c/deg), orientation (deg), phase (rad), complex?
    (0.1, -0.05, 2.5, 30.0, 0.0, False),
    (-0.15, 0.1, 3.0, 100.0, np.pi / 2, False),
    (0.0, 0.15, 2.0, 150.0, 0.0, True),
)


def gabors() -> np.ndarray:
    """(cell, 2, SIDE, SIDE) pairs of the phase and a quarter of a period later, without mean."""
    azimuth, elevation = pixel_degrees(SIDE, SIDE, PX_PER_DEG)
    pairs = np.empty((len(CELLS), 2, SIDE, SIDE))
    for pair, (az, el, sf, ori, phase, _) in zip(pairs, CELLS):
        x, y = azimuth - az, elevation[:, None] - el
        along = x * np.cos(np.deg2rad(ori)) + y * np.sin(np.deg2rad(ori))
        envelope = np.exp(-(x**2 + y**2) / (2 * (0.4 / sf) ** 2))
        for k in range(2):
            wave = envelope * np.cos(2 * np.pi * sf * along + phase + k * np.pi / 2)
            pair[k] = wave - envelope * wave.sum() / envelope.sum()
    return pairs


FILTERS = torch.tensor(gabors())
IS_COMPLEX = torch.tensor([cell[-1] for cell in CELLS])


def known_rates(stimulus: Tensor, behavior: Tensor | None) -> Tensor:
    """``predict(stimulus, behavior)``: a column of behaviour b makes each rate 1 + b as large."""
    frames = stimulus.double()
    if stimulus.dtype == torch.uint8:
        frames = (frames - 127) / 255
    drive = torch.einsum("blhw,nkhw->blnk", frames, FILTERS)
    windows = drive.unfold(1, N_LAGS, 1)  # (batch, bin, cell, 2, frame)
    drive = windows @ torch.tensor(KERNEL[::-1].copy())
    simple = drive[..., 0].clamp_min(0).square()
    rates = 0.02 + torch.where(IS_COMPLEX, drive.square().sum(dim=-1), simple)
    if behavior is not None:
        rates = rates * (1 + behavior[:, N_LAGS - 1 :, :1].double())
    return rates


def record(stimulus: np.ndarray, rates: np.ndarray, seed: int = 0, **arrays) -> V1Recording:
    """A recording of the model's cells, half a spike per bin in the mean, as one trial."""
    counts = np.random.default_rng(seed).poisson(0.5 * rates / rates.mean(axis=0))
    metadata = {"name": "known", "rate_hz": RATE_HZ, "px_per_deg": PX_PER_DEG, "simulated": True}
    trials = {"trial_inds": np.zeros(len(stimulus), int)}
    return as_recording({"stim": stimulus, "robs": counts, **trials, **arrays, **metadata})


def rates_for(stimulus: np.ndarray) -> np.ndarray:
    """(time, cell); the first bins, which nothing is known of, have the mean rate."""
    rates = known_rates(torch.from_numpy(stimulus)[None], None)[0].numpy()
    return np.concatenate([np.tile(rates.mean(axis=0), (N_LAGS - 1, 1)), rates])
