"""Transforms against values by hand; causal, and fitted on nothing but what they are given."""

from __future__ import annotations

import numpy as np
import pytest

from utils.datasets.v1.transforms import (
    TRANSFORMS,
    Diff,
    MaxNorm,
    PixelNorm,
    RaisedCosines,
    Smooth,
    SplitRelu,
    SymLog,
    Unsqueeze,
    Whitening,
    ZScore,
    apply_transforms,
    fit_transforms,
)


def apply(transform, run):
    run = np.asarray(run, np.float32)
    return transform.apply(run, transform.fit([run]))


def test_values_by_hand():
    np.testing.assert_allclose(apply(PixelNorm(), [127, 0, 255]), [0, -127 / 255, 128 / 255])
    np.testing.assert_array_equal(
        apply(Diff(), [[3, 1], [5, 0], [4, 4]]), [[0, 0], [2, -1], [-1, 4]]
    )
    np.testing.assert_allclose(apply(MaxNorm(), [[1, -4], [2, 0]]), [[0.25, -1], [0.5, 0]])
    np.testing.assert_allclose(apply(ZScore(), [[1], [3]]), [[-1], [1]])
    np.testing.assert_allclose(apply(SymLog(), [[np.e - 1, 1 - np.e, 0]]), [[1, -1, 0]], rtol=1e-6)
    np.testing.assert_array_equal(apply(SplitRelu(), [[2, -3]]), [[2, 0, 0, 3]])
    assert apply(Unsqueeze(), np.zeros((5, 3, 4))).shape == (5, 1, 3, 4)


def test_pixels_of_one_byte_do_not_wrap():
    run = np.array([[0, 200], [200, 0]], np.uint8)
    np.testing.assert_array_equal(Diff().apply(run, {}), [[0, 0], [200, -200]])
    assert PixelNorm().apply(run, {}).min() == pytest.approx(-127 / 255)


def test_raised_cosines_answer_an_impulse_with_their_basis():
    transform = RaisedCosines(n=4, length=12)
    impulse = np.zeros((20, 2), np.float32)
    impulse[3, 0] = 1
    response = apply(transform, impulse)
    assert response.shape == (20, transform.width(2)) == (20, 8)
    np.testing.assert_allclose(response[3:15, :4], transform.basis.T, atol=1e-6)
    assert not response[:3].any()
    assert not response[15:].any()
    assert not response[:, 4:].any()  # of the other column


def test_raised_cosines_widen_with_the_lag():
    basis = RaisedCosines(n=5, length=40).basis
    assert basis[0, 0] == pytest.approx(1)  # the first is about now
    assert basis[-1, -1] == pytest.approx(1)
    widths = (basis > 0.5).sum(axis=1)[1:-1]
    assert (np.diff(widths) > 0).all()
    np.testing.assert_allclose(basis[:, 1:-1].sum(axis=0), 2, atol=0.6)
    inner = basis[1:-1].sum(axis=0)
    assert inner.max() <= 2 + 1e-5


def test_smooth_keeps_a_constant_and_averages_the_past():
    np.testing.assert_allclose(apply(Smooth(sd=2), np.full((9, 1), 3.0)), 3, rtol=1e-6)
    smoothed = apply(Smooth(sd=1), [[0], [0], [1], [0], [0], [0]])[:, 0]
    weights = np.exp(-0.5 * np.arange(4) ** 2)
    np.testing.assert_allclose(smoothed[:3], [0, 0, 1 / weights[:3].sum()], rtol=1e-6)
    np.testing.assert_allclose(smoothed[3:], weights[1:] / weights.sum(), rtol=1e-6)


def test_whitening_scales_a_grating_by_the_gain_of_its_frequency():
    frequency = 8 / 32  # cycles per pixel
    grating = np.cos(2 * np.pi * frequency * np.arange(32)) + np.zeros((1, 32, 1))
    gain = frequency * np.exp(-((frequency / 0.4) ** 4))
    np.testing.assert_allclose(apply(Whitening(), grating), gain * grating, atol=1e-6)
    np.testing.assert_allclose(apply(Whitening(), np.full((1, 8, 8), 5.0)), 0, atol=1e-6)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_no_transform_looks_ahead_or_further_back_than_its_reach(name):
    rng = np.random.default_rng(1)
    transform = TRANSFORMS[name]()
    shape = (60, 6, 6) if not transform.fits_behavior else (60, 4)
    before = rng.normal(size=shape).astype(np.float32)
    after = before.copy()
    after[40] += 1
    fitted = transform.fit([before])
    changed = transform.apply(before, fitted) != transform.apply(after, fitted)
    bins = np.flatnonzero(changed.reshape(60, -1).any(axis=1))
    assert bins[0] == 40
    assert bins[-1] <= 40 + transform.reach
    cut = transform.apply(before[40 - transform.reach :], fitted)[transform.reach :]
    np.testing.assert_allclose(cut, transform.apply(before, fitted)[40:], atol=1e-6)


def test_each_transform_is_fitted_on_what_the_ones_before_made():
    chain = (Diff(), MaxNorm(), SymLog())
    fitted = fit_transforms(chain, [np.array([[0.0], [3.0]]), np.array([[100.0], [102.0]])])
    assert fitted == [{}, {"largest": 3.0}, {}]  # the jump between the runs is none
    run = apply_transforms(chain, fitted, np.array([[0.0], [6.0]]))
    np.testing.assert_allclose(run, [[0], [np.log(3)]], rtol=1e-6)


def test_z_scores_are_those_of_all_runs_together():
    rng = np.random.default_rng(0)
    runs = [rng.normal(5, 3, (n, 1)).astype(np.float32) for n in (7, 40)]
    fitted = ZScore().fit(iter(runs))
    assert fitted["mean"] == pytest.approx(np.concatenate(runs).mean(), rel=1e-5)
    assert fitted["sd"] == pytest.approx(np.concatenate(runs).std(), rel=1e-5)


def test_what_is_zero_everywhere_stays_zero():
    assert ZScore().fit([]) == ZScore().fit([np.zeros((3, 2))]) == {"mean": 0.0, "sd": 1.0}
    assert MaxNorm().fit([]) == MaxNorm().fit([np.zeros((3, 2))]) == {"largest": 1.0}
