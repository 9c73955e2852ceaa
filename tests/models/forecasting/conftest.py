"""A small world for forecasters: shared latents, a silent neuron, a hole in time, missing cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from utils.models.forecasting import build_forecaster, forecaster_class
from utils.windows import WindowData, window_data

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

QUICK = {
    "max_epochs": 1, "stride": 4, "validation_stride": 4, "device": "cpu", "progress": False,
}  # fmt: skip


def world_activity(frames: int = 2400, neurons: int = 10, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    latents = lfilter([1], [1, -0.9], rng.standard_normal((frames, 3)), axis=0)
    values = latents @ rng.standard_normal((3, neurons)) + rng.standard_normal((frames, neurons))
    values += 2.0
    values[:, 3] = 0.5  # silent
    values[800:830, 5:7] = np.nan  # a field of view that dropped out
    return values.astype(np.float32)


def world_times(frames: int = 2400) -> np.ndarray:
    times = np.arange(frames) / 5.0
    times[1000:] += 60.0
    return times


def make_world(activity: np.ndarray | None = None) -> WindowData:
    activity = world_activity() if activity is None else activity
    return window_data(activity, world_times(len(activity)), 24, 6, source="simulated", unit="a.u.")


def shared_world(shift: int = 0) -> WindowData:
    """Twelve noisy views of two latents; with ``shift``, each cell in a time of its own."""
    rng = np.random.default_rng(0)
    latents = lfilter([1], [1, -0.9], rng.standard_normal((4500, 2)), axis=0)
    activity = latents @ rng.standard_normal((2, 12)) + 3 * rng.standard_normal((4500, 12))
    for cell in range(12):
        activity[:, cell] = np.roll(activity[:, cell], shift * cell)
    return window_data(activity.astype(np.float32), np.arange(4500) / 5, 20, 5, source="simulated")


def behaviour_world() -> WindowData:
    """Neurons that follow two of three covariates; some of both are missing."""
    rng = np.random.default_rng(0)
    behaviour = lfilter([1], [1, -0.8], rng.standard_normal((1600, 3)), axis=0)
    drive = np.roll(behaviour[:, :2], 3, axis=0) @ rng.standard_normal((2, 5))
    activity = (drive + 2 * rng.standard_normal((1600, 5)) + 1).astype(np.float32)
    behaviour[:, 2] = 4.0  # constant
    behaviour[300:320, 0] = activity[500:510, 2] = np.nan
    names = ("wheel", "pupil", "light")
    return window_data(
        activity, np.arange(1600) / 5, 12, 4, covariates=behaviour, covariate_names=names
    )


def quick(name: str, **settings):
    """An unfitted forecaster that trains for a moment only."""
    if "trainer" in forecaster_class(name).Config.model_fields:
        settings["trainer"] = {**QUICK, **settings.get("trainer", {})}
    return build_forecaster(name, **settings)


@pytest.fixture(scope="session")
def world() -> WindowData:
    return make_world()
