"""Split borders: by hand, and by properties of any recording."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from utils.splits import (
    PASSIVE,
    TEST,
    TRAIN,
    UNUSED,
    VALIDATION,
    find_segments,
    split_by_blocks,
    widen_gaps,
)

BLOCKS = (TRAIN, VALIDATION, TEST)


def runs(labels: np.ndarray) -> list[tuple[int, int, int]]:
    """(label, first, stop) of each run."""
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [(int(labels[a]), a, b) for a, b in pairwise(edges)]


# ---------------------------------------------------------------------------------- segments


def test_a_recording_without_holes_is_one_segment():
    assert find_segments(np.arange(10) / 5.0).tolist() == [[0, 10]]


def test_segments_end_at_holes_and_at_frames_that_are_not_valid():
    times = np.arange(10) / 5.0
    times[6:] += 0.11  # a step of .31 s: more than 1.5 x .2 s
    valid = np.ones(10, bool)
    valid[[2, 9]] = False
    assert find_segments(times, valid).tolist() == [[0, 2], [3, 6], [6, 9]]
    assert find_segments(times, valid, tolerance=2.0).tolist() == [[0, 2], [3, 9]]


@pytest.mark.parametrize("n", [0, 1])
def test_segments_of_nothing_and_of_one_frame(n):
    assert find_segments(np.zeros(n)).tolist() == [[0, 1]] * n
    assert find_segments(np.zeros(n), np.zeros(n, bool)).shape == (0, 2)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([[0.0, 1.0]], r"must be \(time,\), found shape \(1, 2\)"),
        ([0.0, np.nan, 2.0], "frame 1 is nan"),
        ([0.0, np.inf], "frame 1 is inf"),
        ([0.0, 2.0, 1.0], "frame 1 is at 2 s, frame 2 at 1 s"),
        ([0.0, 1.0, 1.0], "must increase"),
    ],
)
def test_wrong_timestamps_are_named(times, message):
    with pytest.raises(ValueError, match=message):
        find_segments(times)


def test_valid_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"valid has shape \(3,\), expected \(4,\)"):
        find_segments(np.arange(4), np.ones(3, bool))


# ------------------------------------------------------------------------------------ blocks


def test_split_by_time_by_hand():
    labels = split_by_blocks(np.arange(100) / 5, (0.7, 0.1, 0.2), gap=4)
    assert runs(labels) == [
        (TRAIN, 0, 70),
        (UNUSED, 70, 74),
        (VALIDATION, 74, 80),
        (UNUSED, 80, 84),
        (TEST, 84, 100),
    ]


def test_shares_count_valid_frames_outside_the_passive_bout():
    valid = np.ones(100, bool)
    valid[:20] = False  # 20 bad frames, 60 of the task, 20 passive
    labels = split_by_blocks(
        np.arange(100.0), (0.5, 0.25, 0.25), 3, valid=valid, passive=(80.0, 99.0)
    )
    assert runs(labels) == [
        (TRAIN, 0, 50),
        (UNUSED, 50, 53),
        (VALIDATION, 53, 65),
        (UNUSED, 65, 68),
        (TEST, 68, 80),
        (UNUSED, 80, 83),
        (PASSIVE, 83, 100),
    ]


def test_a_passive_bout_between_task_bouts_is_fenced_on_both_sides():
    labels = split_by_blocks(np.arange(100.0), (0.5, 0.25, 0.25), 2, passive=(10.0, 19.0))
    assert runs(labels)[:5] == [
        (TRAIN, 0, 10),
        (UNUSED, 10, 12),
        (PASSIVE, 12, 20),
        (UNUSED, 20, 22),
        (TRAIN, 22, 55),
    ]


def test_borders_move_to_the_nearest_trial_start():
    times = np.arange(100) / 5.0  # borders by time at 14 s and 16 s
    trials = [1.0, 13.5, 14.4, 16.3, np.nan, 1e6]
    labels = split_by_blocks(times, (0.7, 0.1, 0.2), 2, trial_starts=trials)
    assert times[np.argmax(labels != TRAIN)] == 14.4
    assert labels[np.searchsorted(times, 16.3) - 1] == VALIDATION
    assert labels[np.searchsorted(times, 16.3)] == UNUSED


def test_train_is_the_same_for_every_gap():
    narrow, wide = (split_by_blocks(np.arange(200.0), (0.6, 0.2, 0.2), gap) for gap in (1, 15))
    assert np.array_equal(narrow == TRAIN, wide == TRAIN)
    assert np.array_equal(widen_gaps(narrow, 15), wide)


@pytest.mark.parametrize(
    "fractions", [(0.7, 0.3), (0.7, 0.1, 0.1), (0.8, 0.0, 0.2), (1.2, -0.4, 0.2), (np.nan, 1, 0)]
)
def test_fractions_that_are_no_shares_are_refused(fractions):
    with pytest.raises(ValueError, match="three positive shares"):
        split_by_blocks(np.arange(100.0), fractions, 2)


@pytest.mark.parametrize("gap", [-1, 2.5, True])
def test_a_gap_that_is_no_number_of_frames_is_refused(gap):
    with pytest.raises(ValueError, match="gap must be"):
        split_by_blocks(np.arange(100.0), (0.7, 0.1, 0.2), gap)


def test_too_short_a_recording_names_lengths_and_the_way_out():
    with pytest.raises(
        ValueError, match=r"300 frames.*train 210, validation 0, test 26 .*shorter context"
    ):
        split_by_blocks(np.arange(300.0), (0.7, 0.1, 0.2), gap=64)


def test_a_block_cut_up_by_bad_frames_is_too_short_as_well():
    valid = np.ones(1000, bool)
    valid[::50] = False
    with pytest.raises(ValueError, match="train 49, validation 35, test 49"):
        split_by_blocks(np.arange(1000.0), (0.7, 0.1, 0.2), gap=64, valid=valid)


@pytest.mark.parametrize("times", [[], [1.0]])
def test_an_empty_recording_or_one_frame(times):
    with pytest.raises(ValueError, match=r"none of 0 frames|too short: 1 frames"):
        split_by_blocks(times, (0.7, 0.1, 0.2), 2)


def test_no_valid_frame_and_no_trial_inside_are_named():
    with pytest.raises(ValueError, match="none of 50 frames is valid"):
        split_by_blocks(np.arange(50.0), (0.7, 0.1, 0.2), 2, valid=np.zeros(50, bool))
    with pytest.raises(ValueError, match="no trial starts within"):
        split_by_blocks(np.arange(50.0), (0.7, 0.1, 0.2), 2, trial_starts=[99.0, np.nan])


def test_widening_may_use_a_block_up_and_then_fences_the_one_before():
    labels = np.repeat([TRAIN, VALIDATION, TEST], [10, 3, 10]).astype(np.int8)
    widened = widen_gaps(labels, 5)
    assert runs(widened) == [(TRAIN, 0, 10), (UNUSED, 10, 15), (TEST, 15, 23)]
    assert labels[10] == VALIDATION  # the input is left alone


# -------------------------------------------------------------------------------- properties


@st.composite
def recordings(draw):
    """A recording with holes, bad frames, trials and perhaps a passive bout."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(200, 1500))
    steps = rng.uniform(0.18, 0.22, n)
    steps[rng.integers(n, size=draw(st.integers(0, 3)))] += 30
    times = np.cumsum(steps)
    valid = rng.random(n) > draw(st.sampled_from([0.0, 0.002, 0.01]))
    passive = (times[int(0.9 * n)], times[-1]) if draw(st.booleans()) else None
    trials = np.sort(rng.uniform(times[0], times[-1], n // 30)) if draw(st.booleans()) else None
    parts = np.array(draw(st.tuples(*[st.integers(2, 10)] * 3)), float)
    return times, valid, passive, trials, tuple(parts / parts.sum()), draw(st.integers(1, 30))


@settings(max_examples=150, deadline=None)
@given(recordings())
def test_blocks_of_any_recording(recording):
    times, valid, passive, trials, fractions, gap = recording
    try:
        labels = split_by_blocks(
            times, fractions, gap, valid=valid, passive=passive, trial_starts=trials
        )
    except ValueError as error:
        assert "too short" in str(error)  # noqa: PT017
        assume(False)

    # Blocks are contiguous and in order, fenced by at least `gap` unused frames.
    blocks = [run for run in runs(labels) if run[0] != UNUSED]
    assert [label for label, _, _ in blocks][:3] == list(BLOCKS)
    assert len(blocks) <= 4
    for (_, _, stop), (_, start, _) in pairwise(blocks):
        assert start - stop >= gap
    # Every window lies inside one segment of one block.
    for label in BLOCKS:
        segments = find_segments(times, valid & (labels == label))
        assert np.diff(segments, axis=1).max() >= gap
        for start, stop in segments:
            assert (labels[start:stop] == label).all()
            assert valid[start:stop].all()
            assert (np.diff(times[start:stop]) < 1).all()
    if passive is not None:
        assert (times[labels == PASSIVE] >= passive[0]).all()
        assert not ((labels < PASSIVE) & (labels >= 0) & (times >= passive[0])).any()
    if trials is None:
        _check_shares(labels, valid, passive, times, fractions, gap)


def _check_shares(labels, valid, passive, times, fractions, gap):
    task = valid if passive is None else valid & (times < passive[0])
    shares = [np.sum(task & (labels == label)) / task.sum() for label in BLOCKS]
    lost = np.array([0, gap, gap]) / task.sum()
    assert (np.abs(np.array(fractions) - lost / 2 - shares) <= lost / 2 + 2 / task.sum()).all()


@settings(deadline=None)
@given(st.lists(st.sampled_from([TRAIN, VALIDATION, TEST, PASSIVE, UNUSED]), max_size=60))
def test_widening_any_labels_only_removes_and_is_done_after_once(labels):
    labels = np.array(labels, np.int8)
    widened = widen_gaps(labels, 4)
    kept = widened != UNUSED
    assert np.array_equal(widened[kept], labels[kept])
    assert np.array_equal(widen_gaps(widened, 4), widened)
    used = np.flatnonzero(kept)
    for a, b in pairwise(used):
        assert widened[a] == widened[b] or b - a > 4
