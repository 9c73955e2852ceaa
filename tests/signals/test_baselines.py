"""Baselines: exact rank, causality, excluded frames."""

from __future__ import annotations

import numpy as np
import pytest

from utils.signals import (
    maximin_baseline,
    running_percentile_baseline,
)


@pytest.fixture
def traces() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((300, 5)).astype(np.float32)


def test_running_percentile_equals_a_plain_loop(traces):
    traces[40:45, 2] = np.nan
    good = np.random.default_rng(1).random(300) > 0.1
    out = running_percentile_baseline(traces, 5.0, window_s=6, warmup_s=2, good=good)
    for n in range(traces.shape[1]):
        last = np.nan
        for t in range(len(traces)):
            window = traces[: t + 1, n][good[: t + 1]]
            window = np.sort(window[np.isfinite(window)][-30:])
            if good[t] and np.isfinite(traces[t, n]) and len(window) >= 10:
                last = window[int(0.3 * (len(window) - 1))]
            np.testing.assert_equal(out[t, n], np.float32(last))


def test_running_percentile_knows_nothing_of_the_future(traces):
    changed = traces.copy()
    changed[200:] += 100
    before = running_percentile_baseline(traces, 5.0)
    after = running_percentile_baseline(changed, 5.0)
    np.testing.assert_array_equal(before[:200], after[:200])
    assert not np.array_equal(before[200:], after[200:])


def test_no_baseline_before_the_warm_up(traces):
    out = running_percentile_baseline(traces, 5.0, warmup_s=10)
    assert np.isnan(out[:49]).all()
    assert np.isfinite(out[49:]).all()


def test_excluded_frames_move_no_baseline(traces):
    good = np.ones(300, bool)
    good[100:110] = False
    spoilt = traces.copy()
    spoilt[100:110] = -1e6
    for baseline in (running_percentile_baseline, maximin_baseline):
        np.testing.assert_array_equal(
            baseline(traces, 5.0, good=good), baseline(spoilt, 5.0, good=good)
        )


def test_maximin_follows_a_slow_drift_below_transients():
    rate, n_frames = 5.0, 3000
    drift = np.linspace(1000, 800, n_frames)
    trace = drift.copy()
    trace[::200] += 500
    out = maximin_baseline(trace[:, None], rate, smooth_frames=2)[:, 0]
    assert np.abs(out - drift)[150:-150].max() < 25  # a 60 s window on a fall of 20 per minute


def test_bad_frames_at_both_ends_keep_maximin_finite(traces):
    good = np.ones(300, bool)
    good[:20] = good[-20:] = False
    traces[:20] = np.nan
    assert np.isfinite(maximin_baseline(traces, 5.0, good=good)).all()


def test_constant_trace_has_its_value_as_baseline():
    trace = np.full((100, 1), 7.0)
    assert (running_percentile_baseline(trace, 5.0, warmup_s=0) == 7).all()
    assert (maximin_baseline(trace, 5.0) == 7).all()


def test_single_frame_and_no_roi():
    assert running_percentile_baseline(np.ones((1, 1)), 5.0, warmup_s=0)[0, 0] == 1
    assert running_percentile_baseline(np.ones((50, 0)), 5.0).shape == (50, 0)


@pytest.mark.parametrize("baseline", [running_percentile_baseline, maximin_baseline])
def test_all_frames_bad_is_an_error(baseline, traces):
    with pytest.raises(ValueError, match="no good frame"):
        baseline(traces, 5.0, good=np.zeros(300, bool))
    with pytest.raises(ValueError, match="300 frames"):
        baseline(traces, 5.0, good=np.ones(299, bool))
