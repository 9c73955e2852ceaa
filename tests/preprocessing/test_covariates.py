"""Covariates: values computed by hand, and nothing from the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from utils.preprocessing.covariates import FIXED, build_covariates, mean_before

INTERVAL = 0.2
TIMES = np.arange(500) * INTERVAL  # 100 s
TRAIN = TIMES < 70


def column(session, name: str) -> np.ndarray:
    """Raw values of a covariate."""
    built = build_covariates(session, TIMES, INTERVAL, TRAIN)
    i = built.names.index(name)
    return built.values[:, i] * built.scale[i] + built.offset[i]


@pytest.fixture
def session(make_session):
    session = make_session(n_frames=500)
    session.trials = pd.DataFrame(
        {
            "intervals_0": [10.0, 30.0, 50.0, 70.0],
            "stimOn_times": [11.0, 31.0, 51.0, np.nan],
            "feedback_times": [13.0, 33.0, 53.0, 73.0],
            "stimOff_times": [14.0, 34.0, np.nan, 74.0],
            "intervals_1": [15.0, 35.0, 55.0, 75.0],
            "contrastLeft": [np.nan, 0.0625, 0.0, 1.0],
            "contrastRight": [0.5, np.nan, np.nan, np.nan],
        }
    )
    return session


def test_the_published_eleven_come_first_in_their_order(session):
    names = build_covariates(session, TIMES, INTERVAL, TRAIN).names
    assert names[:11] == [
        "wheel_velocity",
        "stimulus_catch_trial",
        "stimulus_left_100pct",
        "stimulus_left_25pct",
        "stimulus_left_12.5pct",
        "stimulus_left_6.25pct",
        "stimulus_right_100pct",
        "stimulus_right_25pct",
        "stimulus_right_12.5pct",
        "stimulus_right_6.25pct",
        "trial_phase",
    ]
    assert names[11:] == ["wheel_speed"]


def test_stimulus_types_are_on_from_onset_to_offset(session):
    left = column(session, "stimulus_left_6.25pct")
    np.testing.assert_array_equal(left == 1, (TIMES >= 31) & (TIMES < 34 + INTERVAL))
    catch = column(session, "stimulus_catch_trial")  # offset unknown: until feedback
    np.testing.assert_array_equal(catch == 1, (TIMES >= 51) & (TIMES < 53 + INTERVAL))
    assert not column(session, "stimulus_left_100pct").any()  # its onset is unknown
    notes = build_covariates(session, TIMES, INTERVAL, TRAIN).notes
    assert "trials of another contrast" in " ".join(notes["reason"])  # the one of 50 %


def test_trial_phase_is_what_is_known_at_the_time(session):
    phase = column(session, "trial_phase")
    at = {2.0: 0, 10.4: 1 / 3, 12.0: 2 / 3, 14.0: 1, 20.0: 0, 70.4: 1 / 3, 74.0: 1}
    for time, expected in at.items():
        assert phase[np.searchsorted(TIMES, time - 1e-9)] == pytest.approx(expected), time


def test_trials_that_follow_at_once_start_in_phase_started(session):
    session.trials["intervals_1"] = [30.0, 50.0, 70.0, 75.0]
    assert column(session, "trial_phase")[151] == pytest.approx(1 / 3)


def test_wheel_velocity_is_the_displacement_over_the_frame(session):
    session.wheel_timestamps = np.array([0.0, 10.05, 10.15, 99.9])
    session.wheel_position = np.array([0.0, 0.1, 0.3, 0.3])
    velocity = column(session, "wheel_velocity")
    expected = np.zeros(500)
    expected[51] = 0.3 / INTERVAL
    np.testing.assert_allclose(velocity, expected, atol=1e-5)
    session.wheel_position = -session.wheel_position
    np.testing.assert_allclose(column(session, "wheel_speed"), expected, atol=1e-5)


def test_no_covariate_knows_the_future(session):
    rng = np.random.default_rng(0)
    moments = np.sort(rng.uniform(0, 100, 4000))
    session.wheel_timestamps, session.wheel_position = moments, rng.standard_normal(4000)
    session.licks = moments
    session.pupil = pd.DataFrame({"time": moments, "diameter": rng.uniform(size=4000)})
    session.motion_energy = pd.DataFrame(
        {"time": moments, "value": rng.uniform(size=4000), "camera": "left"}
    )
    before = build_covariates(session, TIMES, INTERVAL, TRAIN)
    cut = 80.0
    later = moments > cut
    session.wheel_position = np.where(later, 50, session.wheel_position)
    session.licks = moments[~later]
    session.pupil = session.pupil.assign(diameter=session.pupil["diameter"].mask(later, 9))
    session.motion_energy = session.motion_energy.assign(
        value=session.motion_energy["value"].mask(later, 9)
    )
    session.trials = session.trials[session.trials["intervals_0"] < 60]
    after = build_covariates(session, TIMES, INTERVAL, TRAIN)
    unchanged = (cut >= TIMES) & (TIMES < 70)  # the last trial starts at 70 s
    assert before.names == after.names
    np.testing.assert_array_equal(before.values[unchanged], after.values[unchanged])
    assert not np.array_equal(before.values, after.values)


def test_continuous_ones_are_scaled_by_training_and_missing_is_the_mean(session):
    rng = np.random.default_rng(0)
    moments = np.arange(0, 90, 0.02)  # the camera stops ten seconds early
    session.pupil = pd.DataFrame({"time": moments, "diameter": 5 + rng.standard_normal(4500)})
    session.pupil.loc[100:200, "diameter"] = np.nan
    built = build_covariates(session, TIMES, INTERVAL, TRAIN)
    pupil = built.values[:, built.names.index("pupil_diameter")]
    assert pupil[TRAIN].mean() == pytest.approx(0, abs=0.02)
    assert pupil[TRAIN].std() == pytest.approx(1, abs=0.03)
    assert (pupil[TIMES > 90.2] == 0).all()
    note = built.notes.set_index("item").loc["pupil_diameter"]
    assert "training mean" in note["reason"]
    assert 50 < note["count"] < 62


def test_without_wheel_and_trials_the_fixed_columns_are_zero_with_a_note(session):
    session.wheel_position = session.wheel_timestamps = None
    session.trials = pd.DataFrame()
    built = build_covariates(session, TIMES, INTERVAL, TRAIN)
    assert built.names == list(FIXED)
    assert not built.values.any()
    assert set(built.notes["item"]) == {"wheel_velocity", "stimulus"}


def test_lick_rate_counts_licks(session):
    session.licks = np.array([10.05, 10.1, 10.15, np.nan, 50.0])
    rate = column(session, "lick_rate")
    assert rate[51] == pytest.approx(15)
    assert rate[250] == pytest.approx(5)
    assert rate.sum() * INTERVAL == pytest.approx(4)


def test_mean_before_by_hand():
    out = mean_before(
        np.array([0.3, 0.1, 0.2, 0.9]), np.array([3.0, 1.0, np.nan, 7.0]), np.arange(4) / 4, 0.25
    )
    np.testing.assert_array_equal(out, [np.nan, 1, 3, np.nan])
    assert np.isnan(mean_before(np.array([]), np.array([]), TIMES, INTERVAL)).all()


def test_constant_signal_is_not_divided_by_zero(session):
    session.pupil = pd.DataFrame({"time": TIMES, "diameter": 4.0})
    built = build_covariates(session, TIMES, INTERVAL, TRAIN)
    assert np.isfinite(built.values).all()
