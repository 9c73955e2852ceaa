"""Leaks between training and test windows are measured by hand-computed numbers."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics.leakage import lookup_r2, share_seen


def test_share_of_seen_frames_by_hand():
    # training holds frames 0-3 and 10-13; the test windows hold 2-5, 14-17 and 10-13
    shares = share_seen(np.array([0, 10]), np.array([2, 14, 10]), length=4)
    assert shares.tolist() == [0.5, 0, 1]


def test_windows_one_frame_apart_share_all_but_one():
    assert share_seen(np.array([7]), np.array([8]), length=64) == pytest.approx(63 / 64)


def test_looking_up_noise_shows_a_leak_and_nothing_else():
    # Five independent futures of variance 1 are averaged: the error is 1 + 1/5 on windows that were
    # never seen, (4/5)^2 + 4/25 = 4/5 where one of the five is the test window itself.
    noise = np.random.default_rng(0).normal(size=(6000, 3))
    train, test = np.arange(0, 4800, 12), np.arange(4812, 5988, 12)
    assert lookup_r2(noise, train, test, context=8, horizon=4) == pytest.approx(-0.2, abs=0.03)
    assert lookup_r2(noise, train, train, context=8, horizon=4) == pytest.approx(0.2, abs=0.03)
