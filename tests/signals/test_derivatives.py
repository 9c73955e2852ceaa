"""Derivatives against closed forms: polynomials, sines, noise, edges and gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.signals import derivative, remove_decay, savitzky_golay

DT = 0.01
TIMES = np.arange(200) * DT


@given(coefficients=st.lists(st.floats(-5, 5), min_size=4, max_size=4))
def test_cubic_is_exact_up_to_the_edges(coefficients):
    cubic = np.polynomial.Polynomial(coefficients)
    activity = cubic(TIMES)
    np.testing.assert_allclose(derivative(activity, DT), cubic.deriv()(TIMES), atol=1e-8)
    np.testing.assert_allclose(savitzky_golay(activity), activity, atol=1e-8)


def test_sine_has_the_known_error():
    """A local line over frames -m..m sees cos(wt) 6 sum(k sin(wk)) / (m (m+1) (2m+1))."""
    angle, half = 0.1, 3  # radian per frame
    frames = np.arange(300)
    k = np.arange(1, half + 1)
    seen = 6 * np.sum(k * np.sin(angle * k)) / (half * (half + 1) * (2 * half + 1)) / DT
    found = derivative(np.sin(angle * frames), DT, window=2 * half + 1, order=1)
    expected = seen * np.cos(angle * frames)
    np.testing.assert_allclose(found[half:-half], expected[half:-half], atol=1e-9)
    assert 0.98 < seen / (angle / DT) < 1


def test_finite_difference_gives_back_euler_steps():
    rng = np.random.default_rng(0)
    slopes = rng.standard_normal((50, 3))
    activity = np.cumsum(np.vstack([np.ones((1, 3)), DT * slopes[:-1]]), axis=0)
    found = derivative(activity, DT, "finite_difference")
    np.testing.assert_allclose(found[:-1], slopes[:-1], atol=1e-10)
    assert np.isnan(found[-1]).all()


def test_noise_falls_by_the_gain_of_the_filter():
    """Slope of a line over 2m+1 frames: noise sd / (dt sqrt(m (m+1) (2m+1) / 3))."""
    noise = np.random.default_rng(1).standard_normal((20_000, 4))
    difference = derivative(noise, DT, "finite_difference")[:-1].std()
    line = derivative(noise, DT, window=31, order=1).std()
    assert difference == pytest.approx(np.sqrt(2) / DT, rel=0.02)
    assert line == pytest.approx(1 / DT / np.sqrt(15 * 16 * 31 / 3), rel=0.05)


@pytest.mark.parametrize("method", ["savitzky_golay", "finite_difference"])
def test_gap_separates_segments(method):
    activity = np.stack([TIMES, TIMES**2, np.sin(TIMES)], axis=1)
    activity[100:103, 0] = np.nan
    activity[60, 1] = np.nan
    settings = {"method": method, "window": 11}
    found = derivative(activity, DT, **settings)
    for column, segments in enumerate([[(0, 100), (103, 200)], [(0, 60), (61, 200)], [(0, 200)]]):
        expected = np.full(200, np.nan)
        for start, stop in segments:
            expected[start:stop] = derivative(activity[start:stop, column], DT, **settings)
        np.testing.assert_allclose(found[:, column], expected, atol=1e-9)


def test_segment_shorter_than_the_window_is_missing():
    activity = np.sin(TIMES)
    activity[[20, 31]] = np.nan
    found, smooth = derivative(activity, DT, window=11), savitzky_golay(activity, window=11)
    assert np.isnan(found[20:32]).all()
    assert np.isfinite(found[:20]).all()
    assert np.isfinite(found[32:]).all()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(smooth))


def test_smoothing_takes_noise_away():
    rng = np.random.default_rng(2)
    truth = np.sin(TIMES * 5)[:, None]
    noisy = truth + 0.1 * rng.standard_normal((200, 50))
    error = savitzky_golay(noisy)[15:-15] - truth[15:-15]
    assert error.std() < 0.1 * 0.3  # sqrt of the middle weight of a cubic over 31 frames: .27


def test_drive_of_a_decaying_indicator_is_found():
    """tau dC/dt = cos(wt) - C has C = (cos wt + tau w sin wt) / (1 + tau^2 w^2) in the end."""
    tau, rate = 0.5, 4.0
    drive, lagged = np.cos(rate * TIMES), np.sin(rate * TIMES)
    calcium = (drive + tau * rate * lagged) / (1 + (tau * rate) ** 2)
    np.testing.assert_allclose(remove_decay(calcium, DT, tau, window=9), drive, atol=5e-4)
    np.testing.assert_allclose(remove_decay(calcium, DT, 0.0), savitzky_golay(calcium))
    with pytest.raises(ValueError, match="tau = -1"):
        remove_decay(calcium, DT, -1)


def test_kind_of_numbers_is_kept():
    assert derivative(TIMES.astype(np.float32), DT).dtype == np.float32
    assert derivative(TIMES, DT).dtype == np.float64
    assert derivative(np.arange(40), 1.0).dtype == np.float32
    assert derivative(np.zeros((40, 0)), DT).shape == (40, 0)
    assert np.isnan(derivative(np.full((40, 2), np.nan), DT)).all()


def test_faults_are_named():
    with pytest.raises(ValueError, match="30 frames: this derivative needs at least 31"):
        derivative(TIMES[:30], DT)
    with pytest.raises(ValueError, match="1 frames"):
        derivative(TIMES[:1], DT, "finite_difference")
    with pytest.raises(ValueError, match="window = 30, order = 3"):
        derivative(TIMES, DT, window=30)
    with pytest.raises(ValueError, match="order = 7"):
        savitzky_golay(TIMES, window=7, order=7)
    with pytest.raises(ValueError, match="dt = 0"):
        derivative(TIMES, 0)
    with pytest.raises(ValueError, match="method = 'spline'"):
        derivative(TIMES, DT, "spline")
    with pytest.raises(ValueError, match=r"found \(2, 2, 2\)"):
        derivative(np.zeros((2, 2, 2)), DT)
