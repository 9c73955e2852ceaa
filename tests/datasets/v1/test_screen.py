"""Frames of a session: where things are on the screen, and when."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from utils.datasets.v1.screen import Screen, noise_on_screen, patch_on_screen, shown_frames

INTERVAL = 0.2
TIMES = 10 + INTERVAL * np.arange(1, 101)  # ends of bins


def a_session(**what):
    nothing = {"noise_frames": None, "noise_times": None, "trials": pd.DataFrame()}
    return SimpleNamespace(**{**nothing, "wheel_position": None, "wheel_timestamps": None, **what})


def contrast_of(session, times=TIMES):
    return (shown_frames(session, times, INTERVAL).astype(float) - 127) / 127


def a_trial(side="Left", contrast=1.0, **changes):
    other = "Right" if side == "Left" else "Left"
    values = {f"contrast{side}": contrast, f"contrast{other}": np.nan, "stimOn_times": 12.0}
    values |= {"response_times": 13.0, "stimOff_times": 15.0, **changes}
    return pd.DataFrame([values])


def patch_azimuth(frames):
    """Centre of the squared contrast along the azimuth; NaN where there is no patch."""
    energy = (frames**2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return energy @ Screen().azimuth / energy.sum(axis=1)


def noise(seed=0, n=40):
    rng = np.random.default_rng(seed)
    frames = rng.choice(np.array([0, 128, 255], np.uint8), (n, 15, 15))
    return {"noise_frames": frames, "noise_times": 12 + 0.25 * np.arange(n)}


def test_rows_go_down_and_columns_to_the_right():
    screen = Screen()
    assert screen.azimuth[[0, -1]].tolist() == [-58, 58]
    assert screen.elevation[[0, -1]].tolist() == [58, -58]


def test_squares_of_noise_lie_where_the_rig_shows_them():
    frames = np.full((1, 15, 15), 128, np.uint8)
    frames[0, 2, 5], frames[0, 14, 0] = 255, 0
    (image,) = noise_on_screen(frames, Screen())
    assert np.argwhere(image == 1).tolist() == [[4, 10], [4, 11], [5, 10], [5, 11]]
    assert np.argwhere(image == -1).tolist() == [[28, 0], [28, 1], [29, 0], [29, 1]]
    (wide,) = noise_on_screen(frames, Screen(rows=16, columns=40, px_per_deg=0.25))
    assert np.argwhere(wide == 1).tolist() == []  # above the upper border
    assert not wide[:, :5].any()  # beside the noise


def test_a_bin_shows_the_mean_of_what_was_shown_in_it():
    session = a_session(**noise())
    fine = np.arange(10, 30, 0.001) + 0.0005
    frame = np.floor((fine - 12) / 0.25).astype(int)
    squares = (session.noise_frames.astype(float) - 128) / 127
    shown = np.where((frame >= 0) & (frame < 40), squares[frame % 40, 7, 3].clip(-1, 1), 0)
    np.testing.assert_allclose(
        contrast_of(session)[:, 15, 7], shown.reshape(-1, 200).mean(axis=1), atol=0.006
    )


def test_between_two_runs_of_noise_the_screen_is_grey():
    told = noise()
    told["noise_times"][20:] += 3
    frames = contrast_of(a_session(**told))
    ends = (TIMES > 17.5) & (TIMES < 20)
    assert not frames[ends].any()
    assert frames[TIMES < 17].any()
    assert frames[TIMES > 20.5].any()


@pytest.mark.parametrize(("side", "sign"), [("Left", -1), ("Right", 1)])
def test_a_patch_appears_at_its_side_while_it_is_on(side, sign):
    frames = contrast_of(a_session(trials=a_trial(side)))
    on = (TIMES > 12.001) & (TIMES < 15.1)
    assert frames[on].any(axis=(1, 2)).all()
    assert not frames[~on].any()
    np.testing.assert_allclose(patch_azimuth(frames[on]), sign * 35, atol=0.2)
    rows = (frames[on] ** 2).sum(axis=(0, 2))
    assert rows @ Screen().elevation / rows.sum() == pytest.approx(0, abs=0.1)


def test_contrast_scales_a_patch_and_none_is_grey():
    full, quarter, none = (
        contrast_of(a_session(trials=a_trial(contrast=level))) for level in (1.0, 0.25, 0.0)
    )
    np.testing.assert_allclose(quarter, full / 4, atol=0.005)
    assert np.abs(full).max() > 0.8
    assert not none.any()


def test_the_wheel_moves_a_patch_until_the_response():
    ticks = np.linspace(9, 31, 2201)
    turned = np.interp(ticks, [12, 13, 14], [0, 0.28, 0.9])
    session = a_session(trials=a_trial(), wheel_position=turned, wheel_timestamps=ticks)
    frames = contrast_of(session)
    where = patch_azimuth(frames)
    at = dict(zip(TIMES.round(1), where))
    assert at[12.2] == pytest.approx(-35 + 3.5, abs=2)
    assert at[12.6] == pytest.approx(-35 + 17.5, abs=2)
    late = where[(TIMES > 13.25) & (TIMES < 15.05)]
    np.testing.assert_allclose(late, 0, atol=1.5)
    # stripes do not move along, so that the mean over a bin does not blur them
    moving, still = (frames[TIMES.round(1) == time].std() for time in (12.6, 14.0))
    assert moving == pytest.approx(still, rel=0.25)


def test_half_a_bin_of_patch_has_half_the_contrast():
    frames = contrast_of(a_session(trials=a_trial(stimOn_times=12.1, response_times=13.1)))
    first, second = frames[TIMES.round(1) == 12.2][0], frames[TIMES.round(1) == 12.4][0]
    np.testing.assert_allclose(first, second / 2, atol=0.005)


def test_times_that_a_trial_lacks_have_stand_ins():
    trial = a_trial().drop(columns=["response_times", "stimOff_times"])
    shown = contrast_of(a_session(trials=trial)).any(axis=(1, 2))
    assert TIMES[shown].max() == pytest.approx(14, abs=0.01)  # a second for each


def test_patches_to_probe_with_are_those_of_the_task():
    frame = contrast_of(a_session(trials=a_trial("Right", 0.5)))[TIMES.round(1) == 14.0][0]
    (patch,) = patch_on_screen([0.5], [35.0], Screen())
    np.testing.assert_allclose(frame, patch, atol=0.005)


def test_what_a_session_has_not_is_grey():
    assert (shown_frames(a_session(), TIMES, INTERVAL) == 127).all()
