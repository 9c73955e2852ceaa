from __future__ import annotations

import numpy as np
import pytest

from utils.metrics import population


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def low_rank(rng, n_time=400, n_neurons=30, rank=3, noise=0.0):
    latents, weights = rng.normal(size=(n_time, rank)), rng.normal(size=(rank, n_neurons))
    return latents @ weights + noise * rng.normal(size=(n_time, n_neurons)) + 100


def test_spectrum_equals_svd_of_centred_data_for_both_shapes(rng):
    for shape in [(50, 20), (20, 50)]:
        activity = rng.normal(size=shape) + 5
        singular = np.linalg.svd(activity - activity.mean(0), compute_uv=False)
        expected = singular**2 / (singular**2).sum()
        np.testing.assert_allclose(population.pca_spectrum(activity), expected, atol=1e-12)


def test_spectrum_about_zero_counts_mean_activity(rng):
    activity = rng.normal(size=(50, 20)) + 5
    singular = np.linalg.svd(activity, compute_uv=False)
    expected = singular**2 / (singular**2).sum()
    spectrum = population.pca_spectrum(activity, centred=False)
    np.testing.assert_allclose(spectrum, expected, atol=1e-12)
    assert spectrum[0] > 0.9 > population.pca_spectrum(activity)[0]


def test_rank_of_noise_free_low_rank_data_despite_a_large_mean(rng):
    spectrum = population.pca_spectrum(low_rank(rng))
    assert population.effective_rank(spectrum, 1 - 1e-9) == 3
    assert population.effective_rank(spectrum, 0.01) == 1


@pytest.mark.parametrize(
    ("spectrum", "fraction", "rank"),
    [([0.5, 0.4, 0.1], 0.9, 2), ([0.5, 0.4, 0.1], 0.91, 3), ([1.0], 0.99, 1), ([0.0], 0.9, 0)],
)
def test_effective_rank_by_hand(spectrum, fraction, rank):
    assert population.effective_rank(np.array(spectrum), fraction) == rank


def test_effective_rank_refuses_percent():
    with pytest.raises(ValueError, match="90"):
        population.effective_rank(np.ones(3) / 3, 90)


def test_participation_ratio_limits():
    assert population.participation_ratio(np.ones(7)) == pytest.approx(7)
    assert population.participation_ratio(np.array([1.0, 0, 0])) == 1
    assert population.participation_ratio(np.zeros(3)) == 0


