"""The clock: true sample times, no interpolation over holes, FOVs of different length."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from utils.sessions.clock import common_clock, resample_to_clock

RATE = 5.07538
LINE = 41.6e-6  # seconds per scan line


def fov(name: str, n_frames: int, offset: float) -> SimpleNamespace:
    return SimpleNamespace(fov_name=name, timestamps=offset + np.arange(n_frames) / RATE)


def test_clock_is_the_fov_with_most_frames():
    clock = common_clock([fov("FOV_00", 90, 0.0), fov("FOV_01", 100, 0.0243)])
    assert clock.fov_name == "FOV_01"
    assert len(clock.times) == 100
    assert clock.frame_rate == pytest.approx(RATE)


def test_clock_starts_with_the_fov_that_is_scanned_first():
    first, second = fov("FOV_00", 90, 0.0), fov("FOV_01", 100, 0.0243)
    clock = common_clock([first, second])
    np.testing.assert_allclose(clock.times[:90], first.timestamps)
    values = np.zeros((90, 1), np.float32)
    values[50:] = 1  # nothing of frame 50 may be seen before frame 50
    good = np.ones(90, bool)
    seen = resample_to_clock(values, first.timestamps, np.zeros(1), good, clock.times)
    assert (seen[:50] == 0).all()
    assert seen[50] == 1


def test_a_fov_that_started_frames_before_the_others_does_not_move_the_clock():
    clock = common_clock([fov("FOV_00", 90, -3.0), fov("FOV_01", 100, 0.0)])
    assert clock.times[0] == 0


def test_rate_is_that_of_the_median_step_despite_a_gap():
    times = np.concatenate([np.arange(50) / RATE, 100 + np.arange(50) / RATE])
    clock = common_clock([SimpleNamespace(fov_name="FOV_00", timestamps=times)])
    assert clock.frame_rate == pytest.approx(RATE)


@pytest.mark.parametrize("times", [[0.0, 0.2, 0.2], [0.0, np.nan, 0.4], [0.0]])
def test_times_that_are_no_clock_name_the_fov(times):
    with pytest.raises(ValueError, match="FOV_03"):
        common_clock([SimpleNamespace(fov_name="FOV_03", timestamps=np.array(times))])


def test_no_fov():
    with pytest.raises(ValueError, match="no field of view"):
        common_clock([])


def test_closed_form_signal_is_recovered_with_the_scan_row_not_the_column():
    """A sine sampled at the true times comes back; with the column's time it does not."""
    timeshift = np.arange(512) * LINE
    rows, columns = np.array([500, 10, 300]), np.array([3, 490, 20])
    frame_times = 0.17 + np.arange(400) / RATE
    frequency = 0.3
    true_times = frame_times[:, None] + timeshift[rows]  # (frame, roi)
    values = np.sin(2 * np.pi * frequency * true_times)
    clock_times = np.arange(5, 350) / RATE
    expected = np.sin(2 * np.pi * frequency * clock_times)[:, None]
    good = np.ones(400, bool)

    by_row = resample_to_clock(values, frame_times, timeshift[rows], good, clock_times)
    by_column = resample_to_clock(values, frame_times, timeshift[columns], good, clock_times)

    interpolation_error = (2 * np.pi * frequency / RATE) ** 2 / 8  # h^2 / 8 * max |f''|
    assert np.abs(by_row - expected).max() < interpolation_error + 1e-5
    assert np.abs(by_column - expected).max() > 1.5 * interpolation_error


def test_agrees_with_numpy_interpolation_where_all_is_good():
    rng = np.random.default_rng(0)
    frame_times = np.cumsum(rng.uniform(0.19, 0.205, 120))
    offsets = rng.uniform(0, 0.4, 7)  # up to two frames
    values = rng.standard_normal((120, 7)).astype(np.float32)
    clock_times = np.sort(rng.uniform(frame_times[3], frame_times[-1], 100))
    out = resample_to_clock(values, frame_times, offsets, np.ones(120, bool), clock_times)
    for n, offset in enumerate(offsets):
        expected = np.interp(clock_times, frame_times + offset, values[:, n])
        np.testing.assert_allclose(out[:, n], expected, atol=1e-6)


def test_nothing_is_interpolated_across_a_gap_or_from_a_bad_frame():
    frame_times = np.concatenate([np.arange(20) * 0.2, 60 + np.arange(20) * 0.2])
    good = np.ones(40, bool)
    good[7] = False
    values = np.arange(40, dtype=np.float32)[:, None]
    clock_times = np.arange(0, 64, 0.1)
    out = resample_to_clock(values, frame_times, np.zeros(1), good, clock_times)[:, 0]

    inside_gap = (clock_times > 3.8 + 1e-9) & (clock_times < 60 - 1e-9)
    beside_bad = (clock_times > 1.2 + 1e-9) & (clock_times < 1.6 - 1e-9)
    outside = clock_times > frame_times[-1] + 1e-9
    missing = np.isnan(out)
    np.testing.assert_array_equal(missing, inside_gap | beside_bad | outside)
    expected = np.interp(clock_times, frame_times, values[:, 0])
    np.testing.assert_allclose(out[~missing], expected[~missing], atol=1e-4)


def test_shorter_fov_is_missing_at_the_end_only():
    clock = common_clock([fov("FOV_00", 100, 0.0), fov("FOV_01", 80, 0.0)])
    short = fov("FOV_01", 80, 0.0)
    out = resample_to_clock(
        np.ones((80, 2)), short.timestamps, np.zeros(2), np.ones(80, bool), clock.times
    )
    assert np.isfinite(out[:80]).all()
    assert np.isnan(out[80:]).all()


def test_previous_takes_the_last_sample_and_nothing_later():
    frame_times = np.arange(50) * 0.2
    values = np.arange(50, dtype=np.float32)[:, None]
    clock_times = np.array([0.05, 0.25, 4.01])
    offsets = np.array([0.02])
    good = np.ones(50, bool)
    out = resample_to_clock(values, frame_times, offsets, good, clock_times, method="previous")
    np.testing.assert_array_equal(out[:, 0], [0, 1, 19])


def test_previous_holds_no_sample_twice_before_a_gap_or_at_the_end():
    frame_times = np.r_[np.arange(5), np.arange(20, 25)] * 0.2
    values = np.arange(10, dtype=np.float32)[:, None]
    clock_times = np.arange(30) * 0.2 + 0.08  # 0.08 s, and 0.28 s, after the last sample
    good = np.ones(10, bool)
    out = resample_to_clock(values, frame_times, np.zeros(1), good, clock_times, method="previous")[
        :, 0
    ]
    np.testing.assert_array_equal(out[np.isfinite(out)], np.arange(10))


def test_all_frames_bad_gives_no_value():
    out = resample_to_clock(
        np.ones((10, 3)), np.arange(10.0), np.zeros(3), np.zeros(10, bool), np.arange(10.0)
    )
    assert np.isnan(out).all()


def test_lengths_that_disagree_and_unknown_method():
    arguments = (np.ones((10, 3)), np.arange(10.0), np.zeros(2), np.ones(10, bool), np.arange(5.0))
    with pytest.raises(ValueError, match="2 ROI offsets"):
        resample_to_clock(*arguments)
    with pytest.raises(ValueError, match="unknown method 'cubic'"):
        resample_to_clock(
            np.ones((10, 3)),
            np.arange(10.0),
            np.zeros(3),
            np.ones(10, bool),
            np.arange(5.0),
            method="cubic",
        )
