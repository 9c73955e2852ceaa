"""Connectivity: the published scale of each kind, signs, sparsity, and which way it points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.linalg import eigs

from utils.simulation import NetworkConfig
from utils.simulation.network.connectivity import lorentz_exponent
from utils.simulation.network.dynamics import Dynamics


def weights(n=60, **settings):
    return Dynamics.draw(NetworkConfig(n_neurons=n, **settings)).connectivity


def spectral_radius(matrix):
    """Arnoldi's method, right to 0.005 here and 10 times as fast as all eigenvalues."""
    start = np.ones(len(matrix), np.float32)
    return np.abs(eigs(matrix, k=1, ncv=80, tol=1e-3, v0=start, return_eigenvectors=False)).max()


def off_diagonal(matrix):
    return matrix[~np.eye(len(matrix), dtype=bool)]


KINDS = NetworkConfig.model_fields["connectivity"].annotation.__args__


@pytest.mark.parametrize("kind", KINDS)
def test_float32_with_zero_diagonal(kind):
    matrix = weights(connectivity=kind)
    assert matrix.shape == (60, 60)
    assert matrix.dtype == np.float32
    assert not matrix.diagonal().any()
    assert np.isfinite(matrix).all()


@pytest.mark.parametrize(
    ("n", "n_seeds", "published", "spread"),
    [(100, 15, 1.70, 0.07), (300, 7, 1.23, 0.03), (1000, 5, 1.01, 0.01)],
)
def test_lorentz_radius(n, n_seeds, published, spread):
    """The circular law: sd of a Cauchy variable cut at 25, times n ** (1/2 - 0.7).

    Finite matrices exceed it by a few per cent, so the median may by up to 6 %. The published
    radius is that of one draw and lies where single draws do: within 3 of their sd, which 101,
    41 and 9 seeds gave.
    """
    radii = [spectral_radius(weights(n, seed=seed)) for seed in range(n_seeds)]
    limit = np.sqrt(25 / np.arctan(25) - 1) * n**-0.2
    assert limit < np.median(radii) < 1.06 * limit
    assert abs(published - np.median(radii)) < 3 * spread


@pytest.mark.parametrize(
    ("n", "exponent"),
    [
        (1999, 0.7),
        (2000, 0.675),
        (3999, 0.675),
        (4000, 0.67),
        (7999, 0.67),
        (8000, 0.66),
        (8001, 0.5),
    ],
)
def test_lorentz_exponents(n, exponent):
    assert lorentz_exponent(n) == exponent


def test_lorentz_is_a_cut_cauchy():
    entries = np.abs(off_diagonal(weights(300))) * 300**0.7
    assert entries.max() <= 25
    below_one = ((entries > 0) & (entries < 1)).mean()
    assert below_one == pytest.approx(0.5, abs=4 * 0.5 / 300)  # 4 standard errors
    assert (entries == 0).mean() == pytest.approx(1 - 2 / np.pi * np.arctan(25), abs=0.003)


def test_gaussian():
    entries = off_diagonal(weights(300, connectivity="gaussian"))
    assert entries.std() == pytest.approx(300**-0.5, rel=0.02)
    assert entries.mean() == pytest.approx(0, abs=4 * 300**-1.5)


def test_uniform():
    entries = off_diagonal(weights(200, connectivity="uniform"))
    assert -0.5 <= entries.min() < -0.499
    assert 0.499 < entries.max() <= 0.5


def test_low_rank_but_for_the_diagonal():
    """Blocks that the diagonal does not meet have the rank."""
    matrix = weights(200, connectivity="low_rank", rank=7)
    assert np.linalg.matrix_rank(matrix[:100, 100:], tol=1e-4) == 7
    assert off_diagonal(matrix).std() == pytest.approx(200**-0.5, rel=0.1)


def test_ring():
    matrix = weights(12, connectivity="ring")
    for i, j in ((0, 1), (1, 0), (0, 6), (11, 2)):
        assert matrix[i, j] == pytest.approx((np.cos(2 * np.pi * (i - j) / 12) + 0.5) / 12)


def test_successor_is_the_inverse():
    shift = np.eye(20, k=1)
    expected = np.linalg.inv(np.eye(20) - 0.98 * shift) - np.eye(20)
    np.testing.assert_allclose(weights(20, connectivity="successor"), expected, atol=1e-6)


def test_null():
    assert not weights(connectivity="null").any()


def test_blocks_have_one_sign_each():
    """Receivers are rows: the 4 x 4 signs are not symmetric."""
    signs = np.sign(weights(80, connectivity="blocks")).reshape(4, 20, 4, 20)
    highest, lowest = signs.max((1, 3)), signs.min((1, 3))
    assert (highest * lowest <= 0).all()  # no block has entries of both signs
    pairs = highest + lowest
    assert set(pairs.flat) == {-1, 1}
    assert (pairs != pairs.T).any()


@pytest.mark.parametrize(("share", "sign"), [(0.0, -1), (1.0, 1)])
def test_share_of_positive_blocks(share, sign):
    matrix = weights(connectivity="blocks", positive_blocks=share)
    assert (sign * matrix >= 0).all()


def test_dale_gives_columns_their_sign():
    mixed, matrix = weights(), weights(dale=0.75)
    np.testing.assert_array_equal(matrix, np.abs(mixed) * np.repeat([1, -1], (45, 15)))
    assert (matrix[:, :45] >= 0).all()
    assert (matrix[:, 45:] <= 0).all()


def test_sparsity_keeps_a_fraction_as_it_was():
    dense = weights(300, connectivity="gaussian")
    sparse = weights(300, connectivity="gaussian", sparsity=0.05)
    kept = sparse != 0
    standard_error = np.sqrt(0.05 * 0.95 / (300 * 299))
    assert off_diagonal(kept).mean() == pytest.approx(0.05, abs=4 * standard_error)
    np.testing.assert_array_equal(sparse[kept], dense[kept])


def test_sparse_dale():
    matrix = weights(connectivity="gaussian", dale=0.5, sparsity=0.2)
    assert (matrix[:, :30] >= 0).all()
    assert (matrix[:, 30:] <= 0).all()
    assert 0.1 < (matrix != 0).mean() < 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_one_neuron_has_no_edge(kind):
    assert weights(1, connectivity=kind).tolist() == [[0]]
