"""Trials of a session: kinds and their shares, repeats, gratings, grey before movies."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from utils.simulation.v1.eye import RATE_HZ
from utils.simulation.v1.scenes import GREY, SIZE, grating_regions
from utils.simulation.v1.trials import (
    BACKIMAGE,
    FEWEST,
    FIXRSVP,
    GABORIUM,
    GRATINGS,
    LEAD_BINS,
    NOISE_BINS,
    REPEATS,
    STABILISED,
    session_course,
)

N_BINS = round(1.2 * 60 * RATE_HZ)


@pytest.fixture(scope="module")
def course():
    return session_course(N_BINS, np.random.default_rng(0))


def trials(course, kind):
    """Bins of each trial of a kind."""
    bins = np.split(np.arange(N_BINS), np.flatnonzero(np.diff(course.trial_inds)) + 1)
    return [trial for trial in bins if course.stim_type[trial[0]] == kind]


def repeats(course, kind):
    """(repeat, place in the movie) bins."""
    return np.stack([trial[LEAD_BINS:] for trial in trials(course, kind)])


def test_trials_fill_the_session_and_kinds_take_turns(course):
    assert all(len(values) == N_BINS for name, values in vars(course).items() if name != "saccades")
    np.testing.assert_array_equal(
        np.unique(course.trial_inds), np.arange(course.trial_inds[-1] + 1)
    )
    assert set(np.diff(course.trial_inds)) == {0, 1}
    kinds = course.stim_type[np.flatnonzero(np.diff(course.trial_inds, prepend=-1))]
    assert np.mean(np.diff(kinds) != 0) > 0.5
    for kind in (BACKIMAGE, GABORIUM, GRATINGS):
        assert len(trials(course, kind)) >= FEWEST


def test_a_long_session_is_mostly_free_viewing():
    n_bins = round(4 * 60 * RATE_HZ)
    course = session_course(n_bins, np.random.default_rng(0))
    shares = np.bincount(course.stim_type) / n_bins
    np.testing.assert_allclose(shares, [0.6, 0.12, 0.12, 0.08, 0.08], atol=0.01)


def test_places_in_the_movie_are_numbered_after_a_lead_of_grey(course):
    for kind in (FIXRSVP, STABILISED):
        for trial in trials(course, kind):
            assert (course.stim[trial[:LEAD_BINS]] == GREY).all()
            expected = np.maximum(np.arange(len(trial)) - LEAD_BINS, -1)
            np.testing.assert_array_equal(course.psth_inds[trial], expected)
    assert (course.psth_inds[course.stim_type < FIXRSVP] == -1).all()


def test_the_movie_repeats_and_only_the_eye_makes_it_differ(course):
    moving, still = repeats(course, FIXRSVP), repeats(course, STABILISED)
    assert len(moving) == len(still) == REPEATS >= 20
    frames = course.stim[still]
    assert (frames == frames[0]).all()
    assert frames[0].std() > 3
    eyes = course.gaze[still]
    assert eyes.std(axis=0).min() > 0.02  # the eye moves all the same
    offset = np.hypot(*course.gaze[moving].T).T  # from where the stabilised eye looks
    error = np.abs(course.stim[moving].astype(int) - frames[0]).mean(axis=(2, 3))
    assert error[offset < 0.01].mean() < 0.3 * error[offset > 0.1].mean()


def test_gratings_change_every_few_bins_and_are_what_their_labels_say(course):
    shown = course.stim_type == GRATINGS
    assert np.isnan(course.grating[~shown]).all()
    assert np.isfinite(course.grating[shown]).all()
    for trial in trials(course, GRATINGS):
        expected = grating_regions(*course.grating[trial].T).astype(int)
        assert np.abs(course.stim[trial] - expected).max() <= 1  # labels are float32
        held = course.grating[trial[: len(trial) // NOISE_BINS * NOISE_BINS], :2]
        held = held.reshape(-1, NOISE_BINS, 2)
        assert (held == held[:, :1]).all()
        assert len(np.unique(held[:, 0], axis=0)) > len(held) / 2


def test_a_grating_stays_on_the_screen_while_the_eye_moves(course):
    trial = trials(course, GRATINGS)[0]
    sf, ori, phase = course.grating[trial].T
    angle = np.deg2rad(ori)
    along = (course.gaze[trial] * np.stack([np.cos(angle), np.sin(angle)], axis=1)).sum(axis=1)
    on_screen = np.exp(1j * (phase - 2 * np.pi * sf * along))
    same = np.arange(len(trial) - 1) % NOISE_BINS != NOISE_BINS - 1
    np.testing.assert_allclose(on_screen[1:][same], on_screen[:-1][same], atol=1e-4)


def test_noise_patterns_are_new_every_few_bins(course):
    trial = trials(course, GABORIUM)[0]
    frames = course.stim[trial].reshape(len(trial), SIZE * SIZE).astype(float)
    like_before = np.array([np.corrcoef(a, b)[0, 1] for a, b in pairwise(frames)])
    renewed = np.arange(1, len(trial)) % NOISE_BINS == 0
    assert np.median(like_before[renewed]) < 0.2
    assert np.median(like_before[~renewed]) > 0.9


def test_saccades_lie_in_the_session_and_move_the_eye(course):
    assert (course.saccades >= 0).all()
    assert (course.saccades < N_BINS).all()
    assert (np.diff(course.saccades) >= 0).all()
    free = course.saccades[course.stim_type[course.saccades] == BACKIMAGE]
    inside = free[(free > 1) & (free + 8 < N_BINS)]
    inside = inside[course.trial_inds[inside - 1] == course.trial_inds[inside + 8]]
    jumps = np.hypot(*(course.gaze[inside + 8] - course.gaze[inside - 1]).T)
    assert np.median(jumps) > 0.5
