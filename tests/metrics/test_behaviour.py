from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from utils.metrics import behaviour

NAN = np.nan


@pytest.fixture
def trials():
    return pd.DataFrame(
        {
            "contrastLeft": [1.0, 1.0, NAN, NAN, 0.0, NAN],
            "contrastRight": [NAN, NAN, 0.25, 0.25, NAN, 0.25],
            "choice": [1, -1, -1, -1, 1, 0],
            "probabilityLeft": [0.5, 0.5, 0.8, 0.8, 0.5, 0.8],
            "stimOn_times": [1.0, 2, 3, 4, 5, 6],
            "response_times": [1.5, 2.5, 3.5, 4.5, 5.5, NAN],
        }
    )


def test_a_session_without_trials_gets_empty_columns(trials):
    empty = behaviour.standard_trials(pd.DataFrame())
    assert len(empty) == 0
    assert set(behaviour.TRIAL_COLUMNS) <= set(empty)
    assert behaviour.psychometric(empty, by="probabilityLeft").empty
    partial = behaviour.standard_trials(trials.drop(columns=["choice", "response_times"]))
    assert (partial.choice == 0).all()
    assert partial.response_times.isna().all()


def test_blocks_of_one_probability_are_one_block_despite_rounding(trials):
    noisy = trials.assign(probabilityLeft=[0.2, 1 - 0.8, 0.2, 1 - 0.8, 0.5, 0.5])
    assert noisy.probabilityLeft.nunique() == 3
    standard = behaviour.standard_trials(noisy)
    assert sorted(standard.probabilityLeft.unique()) == [0.2, 0.5]


def test_signed_contrast_is_negative_on_the_left_and_zero_for_catch(trials):
    expected = [-100, -100, 25, 25, 0, 25]
    np.testing.assert_allclose(behaviour.signed_contrast(trials), expected)


def test_psychometric_counts_choices_only(trials):
    curve = behaviour.psychometric(trials)
    assert curve.contrast.tolist() == [-100, 0, 25]
    assert curve.rightward.tolist() == [0.5, 0, 1]
    assert curve.n.tolist() == [2, 1, 2]  # the trial without a choice is not counted
    by_block = behaviour.psychometric(trials, by="probabilityLeft")
    assert by_block.n.tolist() == [2, 1, 2]
    assert behaviour.psychometric(trials[:0]).empty


def test_wilson_interval_against_published_value():
    # 8 of 10: (0.490, 0.943), Wilson without continuity correction
    low, high = behaviour.wilson_interval(np.array([8, 0]), np.array([10, 0]))
    assert (low[0], high[0]) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert np.isnan(low[1])


def test_reaction_time_falls_back_to_response(trials):
    times, kind = behaviour.reaction_times(trials)
    assert kind == "response"
    np.testing.assert_allclose(times, [0.5] * 5 + [NAN])
    times, kind = behaviour.reaction_times(trials.assign(firstMovement_times=trials.index + 1.2))
    assert kind == "first movement"
    np.testing.assert_allclose(times, 0.2)


def test_alignment_never_looks_ahead():
    times = np.arange(0, 10, 0.2)
    values = (times >= 5.0).astype(np.float32)  # steps up with the event
    lags = np.arange(-5, 6) * 0.1
    aligned = behaviour.align_to_events(values, times, np.array([5.0]), lags)
    np.testing.assert_array_equal(aligned[0], (lags >= -1e-9).astype(float))
    late = behaviour.align_to_events(values, times, np.array([4.95]), lags)[0]
    assert (late[lags < 0.05 - 1e-9] == 0).all()


def test_alignment_is_missing_in_gaps_at_borders_and_for_missing_events():
    times = np.concatenate([np.arange(0, 1, 0.1), np.arange(5, 6, 0.1)])
    values = np.arange(20.0)[:, None] * np.ones(3)  # (time, neuron)
    aligned = behaviour.align_to_events(values, times, [0.5, 3.0, 5.0, NAN, 90], [-0.1, 0.0])
    assert aligned.shape == (5, 2, 3)
    np.testing.assert_array_equal(
        aligned[:, :, 0], [[4, 5], [NAN, NAN], [NAN, 10], [NAN, NAN], [NAN, NAN]]
    )
    assert behaviour.align_to_events(values[:0], times[:0], [1.0], [0.0]).shape == (1, 1, 3)
    assert behaviour.align_to_events(values, times, [], [0.0]).shape == (0, 1, 3)


def test_baseline_is_the_mean_before_the_event():
    lags = np.array([-2, -1, 0, 1])
    aligned = np.array([[1.0, 3, 5, 7], [NAN, NAN, 1, 2], [NAN, 4, 4, 5]])
    expected = [[-1, 1, 3, 5], [NAN] * 4, [NAN, 0, 0, 1]]
    np.testing.assert_array_equal(behaviour.subtract_baseline(aligned, lags), expected)


def test_event_rate_by_hand():
    rate, n = behaviour.event_rate([1.1, 1.2, 2.6], [1.0, 2.0, NAN], np.array([0, 0.5, 1.0]))
    assert n == 2
    np.testing.assert_allclose(rate, [2 / 2 / 0.5, 1 / 2 / 0.5])
    rate, n = behaviour.event_rate([], [], np.array([0, 1.0]))
    assert n == 0
    assert np.isnan(rate).all()


def test_mean_and_error_ignore_missing():
    mean, error, n = behaviour.mean_and_error(np.array([[1.0, NAN], [3.0, NAN], [NAN, 2.0]]))
    np.testing.assert_array_equal(n, [2, 1])
    np.testing.assert_array_equal(mean, [2, 2])
    np.testing.assert_allclose(error, [1.0, NAN])
