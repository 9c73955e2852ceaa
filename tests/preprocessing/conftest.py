"""A small recording in memory whose every number is known."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from utils.sessions.fov import FOVData

RATE = 5.0
N_FRAMES = 3000  # ten minutes


@pytest.fixture(scope="session")
def make_session() -> Callable[..., Any]:
    """``make_session(n_fovs=2, ...)`` -> object with the attributes of a MesoscopeSession."""
    return build_session


def build_session(
    n_fovs: int = 2, n_rois: int = 6, n_frames: int = N_FRAMES, seed: int = 0, **changes: Any
) -> Any:
    rng = np.random.default_rng(seed)
    lengths = changes.pop("lengths", [n_frames] * n_fovs)
    fovs = [build_fov(k, n_rois, length, rng) for k, length in enumerate(lengths)]
    n_trials = 20
    start = np.linspace(5, n_frames / RATE - 15, n_trials)
    session = SimpleNamespace(
        eid="fake",
        subject="S1",
        date="2025-01-01",
        task_protocol="choice",
        source="simulated",
        is_simulated=True,
        rate_is_nominal=False,
        duration_hours=n_frames / RATE / 3600,
        duration_seconds=n_frames / RATE,
        n_total_neurons=n_fovs * n_rois,
        fovs=fovs,
        neurons=pd.concat([fov.neurons for fov in fovs], ignore_index=True),
        availability=pd.DataFrame({"dataset": ["licks.times.npy"], "found": [False]}),
        trials=pd.DataFrame(
            {
                "intervals_0": start,
                "stimOn_times": start + 1,
                "feedback_times": start + 3,
                "stimOff_times": start + 4,
                "intervals_1": start + 5,
                "contrastLeft": np.where(np.arange(n_trials) % 2, np.nan, 0.25),
                "contrastRight": np.where(np.arange(n_trials) % 2, 1.0, np.nan),
                "probabilityLeft": np.repeat([0.5, 0.2, 0.8], [13, 4, 3]),
            }
        ),
        wheel_position=np.cumsum(rng.standard_normal(2000)) * 0.01,
        wheel_timestamps=np.sort(rng.uniform(0, n_frames / RATE, 2000)),
        licks=None,
        pupil=None,
        motion_energy=None,
        passive=None,
    )
    vars(session).update(changes)
    return session


def build_fov(k: int, n_rois: int, n_frames: int, rng: np.random.Generator) -> FOVData:
    """Fluorescence 1200 with neuropil 1000 and transients; FOV k starts 24 ms after the last."""
    neuropil = 1000 + 50 * rng.standard_normal((n_frames, n_rois))
    events = rng.random((n_frames, n_rois)) < 0.01
    decay = np.exp(-np.arange(20) / 5)
    calcium = np.stack([np.convolve(e, decay)[:n_frames] for e in events.T], axis=1)
    cell = 500 * (1 + calcium) + 50 * rng.standard_normal((n_frames, n_rois))
    return FOVData(
        fov_name=f"FOV_0{k}",
        collection=f"alf/FOV_0{k}",
        roi_activity=(cell + 0.7 * neuropil).astype(np.float32),
        neuropil_activity=neuropil.astype(np.float32),
        deconvolved_activity=events.astype(np.float32),
        timestamps=0.0243 * k + np.arange(n_frames) / RATE,
        stack_pos=np.c_[np.linspace(0, 511, n_rois), np.zeros((n_rois, 2))].astype(int),
        timeshift=41.6e-6 * np.arange(512),
        uuids=np.array([f"{k}-{n}" for n in range(n_rois)]),
        cell_probability=np.full(n_rois, 0.9),
    )
