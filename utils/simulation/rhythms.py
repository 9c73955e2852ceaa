"""Calcium of cells that share a rhythm: what an image of it should tell is known.

A few cells fire about a common rhythm; their indicator smears the spikes. Of each recording the
decay of the indicator, and the frequency and the amplitude of the rhythm, are drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from utils.simulation.calcium import calcium_response
from utils.simulation.timeline import FINE_STEP, STEPS_PER_FRAME

RANGES = {"tau": (0.4, 2.5), "frequency": (0.3, 1.8), "amplitude": (0.2, 1.0)}  # s, Hz, share
RATE = 3.0  # mean spikes per second of a cell
SPIKE_DFF, NOISE = 0.3, 0.1  # dF/F of a spike; noise of a frame
SETTLING = 10.0  # s that are simulated before the first frame


@dataclass(frozen=True)
class RhythmicCalcium:
    """Recordings of cells with a rhythm."""

    dff: np.ndarray  # (recording, time, cell) float32, each trace less its mean
    truth: dict[str, np.ndarray]  # tau (s), frequency (Hz), amplitude (share of the rate)


def simulate_rhythms(
    n: int, n_frames: int = 128, n_cells: int = 16, seed: int = 0, progress: bool = False
) -> RhythmicCalcium:
    """Simulate ``n`` short recordings at the frame rate of a mesoscope session.

    The rate of all cells is ``RATE (1 + amplitude sin(2 pi frequency t + phase))``. Traces lose
    their mean, as the baseline of dF/F takes it: it would tell the decay by itself.

    Raises
    ------
    ValueError
        A number that is below 1.
    """
    if min(n, n_frames, n_cells) < 1:
        raise ValueError(
            f"expected at least one recording, frame and cell, found n={n}, "
            f"n_frames={n_frames}, n_cells={n_cells}"
        )
    rng = np.random.default_rng(seed)
    truth = {name: rng.uniform(*ends, n) for name, ends in RANGES.items()}
    phase = rng.uniform(0, 2 * np.pi, n)
    first = round(SETTLING / FINE_STEP)
    seconds = FINE_STEP * np.arange(first + n_frames * STEPS_PER_FRAME)  # (fine step,)
    dff = np.empty((n, n_frames, n_cells), np.float32)
    for i in tqdm(range(n), desc="recordings", disable=not progress):
        angle = 2 * np.pi * truth["frequency"][i] * seconds + phase[i]
        rate = RATE * (1 + truth["amplitude"][i] * np.sin(angle))
        spikes = rng.poisson(rate * FINE_STEP, (n_cells, len(seconds)))
        dff[i] = SPIKE_DFF * calcium_response(spikes, truth["tau"][i])[:, first::STEPS_PER_FRAME].T
    dff += NOISE * rng.standard_normal(dff.shape, dtype=np.float32)
    return RhythmicCalcium(dff - dff.mean(axis=1, keepdims=True), truth)
