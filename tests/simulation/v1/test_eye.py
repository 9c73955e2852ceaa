"""Eye movements: drift, the sizes and intervals of saccades, fixation, and what a tracker sees."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation.v1.eye import (
    DIFFUSION,
    FIELD,
    FREE_WAIT,
    MICROSACCADE_LIMIT,
    MICROSACCADE_SHARE,
    RATE_HZ,
    REFRACTORY,
    SACCADE_SIZE,
    fixation,
    free_viewing,
    measured,
    scene_saccade,
)
from utils.simulation.v1.scenes import IMAGE_SIZE, PX_PER_DEG, SIZE

TRIALS, TRIAL_BINS = 200, 720


@pytest.fixture(scope="module")
def free():
    rng = np.random.default_rng(1)
    return [free_viewing(TRIAL_BINS, rng) for _ in range(TRIALS)]


@pytest.fixture(scope="module")
def fixating():
    rng = np.random.default_rng(2)
    return [fixation(TRIAL_BINS, rng) for _ in range(TRIALS)]


def positions(trials):
    return np.stack([gaze.position for gaze in trials])  # (trial, bin, 2)


def amplitudes(trials):
    return np.concatenate([gaze.amplitudes for gaze in trials])


def drift_steps(gaze):
    """Steps of the gaze from a bin to the next where no saccade is under way."""
    moving = np.zeros(len(gaze.position), bool)
    for onset in (gaze.onsets * RATE_HZ).astype(int):
        moving[max(onset - 1, 0) : onset + round(0.07 * RATE_HZ)] = True
    return np.diff(gaze.position, axis=0)[~moving[1:]]


def test_drift_diffuses_by_2_d_t_along_each_axis(free, fixating):
    for gaze in (free, fixating):
        variance = np.concatenate([drift_steps(trial) for trial in gaze]).var(axis=0)
        np.testing.assert_allclose(variance, 2 * DIFFUSION / RATE_HZ, rtol=0.05)


def test_saccades_wait_for_the_refractory_time_and_a_gamma_interval(free):
    intervals = np.concatenate([np.diff(gaze.onsets) for gaze in free])
    assert intervals.min() >= REFRACTORY
    assert intervals.mean() == pytest.approx(REFRACTORY + FREE_WAIT, rel=0.05)
    assert intervals.var() == pytest.approx(FREE_WAIT**2 / 2, rel=0.15)  # gamma of shape 2


def test_sizes_are_exponential_apart_from_microsaccades():
    """From the middle of the field each saccade below its half width can land."""
    rng = np.random.default_rng(4)
    sizes = np.array([np.hypot(*scene_saccade(np.zeros(2), rng)) for _ in range(20_000)])
    micro = MICROSACCADE_SHARE * len(sizes)
    edges = np.array([MICROSACCADE_LIMIT, 2, 3, 4, FIELD])
    counts = np.histogram(sizes, edges + 1e-9)[0]
    density = -np.diff(np.exp(-edges / SACCADE_SIZE))
    scale = counts.sum() / density.sum()
    np.testing.assert_allclose(counts, scale * density, rtol=0.06)
    below = scale * (1 - np.exp(-MICROSACCADE_LIMIT / SACCADE_SIZE)) + micro
    assert np.sum(sizes <= MICROSACCADE_LIMIT) == pytest.approx(below, rel=0.05)


def test_free_viewing_stays_on_the_image(free):
    """Microsaccades and drift may leave the field by a little."""
    assert np.abs(positions(free)).max() < (IMAGE_SIZE - SIZE) / 2 / PX_PER_DEG
    large = amplitudes(free)[amplitudes(free) > MICROSACCADE_LIMIT]
    assert large.mean() == pytest.approx(3, abs=0.5)  # fewer of the largest than without a border


@pytest.mark.parametrize(("low", "high", "seconds"), [(1, 2, 0.0243), (5, 7, 0.0342)])
def test_a_larger_saccade_lasts_longer(free, low, high, seconds):
    fast = []
    for gaze in free:
        speed = np.hypot(*np.diff(gaze.position, axis=0).T) * RATE_HZ
        which = (gaze.amplitudes > low) & (gaze.amplitudes < high)
        onsets = (gaze.onsets[which] * RATE_HZ).astype(int)
        onsets = onsets[(onsets > 1) & (onsets < len(speed) - 11)]
        fast.extend((speed[onsets[:, None] + np.arange(-1, 11)] > 15).sum(axis=1))
    assert np.mean(fast) / RATE_HZ == pytest.approx(seconds, abs=0.008)


def test_a_saccade_arrives_at_its_amplitude(free):
    for gaze in free[:20]:
        first = (gaze.onsets * RATE_HZ).astype(int) - 1
        inside = (first >= 0) & (first + 9 < TRIAL_BINS)
        moved = gaze.position[first[inside] + 9] - gaze.position[first[inside]]
        np.testing.assert_allclose(np.hypot(*moved.T), gaze.amplitudes[inside], atol=0.2)


def test_fixation_knows_only_microsaccades_and_stays_near_its_place(fixating):
    assert amplitudes(fixating).max() <= MICROSACCADE_LIMIT
    assert np.abs(positions(fixating).mean(axis=(0, 1))).max() < 0.02
    assert (positions(fixating).std(axis=(0, 1)) < 0.25).all()


def test_the_tracker_adds_little_noise_and_loses_the_eye_now_and_then(free):
    gaze = positions(free).reshape(-1, 2)
    eyepos, lost = measured(gaze, np.random.default_rng(3))
    np.testing.assert_array_equal(np.isnan(eyepos), lost[:, None].repeat(2, axis=1))
    assert 0.005 < lost.mean() < 0.03
    assert (eyepos - gaze)[~lost].std() == pytest.approx(0.01, rel=0.05)
