"""Smoothing and binning: the future has no say, gaps stay gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.signals import bin_mean, bin_starts, causal_smooth

TIMES = np.concatenate([np.arange(40) * 0.2, 100 + np.arange(35) * 0.2])  # a gap after 40 frames


@given(frame=st.integers(1, 74), tau=st.floats(0.05, 10), change=st.floats(-50, 50))
def test_changing_the_future_changes_nothing_before(frame, tau, change):
    values = np.random.default_rng(0).standard_normal((75, 2)).astype(np.float32)
    spoilt = values.copy()
    spoilt[frame:] += np.float32(change)
    before, after = (causal_smooth(x, TIMES, tau) for x in (values, spoilt))
    np.testing.assert_array_equal(before[:frame], after[:frame])


def test_step_response_is_exponential():
    values = np.zeros((40, 1))
    values[1:] = 1
    out = causal_smooth(values, TIMES[:40], tau_s=0.5)[:, 0]
    np.testing.assert_allclose(out, 1 - np.exp(-np.arange(40) * 0.2 / 0.5), atol=1e-5)


def test_smoothing_starts_anew_after_a_gap_and_after_nan():
    values = np.r_[np.zeros(40), np.ones(35)][:, None]
    values[10] = np.nan
    values[11:20] = 5
    out = causal_smooth(values, TIMES, tau_s=2.0)[:, 0]
    assert np.isnan(out[10])
    assert (out[11:20] == 5).all()
    assert (out[40:] == 1).all()


def test_smoothing_needs_a_time_constant():
    with pytest.raises(ValueError, match="tau_s = 0"):
        causal_smooth(np.ones((75, 1)), TIMES, 0)


def test_bins_stay_inside_segments():
    starts = bin_starts(TIMES, 4)
    assert starts.tolist() == [*range(0, 40, 4), *range(40, 72, 4)]
    binned = bin_mean(TIMES, starts, 4)
    assert binned[0] == pytest.approx(0.3)
    assert binned[10] == pytest.approx(100.3)


def test_bin_with_a_missing_frame_is_missing():
    values = np.arange(75.0)[:, None]
    values[5] = np.nan
    out = bin_mean(values, bin_starts(TIMES, 2), 2)[:, 0]
    assert np.flatnonzero(np.isnan(out)).tolist() == [2]
    assert out[0] == 0.5


def test_bins_of_one_frame_change_nothing_and_of_none_are_refused():
    assert bin_starts(TIMES, 1).tolist() == list(range(75))
    assert len(bin_starts(TIMES, 41)) == 0
    with pytest.raises(ValueError, match="0 frames"):
        bin_starts(TIMES, 0)
