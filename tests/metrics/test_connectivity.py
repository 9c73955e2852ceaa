"""Scores of connectivity against values worked out by hand, and at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics import cluster_accuracy, connectivity_r2, connectivity_scores, spectral_radius
from utils.metrics.connectivity import psi_plateau

TRUE = np.array([[0.0, 1.0], [2.0, 0.0]])


@pytest.fixture
def cauchy():
    weights = np.random.default_rng(0).standard_cauchy((30, 30))
    np.fill_diagonal(weights, 0)
    return weights


def test_r2_by_hand():
    # Deviations of the truth -.75, .25, 1.25, -.75 (squares 2.75), of the learned -.5, .5, .5, -.5
    # (squares 1), products .375 + .125 + .625 + .375 = 1.5: r2 = 1.5^2 / 2.75.
    learned = [[0, 1], [1, 0]]
    assert connectivity_r2(learned, TRUE) == pytest.approx(2.25 / 2.75)
    assert connectivity_scores(learned, TRUE)["slope"] == pytest.approx(1.5 / 2.75)


def test_the_scale_of_all_weights_and_their_sign_do_not_matter_to_r2(cauchy):
    assert connectivity_r2(-3 * cauchy, cauchy) == pytest.approx(1)
    assert connectivity_scores(-3 * cauchy, cauchy)["slope"] == pytest.approx(-3)


def test_plateaus_scale_the_columns_of_senders(cauchy):
    plateau = np.random.default_rng(1).uniform(0.2, 5, len(cauchy))
    learned = cauchy / plateau  # psi larger, weights smaller
    assert connectivity_r2(learned, cauchy) < 0.95
    assert connectivity_r2(learned, cauchy, plateau) == pytest.approx(1)
    assert connectivity_r2(learned.T, cauchy.T, plateau) < 0.95


def test_entries_of_the_diagonal_count():
    learned = TRUE + np.diag([5.0, 5.0])
    assert connectivity_r2(learned, TRUE) < 1


def test_spearman_sees_weak_weights_that_r2_does_not(cauchy):
    strong = np.abs(cauchy) > np.quantile(np.abs(cauchy), 0.9)
    scores = connectivity_scores(np.where(strong, cauchy, 0), cauchy)
    assert scores["r2"] > 0.95
    assert scores["spearman"] < 0.8


def test_strongest_edges_are_searched_by_absolute_weight():
    true = np.array([[0, -9, 1], [1, 0, 8], [1, 1, 0.0]])  # strongest: -9 and 8
    found = np.array([[0, 5, 4], [0, 0, -3], [0, 0, 0.0]])  # in this order: hit, miss, hit
    scores = connectivity_scores(found, true, strongest=2 / 9)
    assert scores["auprc"] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["auprc_chance"] == pytest.approx(2 / 9)


def test_absent_edges_are_never_strong():
    true = np.zeros((10, 10))
    true[0, 1] = -1
    assert connectivity_scores(true, true)["auprc"] == 1
    assert connectivity_scores(true, true)["auprc_chance"] == 0.01
    assert np.isnan(connectivity_scores(true, np.zeros((10, 10)))["auprc"])


def test_r2_of_pairs_of_types_is_post_by_pre(cauchy):
    types = np.arange(30) % 2
    learned = cauchy.copy()
    even, odd = np.flatnonzero(types == 0), np.flatnonzero(types == 1)
    learned[np.ix_(odd, even)] = 0  # what odd neurons receive from even ones is lost
    by_type = connectivity_scores(learned, cauchy, types)["r2_by_type"]
    np.testing.assert_allclose(by_type, [[1, 1], [np.nan, 1]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_fit_that_diverged_scores_nan(cauchy, bad):
    learned = cauchy.copy()
    learned[3, 4] = bad
    scores = connectivity_scores(learned, cauchy)
    assert np.isnan(connectivity_r2(learned, cauchy))
    assert all(np.isnan(scores[name]) for name in ("r2", "slope", "spearman", "auprc"))
    assert np.isnan(spectral_radius(learned))


@pytest.mark.parametrize("true", [np.full((3, 3), 0.1), np.zeros((1, 1))])
def test_constant_weights_have_no_r2(true):
    learned = np.arange(true.size, dtype=float).reshape(true.shape)
    assert np.isnan(connectivity_r2(learned, true))
    assert np.isnan(connectivity_r2(true, learned))
    assert np.isnan(connectivity_scores(learned, true)["slope"])


@pytest.mark.parametrize("learned", [np.zeros(4), np.zeros((2, 3)), np.zeros((0, 0))])
def test_what_is_not_square_is_refused(learned):
    with pytest.raises(ValueError, match=r"learned weights are .*post, pre"):
        connectivity_r2(learned, TRUE)


def test_sizes_must_agree():
    with pytest.raises(ValueError, match=r"\(3, 3\), true ones \(2, 2\)"):
        connectivity_r2(np.eye(3), TRUE)
    with pytest.raises(ValueError, match=r"one per sender, \(2,\)"):
        connectivity_r2(TRUE, TRUE, [1.0])
    with pytest.raises(ValueError, match=r"one per neuron, \(2,\)"):
        connectivity_scores(TRUE, TRUE, types=[0, 1, 1])
    with pytest.raises(ValueError, match="strongest = 5"):
        connectivity_scores(TRUE, TRUE, strongest=5)


def test_plateau_is_half_the_range():
    u = np.linspace(-20, 20, 41)
    np.testing.assert_allclose(psi_plateau(np.tanh(u)), 1)
    both = np.column_stack([3 * np.tanh(u), np.maximum(u, 0)])
    np.testing.assert_allclose(psi_plateau(both), [3, 10])


@pytest.mark.parametrize(
    ("found", "true", "accuracy"),
    [
        ([1, 1, 0, 0], [0, 0, 1, 1], 1),  # names do not matter
        ([0, 0, 0, 0], [0, 0, 0, 1], 0.75),
        ([0, 1, 2, 3], [0, 0, 1, 1], 0.5),  # one found type for each true one
        (["a", "b", "b"], [5, 5, 7], 2 / 3),
        ([0], [3], 1),
    ],
)
def test_cluster_accuracy_by_hand(found, true, accuracy):
    assert cluster_accuracy(found, true) == pytest.approx(accuracy)


def test_cluster_accuracy_wants_a_label_per_neuron():
    with pytest.raises(ValueError, match=r"\(2,\)"):
        cluster_accuracy([0], [0, 1])
    with pytest.raises(ValueError, match=r"\(0,\)"):
        cluster_accuracy([], [])


def test_spectral_radius_of_a_rotation_and_of_a_chain():
    assert spectral_radius([[0, -2], [2, 0]]) == pytest.approx(2)  # eigenvalues 2i, -2i
    assert spectral_radius(np.diag(np.ones(4), -1)) == pytest.approx(0, abs=1e-6)
