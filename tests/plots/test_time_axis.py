from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from utils.plots.time_axis import clock_text, gap_frames, label_frames_with_time


def labelled(times, *view):
    figure, ax = plt.subplots()
    label_frames_with_time(ax, np.asarray(times, float), *view)
    labels = [label.get_text() for label in ax.get_xticklabels()]
    found = dict(zip(ax.get_xticks().tolist(), labels))
    plt.close(figure)
    return found


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (75, "1:15"), (0.5, "0:00.5"), (3600, "60:00")]
)
def test_clock_text(seconds, text):
    assert clock_text(seconds) == text


def test_ticks_stand_at_the_frame_of_their_time():
    assert labelled(np.arange(0, 120, 0.2), 0, 50) == {
        5 * k: clock_text(k) for k in range(10)
    }  # 10 s at 5 Hz: a tick per second


def test_no_tick_inside_a_gap():
    times = np.r_[np.arange(0, 60), np.arange(180, 240)]
    assert list(labelled(times).values()) == ["0:00", "0:20", "0:40", "3:00", "3:20", "3:40"]
    assert gap_frames(times).tolist() == [60]


def test_one_frame_and_none():
    assert labelled([5.0]) == {0: "0:05"}
    assert labelled(np.arange(10.0), 4, 4) == {}
    assert gap_frames(np.array([1.0])).tolist() == []
