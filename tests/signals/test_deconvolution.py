"""Deconvolution against an independent solver of the same problem."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from utils.signals.deconvolution import deconvolve_ar1

TAU, RATE = 1.5, 5.0
DECAY = np.exp(-1 / (TAU * RATE))


def _decay_matrix(n: int) -> np.ndarray:
    """Trace = matrix @ events, each event decays from its frame on."""
    lag = np.arange(n)[:, None] - np.arange(n)[None, :]
    return np.where(lag >= 0, DECAY ** np.maximum(lag, 0), 0.0)


def test_recovers_events_of_a_clean_trace():
    events = np.zeros((100, 2))
    events[[5, 30, 31, 80], 0] = [1.0, 2.0, 0.5, 3.0]
    events[50, 1] = 4.0
    found = deconvolve_ar1(_decay_matrix(100) @ events, TAU, RATE)
    np.testing.assert_allclose(found, events, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_nonnegative_least_squares_on_noise(seed: int):
    rng = np.random.default_rng(seed)
    trace = _decay_matrix(60) @ (rng.random(60) < 0.1) + rng.normal(0, 0.3, 60)
    expected, _ = nnls(_decay_matrix(60), trace)
    found = deconvolve_ar1(trace[:, None], TAU, RATE)[:, 0]
    np.testing.assert_allclose(found[1:], expected[1:], atol=1e-4)
    assert found[0] == 0  # what was there before the recording is no event


def test_is_never_negative_and_scales_with_the_trace():
    trace = np.random.default_rng(1).normal(0, 1, (500, 3)).astype(np.float32)
    found = deconvolve_ar1(trace, TAU, RATE)
    assert found.min() == 0.0
    assert found.dtype == np.float32
    np.testing.assert_allclose(deconvolve_ar1(4 * trace, TAU, RATE), 4 * found, rtol=1e-4)


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (1, 1)])
def test_accepts_empty_and_single_frames(shape: tuple[int, int]):
    assert not deconvolve_ar1(np.ones(shape, np.float32), TAU, RATE).any()


def test_a_constant_trace_has_no_events_beyond_its_level():
    found = deconvolve_ar1(np.zeros((50, 1)), TAU, RATE)
    assert not found.any()


def test_refuses_what_it_cannot_solve():
    with pytest.raises(ValueError, match="NaN"):
        deconvolve_ar1(np.full((5, 1), np.nan), TAU, RATE)
    with pytest.raises(ValueError, match=r"\(time, roi\)"):
        deconvolve_ar1(np.zeros(5), TAU, RATE)
    with pytest.raises(ValueError, match="positive"):
        deconvolve_ar1(np.zeros((5, 1)), 0.0, RATE)
