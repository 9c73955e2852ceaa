"""Saccades are found where a trace has them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from utils.signals.saccades import detect_saccades, eye_velocity

RATE = 120.0


def trace(onsets, amplitudes, n_bins=1200, noise=0.01, seed=0):
    """(time, 2) a fixation with noise and jumps of three bins, each in a direction of its own."""
    rng = np.random.default_rng(seed)
    eyepos = noise * rng.standard_normal((n_bins, 2))
    course = np.array([0.2, 0.8])  # of the jump, in the first two bins
    for onset, amplitude in zip(onsets, amplitudes):
        angle = rng.uniform(0, 2 * np.pi)
        jump = amplitude * np.array([np.cos(angle), np.sin(angle)])
        eyepos[onset : onset + 2] += course[:, None] * jump
        eyepos[onset + 2 :] += jump
    return eyepos


def test_every_jump_is_found_within_a_bin_with_its_size():
    onsets = np.arange(60, 1160, 50)
    amplitudes = np.linspace(0.3, 8, len(onsets))
    found = detect_saccades(trace(onsets, amplitudes), RATE)
    assert len(found.onsets) == len(onsets)
    assert (np.abs(found.onsets - onsets) <= 1).all()
    np.testing.assert_allclose(found.amplitudes, amplitudes, atol=0.06)
    assert (found.ends > found.onsets).all()
    np.testing.assert_allclose(found.peak_velocities, amplitudes * 0.8 * RATE / 2, rtol=0.12)


@pytest.mark.parametrize("rate", [120.0, 240.0, 500.0])
def test_velocities_are_those_of_a_ramp_at_any_rate(rate):
    eyepos = np.column_stack([np.arange(100) / rate * 5, -np.arange(100) / rate * 2])
    velocity = eye_velocity(eyepos, rate, np.zeros(100))
    reach = int(np.flatnonzero(np.isfinite(velocity[:, 0]))[0])
    assert reach == (2 if rate == 500 else 1)
    np.testing.assert_allclose(velocity[reach:-reach], np.tile([5, -2], (100 - 2 * reach, 1)))


def test_noise_alone_is_no_saccade():
    found = detect_saccades(trace([], [], 20_000), RATE)
    assert len(found.onsets) <= 1
    assert found.amplitudes.shape == found.peak_velocities.shape == found.onsets.shape


def test_the_gap_of_a_lost_eye_and_the_border_of_trials_are_no_saccades():
    eyepos = trace([200], [3.0])
    eyepos[600:] += 5  # another trial begins elsewhere
    eyepos[800:840] = np.nan
    eyepos[840:] += 4  # and the eye comes back elsewhere
    found = detect_saccades(eyepos, RATE, np.arange(1200) // 600)
    assert abs(found.onsets - 200).tolist() in ([0], [1])
    assert np.isfinite(found.amplitudes).all()


def test_an_overshoot_belongs_to_its_saccade():
    eyepos = trace([300], [2.0])
    eyepos[302:303] += 0.4  # beyond the target, and back
    assert len(detect_saccades(eyepos, RATE).onsets) == 1


@pytest.mark.parametrize(
    "eyepos",
    [np.zeros((0, 2)), np.zeros((1, 2)), np.full((300, 2), 3.0), np.full((300, 2), np.nan)],
)
def test_traces_without_movement_have_no_saccades(eyepos):
    found = detect_saccades(eyepos, RATE)
    assert all(len(part) == 0 for part in found)


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"eyepos must be \(time, 2\), found \(10,\)"):
        detect_saccades(np.zeros(10), RATE)
