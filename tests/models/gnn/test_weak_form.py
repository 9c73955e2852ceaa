"""The weak form against Euler steps, closed forms and noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.models.gnn.weak_form import Bumps
from utils.signals import derivative

DT = 0.01
BUMPS = Bumps(width=16, stride=4)


def test_both_sides_agree_exactly_for_euler_steps():
    rng = np.random.default_rng(0)
    slopes = rng.standard_normal((80, 3))
    activity = np.cumsum(np.vstack([np.ones((1, 3)), DT * slopes[:-1]]), axis=0)
    left, right = BUMPS.slopes(activity, DT), BUMPS.average(slopes)
    assert left.shape == (BUMPS.n_windows(80), 3) == (16, 3)
    np.testing.assert_allclose(left, right, atol=1e-10)
    np.testing.assert_allclose(
        left, BUMPS.average(derivative(activity, DT, "finite_difference")), atol=1e-10
    )


def test_line_has_its_slope_and_windows_start_every_stride():
    times = np.arange(41.0)
    np.testing.assert_allclose(BUMPS.slopes(2 * times, dt=1.0), 2.0)
    np.testing.assert_allclose(BUMPS.average(times), 7.5 + 4 * np.arange(7))  # their middles
    assert BUMPS.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("n_frames", [17, 18, 20, 21, 100])
def test_windows_fill_the_recording(n_frames):
    assert len(BUMPS.average(np.zeros(n_frames))) == BUMPS.n_windows(n_frames)
    start_of_next = BUMPS.n_windows(n_frames) * BUMPS.stride
    assert start_of_next + BUMPS.width + 1 > n_frames


def test_rate_of_a_noisy_decay_is_found_where_differences_fail():
    """du/dt = -u + cos t: both coefficients by least squares."""
    times = np.arange(20_000) * DT
    forcing = np.cos(times)
    activity = (np.cos(times) + np.sin(times)) / 2
    noisy = activity + 0.1 * np.random.default_rng(1).standard_normal(len(times))

    def fit(target, features):
        return np.linalg.lstsq(features, target, rcond=None)[0]

    features = np.stack([noisy, forcing], axis=1)
    weak = fit(BUMPS.slopes(noisy, DT), BUMPS.average(features))
    raw = fit(derivative(noisy, DT, "finite_difference")[:-1], features[:-1])
    np.testing.assert_allclose(weak, [-1, 1], atol=0.1)
    assert abs(raw - [-1, 1]).max() > 0.5


def test_missing_frame_spoils_its_windows_alone():
    activity = np.zeros((101, 2))
    activity[50, 1] = np.nan
    missing = np.isnan(BUMPS.slopes(activity, DT))
    starts = np.arange(len(missing)) * BUMPS.stride
    assert not missing[:, 0].any()
    np.testing.assert_array_equal(missing[:, 1], (starts <= 50) & (starts + BUMPS.width >= 50))


def test_tensors_and_arrays_agree():
    activity = np.random.default_rng(2).standard_normal((60, 4, 2))
    tensor = torch.tensor(activity)
    np.testing.assert_allclose(BUMPS.slopes(activity, DT), BUMPS.slopes(tensor, DT).numpy())
    np.testing.assert_allclose(BUMPS.average(activity), BUMPS.average(tensor).numpy())


def test_trace_shorter_than_a_window_is_refused():
    assert BUMPS.n_windows(16) == BUMPS.n_windows(0) == 0
    with pytest.raises(ValueError, match="shorter than a window of 16 frames"):
        BUMPS.slopes(np.zeros(16), DT)
    with pytest.raises(ValueError, match="smaller width"):
        BUMPS.average(np.zeros(16))
