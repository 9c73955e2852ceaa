from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from utils.load_meso_session import open_session
from utils.preprocessing import preprocess
from utils.widgets import Recording
from utils.widgets.recording import ORDERS, as_recording, short_name, trial_events


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    neurons = pd.DataFrame(
        {"region": ["MOs", "VISp", "VISl", "VISp"], "ap": [1000.0, -3000.0, -2500.0, -2000.0]}
    )
    return Recording.from_arrays(rng.normal(size=(50, 4)), np.arange(50) / 5, neurons)


def test_levels_are_means_over_four_frames():
    activity = np.arange(4500, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    activity[:4] = np.nan
    activity[4] = np.nan
    recording = Recording.from_arrays(activity, np.arange(4500) / 5)
    assert [len(level) for level in recording.levels] == [4500, 1125, 282]
    assert np.isnan(recording.levels[1][0]).all()
    np.testing.assert_array_equal(recording.levels[1][1], np.full(3, 6))  # mean of 5, 6, 7
    np.testing.assert_array_equal(recording.levels[1][-1], np.full(3, 4497.5))


def test_orders(arrays):
    assert arrays.order("original").tolist() == [0, 1, 2, 3]
    assert arrays.order("position").tolist() == [0, 3, 2, 1]  # from the front to the back
    assert arrays.order("area").tolist() == [3, 1, 2, 0]  # VISp (front first), VISl, MOs
    assert sorted(arrays.order("correlation")) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="no order 'size'; known: original"):
        arrays.order("size")


def test_order_needs_what_it_sorts_by():
    recording = Recording.from_arrays(np.ones((5, 2)), np.arange(5))
    for order in ("area", "position"):
        with pytest.raises(ValueError, match="this recording has no"):
            recording.order(order)


def test_order_by_correlation_survives_missing_and_constant_neurons():
    rng = np.random.default_rng(1)
    activity = rng.normal(size=(80, 6))
    activity[:, 1] = np.nan
    activity[:, 4] = 2.0
    recording = Recording.from_arrays(activity, np.arange(80))
    order = recording.order("correlation")
    assert sorted(order) == list(range(6))
    assert order[-1] == 1  # the neuron without a value comes last
    nothing = Recording.from_arrays(np.full((80, 3), np.nan), np.arange(80))
    assert nothing.order("correlation").tolist() == [0, 1, 2]


def test_moments_leave_missing_values_out():
    activity = np.array([[1.0, 5, np.nan], [3.0, 5, np.nan], [np.nan, 5, np.nan]])
    mean, spread = Recording.from_arrays(activity, np.arange(3)).moments
    np.testing.assert_allclose(mean, [2, 5, 0])
    np.testing.assert_allclose(spread, [1, 1, 1])


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"\(5, 2\) and 4 times"):
        Recording.from_arrays(np.ones((5, 2)), np.arange(4))


def test_trial_events_split_feedback_by_outcome():
    trials = pd.DataFrame(
        {"stimOn_times": [1.0, 4], "feedback_times": [2.0, 5], "feedbackType": [1, -1]}
    )
    events = trial_events(trials)
    assert {name: list(times) for name, times in events.items()} == {
        "stimulus": [1, 4],
        "reward": [2],
        "error": [5],
    }
    assert trial_events(pd.DataFrame()) == {}


def test_session_and_its_file_give_the_same_picture_of_time(tiny_session):
    _, eid = tiny_session
    session = open_session(eid)
    live = as_recording(session)
    path = preprocess(session, progress=False)
    stored = as_recording(path)
    assert live.simulated
    assert stored.simulated
    assert live.unit == "dF/F"
    np.testing.assert_allclose(stored.times, live.times)
    np.testing.assert_array_equal(stored.events["stimulus"], live.events["stimulus"])
    assert set(live.behaviour) == {"wheel (rad/s)", "pupil (px)", "motion (a.u.)", "licks (1/s)"}
    assert set(stored.behaviour) == {"wheel speed (z)", "pupil (z)", "motion (z)", "licks (z)"}
    assert isinstance(stored.levels[0], np.memmap)  # a large file stays on disk
    for order in ORDERS:
        assert sorted(stored.order(order)) == list(range(stored.n_neurons))


def test_licks_are_counted_in_the_frame_that_just_ended(tiny_session):
    session = open_session(tiny_session[1])
    recording = as_recording(session)
    interval = np.median(np.diff(recording.times))
    frame = 200
    expected = np.count_nonzero(
        (session.licks >= recording.times[frame] - interval)
        & (session.licks < recording.times[frame])
    )
    assert recording.behaviour["licks (1/s)"][frame] * interval == pytest.approx(expected)


@pytest.mark.parametrize(
    ("eid", "name"),
    [("7596ec58-8278-36ea-8735-b90caa516c4b", "7596ec58"), ("suite2p_small", "suite2p_small")],
)
def test_only_experiment_ids_are_shortened(eid, name):
    assert short_name(eid) == name


def test_other_types_are_named():
    with pytest.raises(TypeError, match="cannot browse a list"):
        as_recording([1, 2])
