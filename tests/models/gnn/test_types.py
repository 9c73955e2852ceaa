"""Types of neurons from their phi."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.metrics import cluster_accuracy
from utils.models.gnn.types import find_types

U = np.linspace(-8, 8, 200)


def curves(leaks, selves, each=15, noise=0.0, seed=0):
    """phi (level, neuron) of types in turn, with errors of their slope and of their constant."""
    random = np.random.default_rng(seed)
    types = np.repeat(np.arange(len(leaks)), each)
    slopes = np.array(leaks)[types] + noise * random.normal(size=len(types))
    phi = -slopes * U[:, None] + np.array(selves)[types] * np.tanh(U)[:, None]
    return torch.from_numpy(phi + 50 * random.normal(size=len(types))), types


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("leaks", "selves"), [([1, 2, 3], [1, 1, 1]), ([1, 1, 2, 2], [1, 1.5, 1, 1.5])]
)
def test_types_are_found_whatever_the_constants(leaks, selves, seed):
    phi, types = curves(leaks, selves, noise=0.01, seed=seed)
    found = find_types(phi, None, 10)
    assert found.estimated_number == len(leaks)
    assert cluster_accuracy(found.labels, types) == 1


def test_neurons_that_are_alike_are_one_type():
    phi, _ = curves([1.0], [1.0], each=60, noise=0.1)
    found = find_types(phi, None, 10)
    assert found.estimated_number == 1
    assert not found.labels.any()


def test_a_number_that_is_given_is_used():
    phi, _ = curves([1, 2, 3], [1, 1, 1], noise=0.01)
    for number in (1, 2, 5):
        found = find_types(phi, number, 10)
        assert found.estimated_number == 3
        assert len(np.unique(found.labels)) == number


def test_embeddings_are_the_axes_along_which_types_differ():
    phi, _ = curves([1, 2], [1, 1])
    first, second = find_types(phi, None, 10).embeddings.T
    apart = U.std()  # of curves whose slopes differ by 1
    np.testing.assert_allclose(abs(first[0] - first[-1]), apart, rtol=1e-4)
    np.testing.assert_allclose(second, 0, atol=1e-4)


@pytest.mark.parametrize("number", [1, 2])
def test_two_neurons_make_no_clusters(number):
    phi, _ = curves([1.0], [1.0], each=number)
    found = find_types(phi, None, 10)
    assert found.estimated_number == 1
    assert found.labels.shape == (number,)
    assert found.embeddings.shape == (number, 2)
