"""Bootstrap intervals: coverage on data with a known skill, pairing, and too little data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from utils.metrics import ForecastErrors, block_bootstrap, block_bootstrap_fraction
from utils.metrics.bootstrap import _counts, _weighted, _weights, resampled_squares

RATE = 5.0


def autoregressive(rng: np.random.Generator, n_frames: int, n: int, phi: float) -> np.ndarray:
    """(frame, series) AR(1) noise of variance 1."""
    noise = rng.standard_normal((n_frames + 300, n))
    return lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise, axis=0)[300:]


def scored(error: np.ndarray, horizon: int = 1) -> ForecastErrors:
    """Errors (frame, neuron) as those of forecasts of 0, one window per frame."""
    times = np.arange(len(error)) / RATE
    true = np.repeat(error[:, None], horizon, axis=1)
    errors = ForecastErrors(np.zeros(error.shape[1]), RATE)
    return errors.update(np.zeros_like(true), true, start_times=times)


def pair(
    seed: int, minutes: float, n_neurons: int = 6, seconds: float = 4, shared: float = 0.5
) -> tuple[ForecastErrors, ForecastErrors]:
    """Model and baseline errors with fluctuations of some seconds and a true skill of .1.

    ``shared`` is the part of their variance that all neurons have in common.
    """
    rng = np.random.default_rng(seed)
    n_frames, phi = int(minutes * 60 * RATE), np.exp(-1 / (seconds * RATE))

    def noise():
        common = autoregressive(rng, n_frames, 1, phi)
        own = autoregressive(rng, n_frames, n_neurons, phi)
        return np.sqrt(shared) * common + np.sqrt(1 - shared) * own

    baseline = noise()
    return scored(0.9 * baseline + 0.3 * noise()), scored(baseline)


# With neurons that share little the draws of neurons add variance that is not there: careful.
# Of 500 pairs, with 1000 draws, 94 to 96 % do where 90 % is shared.
@pytest.mark.parametrize("minutes", [10, 20, 40])
@pytest.mark.parametrize(
    ("seconds", "shared", "most"), [(4, 0.5, 1.0), (4, 0.9, 0.985), (10, 0.9, 0.985)]
)
def test_intervals_cover_the_true_skill(minutes, seconds, shared, most):
    hits = widths = 0
    n = 120
    for seed in range(n):
        errors = pair(seed, minutes, seconds=seconds, shared=shared)
        interval = block_bootstrap(*errors, n_resamples=500, seed=seed)
        hits += bool(interval.low[0] <= 0.1 <= interval.high[0])
        widths += float(interval.high[0] - interval.low[0])
    assert 0.89 <= hits / n <= most  # 94 % less two and a half standard errors
    assert widths / n < 0.35 * np.sqrt(10 / minutes)


def test_pairing_is_what_makes_intervals_narrow():
    model, baseline = pair(0, 15)
    other = pair(1, 15)[1]
    paired, unpaired = block_bootstrap(model, baseline), block_bootstrap(model, other)
    assert np.diff([paired.low, paired.high], axis=0) < 0.5 * np.diff(
        [unpaired.low, unpaired.high], axis=0
    )


def test_a_model_equal_to_its_baseline_has_skill_zero_exactly():
    baseline = pair(0, 12)[1]
    interval = block_bootstrap(baseline, baseline)
    assert interval.skill == interval.low == interval.high == 0


def test_interval_holds_the_estimate_and_repeats_with_the_seed():
    model, baseline = pair(3, 12)
    first, again = block_bootstrap(model, baseline), block_bootstrap(model, baseline)
    assert first.low < first.skill < first.high
    assert (first.low, first.high) == (again.low, again.high)
    assert block_bootstrap(model, baseline, seed=1).low != first.low
    assert first.skill == pytest.approx(1 - model.mse.sum() / baseline.mse.sum())


def test_below_ten_blocks_the_interval_is_not_estimable():
    interval = block_bootstrap(*pair(0, 9.9))
    assert interval.n_blocks == 9
    assert np.isnan([interval.low, interval.high]).all()
    assert np.isfinite(interval.skill).all()
    assert not interval.estimable
    assert str(interval) == "interval not estimable (9 blocks, 10 needed)"
    enough = block_bootstrap(*pair(0, 10))
    assert enough.n_blocks == 10
    assert np.isfinite([enough.low, enough.high]).all()
    assert "(95%, 10 blocks)" in str(enough)


def test_without_start_times_there_is_one_chunk_and_no_interval():
    errors = ForecastErrors(np.zeros(2), RATE).update(np.ones((9, 3, 2)), np.zeros((9, 3, 2)))
    interval = block_bootstrap(errors, errors)
    assert interval.n_blocks == 0
    assert np.isnan(interval.low).all()
    assert interval.low.shape == (3,)


def test_draws_agree_with_resampling_by_hand():
    rng = np.random.default_rng(0)
    sums = rng.random((13, 2, 4))
    time, neurons = next(_weights(sums.shape, length=3, n_resamples=5, seed=0))
    assert (time.sum(axis=1) == 13).all()
    assert (neurons.sum(axis=1) == 4).all()
    for draw in range(5):
        chunks = np.repeat(np.arange(13), time[draw].astype(int))
        columns = np.repeat(np.arange(4), neurons[draw].astype(int))
        by_hand = sums[chunks][:, :, columns].sum(axis=(0, 2))
        np.testing.assert_allclose(_weighted(sums, time, neurons)[draw], by_hand)
    assert _counts(np.array([[0, 2, 2], [1, 1, 1]]), 3).tolist() == [[1, 0, 2], [0, 3, 0]]


def test_blocks_are_runs_of_neighbouring_chunks():
    time, _ = next(_weights((60, 1, 1), length=6, n_resamples=50, seed=0))
    # A chunk drawn alone, without either neighbour, would not be part of a block.
    alone = (time > 0) & (np.roll(time, 1, 1) == 0) & (np.roll(time, -1, 1) == 0)
    assert not alone.any()


def test_errors_of_other_windows_are_refused():
    model, baseline = pair(0, 12)
    fewer = pair(0, 11)[1]
    with pytest.raises(ValueError, match=r"3600 windows.*3300 windows.*same windows"):
        block_bootstrap(model, fewer)
    masked = ForecastErrors(np.zeros(6), RATE)
    true = np.zeros((3600, 1, 6))
    masked.update(true, true, true > 0, start_times=np.arange(3600) / RATE)
    with pytest.raises(ValueError, match="same masks"):
        block_bootstrap(masked, baseline)


def test_fraction_of_the_way_to_the_ceiling():
    baseline, noise = pair(0, 20)[1], pair(1, 20)[1]
    frames = np.random.default_rng(2).standard_normal((6000, 6))
    ceiling, model = scored(0.5 * frames), scored(0.8 * frames)
    whole = scored(frames)
    fraction = block_bootstrap_fraction(model, whole, ceiling)
    assert fraction.skill[0] == pytest.approx((1 - 0.64) / (1 - 0.25))
    np.testing.assert_allclose([fraction.low, fraction.high], fraction.skill[0])  # always so
    assert block_bootstrap_fraction(ceiling, whole, ceiling).skill[0] == pytest.approx(1)
    assert block_bootstrap_fraction(whole, whole, ceiling).skill[0] == 0
    unequal = block_bootstrap_fraction(noise, whole, ceiling)
    assert unequal.low < unequal.skill < unequal.high
    assert np.isnan(block_bootstrap_fraction(model, ceiling, whole).skill).all()
    assert baseline.n_windows == whole.n_windows


def test_draws_of_errors_that_grow_are_made_anew():
    errors = pair(0, 20)[0]
    before = resampled_squares(errors, 60, 10, 0)
    assert resampled_squares(errors, 60, 10, 0) is before
    one = np.ones((1, 1, 6))
    errors.update(0 * one, 100 * one, start_times=[1.0])
    assert (resampled_squares(errors, 60, 10, 0) >= before).all()
    assert (resampled_squares(errors, 60, 10, 0) > before).any()
