"""Trials of five kinds, interleaved: what is shown in each and how the eye moves meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.simulation.v1.eye import RATE_HZ, Gaze, fixation, free_viewing
from utils.simulation.v1.scenes import (
    GREY,
    SIZE,
    gabor_pattern,
    grating_regions,
    natural_image,
    regions,
)

STIM_TYPES = ("backimage", "gaborium", "gratings", "fixrsvp", "stabilised")
BACKIMAGE, GABORIUM, GRATINGS, FIXRSVP, STABILISED = range(5)
NOISE_SHARE, MOVIE_SHARE = 0.12, 0.08  # of the time, of each kind; the rest is free viewing
TRIAL_SECONDS = {BACKIMAGE: 6.0, GABORIUM: 4.0, GRATINGS: 4.0}  # about
FEWEST = 6  # trials of a kind: enough to split them
REPEATS = 24
MOVIE_SECONDS = (0.4, 4.0)
LEAD_BINS = 36  # grey before a movie, so that no earlier trial acts on it
NOISE_BINS, FLASH_BINS = 4, 6  # that a pattern or grating, and an image of the movie, last
FLASH_SIZE, FLASH_CONTRAST = 200, 0.12  # px; standard deviation over grey
FREQUENCIES = np.geomspace(1, 12, 8)  # c/deg
ORIENTATIONS = np.arange(0, 180, 15.0)
PHASES = np.arange(8) * np.pi / 4


@dataclass(frozen=True)
class Course:
    """What happens in a trial or, trials joined, in a session of T bins."""

    stim: NDArray[np.uint8]  # (T, 51, 51)
    gaze: NDArray[np.float64]  # (T, 2) deg
    saccades: NDArray[np.int64]  # (saccade,) bin of the onset
    psth_inds: NDArray[np.int32]  # (T,)
    grating: NDArray[np.float32]  # (T, 3) sf, ori, phase; NaN where there is none
    stim_type: NDArray[np.int8]  # (T,)
    trial_inds: NDArray[np.int64]  # (T,)


def session_course(n_bins: int, rng: np.random.Generator) -> Course:
    """All trials of a session. The movie's images are drawn once and shown in all repeats."""
    movie_bins = _movie_bins(n_bins)
    n_flashes = -(-movie_bins // FLASH_BINS)
    images = np.stack([natural_image(rng, FLASH_SIZE, FLASH_CONTRAST) for _ in range(n_flashes)])
    trials = _schedule(n_bins, movie_bins)
    courses, first = [], 0
    for number, which in enumerate(rng.permutation(len(trials))):
        kind, length = trials[which]
        show = (_backimage, _gaborium, _gratings, _fixrsvp, _stabilised)[kind]
        stim, gaze, psth_inds, grating = show(length, images, rng)
        courses.append(
            Course(
                stim,
                gaze.position,
                first + (gaze.onsets * RATE_HZ).astype(int),
                psth_inds,
                grating,
                np.full(length, kind, np.int8),
                np.full(length, number),
            )
        )
        first += length
    return Course(*(np.concatenate(parts) for parts in zip(*(vars(c).values() for c in courses))))


def _movie_bins(n_bins: int) -> int:
    seconds = MOVIE_SHARE * n_bins / RATE_HZ / REPEATS - LEAD_BINS / RATE_HZ
    return round(np.clip(seconds, *MOVIE_SECONDS) * RATE_HZ)


def _schedule(n_bins: int, movie_bins: int) -> list[tuple[int, int]]:
    """Kind and length in bins of all trials, in order of kind."""
    movies = [(kind, LEAD_BINS + movie_bins) for kind in (FIXRSVP, STABILISED)] * REPEATS
    noise_bins = round(NOISE_SHARE * n_bins)
    free_bins = n_bins - 2 * noise_bins - sum(length for _, length in movies)
    bins = {BACKIMAGE: free_bins, GABORIUM: noise_bins, GRATINGS: noise_bins}
    return movies + [(kind, length) for kind in bins for length in _cut(bins[kind], kind)]


def _cut(n_bins: int, kind: int) -> NDArray[np.int64]:
    n_trials = max(FEWEST, round(n_bins / RATE_HZ / TRIAL_SECONDS[kind]))
    return np.diff(np.linspace(0, n_bins, n_trials + 1).round().astype(int))


Shown = tuple[NDArray[np.uint8], Gaze, NDArray[np.int32], NDArray[np.float32]]


def _backimage(n_bins: int, _: NDArray[np.float32], rng: np.random.Generator) -> Shown:
    gaze = free_viewing(n_bins, rng)
    scene = natural_image(rng)[None]
    return _unlabelled(regions(scene, np.zeros(n_bins, int), gaze.position), gaze)


def _gaborium(n_bins: int, _: NDArray[np.float32], rng: np.random.Generator) -> Shown:
    """Patterns around the place of fixation."""
    gaze = fixation(n_bins, rng)
    patterns = np.stack([gabor_pattern(rng) for _ in range(-(-n_bins // NOISE_BINS))])
    return _unlabelled(regions(patterns, np.arange(n_bins) // NOISE_BINS, gaze.position), gaze)


def _gratings(n_bins: int, _: NDArray[np.float32], rng: np.random.Generator) -> Shown:
    gaze = fixation(n_bins, rng)
    sf, ori, phase = (
        rng.choice(values, -(-n_bins // NOISE_BINS)).repeat(NOISE_BINS)[:n_bins]
        for values in (FREQUENCIES, ORIENTATIONS, PHASES)
    )
    # gratings stay on the screen: at the centre of gaze their phase moves with the eye
    angle = np.deg2rad(ori)
    along = gaze.position[:, 0] * np.cos(angle) + gaze.position[:, 1] * np.sin(angle)
    phase = (phase + 2 * np.pi * sf * along) % (2 * np.pi)
    grating = np.stack([sf, ori, phase], axis=1).astype(np.float32)
    return grating_regions(sf, ori, phase), gaze, np.full(n_bins, -1, np.int32), grating


def _fixrsvp(n_bins: int, images: NDArray[np.float32], rng: np.random.Generator) -> Shown:
    gaze = fixation(n_bins, rng)
    return _movie(images, gaze, gaze.position)


def _stabilised(n_bins: int, images: NDArray[np.float32], rng: np.random.Generator) -> Shown:
    gaze = fixation(n_bins, rng)
    return _movie(images, gaze, np.zeros_like(gaze.position))


def _movie(images: NDArray[np.float32], gaze: Gaze, seen_at: NDArray[np.float64]) -> Shown:
    n_bins = len(seen_at)
    stim = np.full((n_bins, SIZE, SIZE), GREY, np.uint8)
    place = np.arange(n_bins - LEAD_BINS)
    stim[LEAD_BINS:] = regions(images, place // FLASH_BINS, seen_at[LEAD_BINS:])
    psth_inds = np.arange(n_bins) - LEAD_BINS
    return stim, gaze, np.maximum(psth_inds, -1).astype(np.int32), _no_grating(n_bins)


def _unlabelled(stim: NDArray[np.uint8], gaze: Gaze) -> Shown:
    return stim, gaze, np.full(len(stim), -1, np.int32), _no_grating(len(stim))


def _no_grating(n_bins: int) -> NDArray[np.float32]:
    return np.full((n_bins, 3), np.nan, np.float32)
