"""dF/F stays finite and sane for the ROIs that break it: constant, negative, dim."""

from __future__ import annotations

import numpy as np
import pytest

from utils.signals import (
    baseline_floor,
    column_quantiles,
    correct_neuropil,
    delta_f_over_f,
    noise_level,
    noise_std,
    running_percentile_baseline,
)

RATE = 5.0


def noisy(mean: float, noise: float, n_frames: int = 3000, seed: int = 0) -> np.ndarray:
    return mean + noise * np.random.default_rng(seed).standard_normal((n_frames, 1))


def test_known_transient_is_recovered():
    """F0 = 400 and a plateau of 1200 is dF/F = 2."""
    trace = noisy(400, 1)
    trace[1000:1050] += 800
    dff = delta_f_over_f(trace, RATE)[:, 0]
    assert np.median(dff[1000:1050]) == pytest.approx(2.0, abs=0.02)
    assert np.median(dff[100:900]) == pytest.approx(0.0, abs=0.01)


def test_default_percentile_is_unbiased_for_a_noisy_cell_with_transients():
    """F0 400, noise 100, an event every 20 s that decays in 1.5 s: F0 within a tenth."""
    rng = np.random.default_rng(0)
    events = rng.random(20_000) < 1 / (20 * RATE)
    calcium = np.convolve(events, np.exp(-np.arange(50) / (1.5 * RATE)))[:20_000]
    trace = 400 * (1 + 0.78 * calcium) + 100 * rng.standard_normal(20_000)
    by_percentile = {
        p: np.nanmedian(running_percentile_baseline(trace[:, None], RATE, percentile=p))
        for p in (10, 30)
    }
    assert by_percentile[30] == pytest.approx(400, rel=0.1)
    assert by_percentile[10] < 320


def test_neuropil_is_subtracted():
    rng = np.random.default_rng(0)
    neuropil = 1000 + 100 * rng.standard_normal((500, 3)).astype(np.float32)
    cell = 400 + rng.standard_normal((500, 3)).astype(np.float32)
    np.testing.assert_allclose(correct_neuropil(cell + 0.7 * neuropil, neuropil), cell, atol=1e-3)


@pytest.mark.parametrize("method", ["running_percentile", "maximin"])
@pytest.mark.parametrize(
    ("mean", "noise"),
    [(0, 0), (700, 0), (-50, 0), (-300, 120), (0.5, 120), (2.0, 60), (1e6, 1)],
)
def test_constant_negative_and_dim_rois_stay_finite_and_sane(method, mean, noise):
    """A baseline near 1 gave -2278 .. 11374 where it was only floored at 1."""
    trace = noisy(mean, noise)
    if noise:
        trace[1000:1020] += 10 * noise  # a transient of 10 noise units
    dff = delta_f_over_f(trace, RATE, method=method, warmup_s=0)
    assert np.isfinite(dff).all()
    assert np.abs(dff).max() < 20
    assert (noise > 0) == (np.ptp(dff) > 0)


def test_roi_that_is_constant_but_for_a_jump_is_not_divided_by_nothing():
    trace = np.zeros((1000, 1))
    trace[500] = 3000
    dff = delta_f_over_f(trace, RATE, warmup_s=0)
    assert np.isfinite(dff).all()
    assert dff.max() < 1 / np.sqrt(1 / 1000) + 1  # one jump in units of its standard deviation


def test_floor_is_noise_or_a_tenth_of_the_neuropil():
    trace = noisy(300, 50)
    assert baseline_floor(trace)[0] == pytest.approx(50, rel=0.05)
    assert baseline_floor(trace, np.full((3000, 1), 1000.0))[0] == pytest.approx(100)
    assert baseline_floor(np.full((100, 1), 9.0))[0] == 1


def test_floor_sees_only_the_frames_it_is_given():
    trace, neuropil = noisy(300, 50), np.full((3000, 1), 1000.0)
    training = np.arange(3000) < 2000
    spoilt, spoilt_neuropil = trace.copy(), neuropil.copy()
    spoilt[2000:] = 1e6 * np.random.default_rng(1).standard_normal((1000, 1))
    spoilt_neuropil[2000:] = 1e6
    np.testing.assert_array_equal(
        baseline_floor(trace, neuropil, good=training),
        baseline_floor(spoilt, spoilt_neuropil, good=training),
    )


def test_bad_frames_have_no_influence_on_the_other_frames():
    trace = noisy(400, 20)
    good = np.ones(3000, bool)
    good[1500:1520] = False
    spoilt = trace.copy()
    spoilt[~good] = -1e5
    clean, dirty = (delta_f_over_f(x, RATE, good=good)[good] for x in (trace, spoilt))
    np.testing.assert_array_equal(clean, dirty)


def test_dff_knows_nothing_of_the_future_once_the_floor_is_fixed():
    trace = noisy(400, 20)
    floor = baseline_floor(trace)
    spoilt = trace.copy()
    spoilt[2000:] *= 3
    before = delta_f_over_f(trace, RATE, floor=floor)[:2000]
    after = delta_f_over_f(spoilt, RATE, floor=floor)[:2000]
    np.testing.assert_array_equal(before, after)


def test_unknown_baseline():
    with pytest.raises(ValueError, match=r"'mean'; known: running_percentile, maximin"):
        delta_f_over_f(noisy(1, 1), RATE, method="mean")


def test_noise_is_measured_below_drift_and_transients():
    trace = noisy(500, 30, 20_000)
    trace += np.linspace(0, 2000, 20_000)[:, None]
    trace[::100] += 1000
    assert noise_std(trace)[0] == pytest.approx(30, rel=0.05)
    assert noise_level(trace, 5.0)[0] == pytest.approx(
        100 * 30 * 0.6745 * np.sqrt(2) / np.sqrt(5), rel=0.05
    )


def test_noise_of_too_few_frames_is_zero():
    assert noise_std(np.ones((1, 2))).tolist() == [0, 0]


def test_column_quantiles_are_those_of_numpy():
    values = np.random.default_rng(0).standard_normal((101, 7)).astype(np.float32)
    values[::3, 1] = np.nan
    values[1:, 2] = np.nan
    fractions = [0, 0.1, 0.5, 0.995, 1]
    np.testing.assert_allclose(
        column_quantiles(values, fractions), np.nanquantile(values, fractions, axis=0), rtol=1e-6
    )


def test_quantiles_of_nothing_are_nan():
    assert np.isnan(column_quantiles(np.full((5, 2), np.nan), [0.5])).all()
    assert np.isnan(column_quantiles(np.ones((0, 2)), [0.5])).all()