def test_correlation_equals_numpy_and_is_nan_for_constant(rng):
    activity = low_rank(rng, noise=0.5)
    n = activity.shape[1]
    each_pair = np.arange(n * n).reshape(n, n)
    result = population.grouped_correlation(activity, each_pair, n * n, n_shifts=1)
    expected = np.corrcoef(activity.T)
    np.testing.assert_allclose(result["correlation"], expected.ravel(), atol=1e-10)
    activity[:, 4] = 0.1  # a constant that float arithmetic does not centre exactly
    result = population.grouped_correlation(activity, each_pair, n * n, n_shifts=1)
    missing = np.isnan(result["correlation"].to_numpy().reshape(n, n))
    np.testing.assert_array_equal(missing, (each_pair // n == 4) | (each_pair % n == 4))


def test_correlation_with_a_signal(rng):
    activity = rng.normal(size=(300, 3))
    signal = activity[:, 1] * -2 + 7
    result = population.correlation_with(activity, signal)
    assert result[1] == pytest.approx(-1)
    assert abs(result[0]) < 0.2
    assert np.isnan(population.correlation_with(activity, np.ones(300))).all()
    with pytest.raises(ValueError, match="299"):
        population.correlation_with(activity, signal[:299])


def test_circular_shift_keeps_each_time_course_and_shifts_at_least_the_minimum(rng):
    activity = np.tile(np.arange(50.0)[:, None], (1, 40))
    shifted = population.circular_shift(activity, rng, min_shift=10)
    np.testing.assert_array_equal(np.sort(shifted, axis=0), activity)
    starts = shifted[0]  # value v at frame 0: shifted by -v modulo 50
    shift = (-starts) % 50
    assert ((shift >= 10) & (shift < 40)).all()
    assert len(set(shift)) > 5
    with pytest.raises(ValueError, match="50 frames"):
        population.circular_shift(activity, rng, min_shift=25)


def test_distance_groups_by_hand():
    groups = population.distance_groups([[0, 0], [3, 4], [0, 10], [np.nan, 0]], [0, 6, 9, 100])
    expected = [[-1, 0, 2, -1], [-1, -1, 1, -1], [-1, -1, -1, -1], [-1, -1, -1, -1]]
    np.testing.assert_array_equal(groups, expected)


def test_area_groups_count_each_pair_once_and_leave_out_unlisted_areas():
    groups = population.area_groups(["B", "A", "B", "x"], ["A", "B"])
    expected = [[-1, 1, 3, -1], [-1, -1, 1, -1], [-1, -1, -1, -1], [-1, -1, -1, -1]]
    np.testing.assert_array_equal(groups, expected)


def test_grouped_correlation_finds_shared_signal_within_areas_only(rng):
    shared = rng.normal(size=(500, 2))
    areas = np.array(["A"] * 6 + ["B"] * 6)
    activity = shared[:, (areas == "B").astype(int)] + 0.5 * rng.normal(size=(500, 12))
    groups = population.area_groups(areas, ["A", "B"])
    table = population.grouped_correlation(activity, groups, 4, n_shifts=10, min_shift=5)
    np.testing.assert_array_equal(table.n_pairs, [15, 36, 0, 15])
    correlation = np.corrcoef(activity.T)
    np.fill_diagonal(correlation, np.nan)
    assert table.correlation[0] == pytest.approx(np.nanmean(correlation[:6, :6]))
    assert table.correlation[0] > 0.6 > table.chance_high[0]
    assert abs(table.correlation[1]) < 0.15
    filled = table[table.n_pairs > 0]
    assert (filled.chance_low <= filled.chance_high).all()


def test_grouped_correlation_of_an_empty_group_is_nan(rng):
    groups = np.full((3, 3), population.EXCLUDED)
    table = population.grouped_correlation(rng.normal(size=(50, 3)), groups, 1, n_shifts=2)
    assert table.n_pairs[0] == 0
    assert np.isnan(table.correlation[0])


def test_order_puts_members_of_a_group_side_by_side(rng):
    group = rng.permutation(np.repeat(np.arange(4), 25))
    activity = rng.normal(size=(600, 4))[:, group] + 0.3 * rng.normal(size=(600, 100))
    order = population.order_by_similarity(activity)
    np.testing.assert_array_equal(np.sort(order), np.arange(100))
    assert np.count_nonzero(np.diff(group[order])) == 3  # four runs


def test_order_follows_a_continuum(rng):
    # Bumps of activity at positions on a line: neighbours in order are neighbours on the line.
    place = rng.permutation(np.linspace(0, 1, 120))
    target = np.linspace(0, 1, 500)[:, None]
    activity = np.exp(-((target - place) ** 2) / 0.005) + 0.05 * rng.normal(size=(500, 120))
    steps = np.abs(np.diff(place[population.order_by_similarity(activity)]))
    assert np.median(steps) < 0.03  # random order: 0.3


@pytest.mark.parametrize("n_neurons", [1, 2, 3])
def test_order_of_few_neurons_is_a_permutation(rng, n_neurons):
    order = population.order_by_similarity(rng.normal(size=(40, n_neurons)))
    assert sorted(order) == list(range(n_neurons))


def test_order_puts_constant_neurons_last(rng):
    activity = rng.normal(size=(60, 8))
    activity[:, 2] = 3
    assert population.order_by_similarity(activity)[-1] == 2
    assert sorted(population.order_by_similarity(np.ones((60, 5)))) == list(range(5))


def test_complete_drops_empty_neurons_before_frames():
    activity = np.ones((6, 3))
    activity[:, 1] = np.nan
    activity[0] = np.nan
    activity[3, 2] = np.nan
    frames, neurons = population.complete(activity)
    np.testing.assert_array_equal(neurons, [True, False, True])
    np.testing.assert_array_equal(frames, [False, True, True, False, True, True])
    frames, neurons = population.complete(np.full((4, 2), np.nan))
    assert not frames.any()
    assert not neurons.any()


def test_signal_to_noise_ranks_transients_above_noise_and_ignores_bad_frames(rng):
    activity = rng.normal(size=(2000, 3)).astype(np.float32)
    activity[::100, 1] += 30
    activity[:, 2] = 5
    good = np.ones(2000, bool)
    good[50] = False
    activity[50, 0] = 1e6
    ratio = population.signal_to_noise(activity, good)
    assert 2 < ratio[0] < 4  # 99.5th percentile of a normal distribution: 2.6
    assert ratio[1] > 20
    assert ratio[2] == 0


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"\(1, 4\)"):
        population.pca_spectrum(np.ones((1, 4)))
