"""Rates for new stimuli: every bin once, as in one pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.models.v1_twin.apply import apply
from utils.models.v1_twin.provenance import TrainedOn


@pytest.fixture
def twin(noise_data, noise_twin):
    data = noise_data()
    twin = noise_twin(data)
    twin.trained_on = TrainedOn.of(data)
    return twin


@pytest.fixture
def stimulus():
    return np.random.default_rng(0).integers(0, 256, (40, 11, 11), np.uint8)


@pytest.mark.parametrize("sequence_bins", [1, 7, 35, 1000])
def test_each_bin_is_predicted_from_its_lags(twin, stimulus, sequence_bins):
    rates = apply(twin, "b", stimulus, sequence_bins=sequence_bins)
    assert rates.shape == (40, 2)
    assert np.isnan(rates).all(axis=1).tolist() == [True] * 5 + [False] * 35
    with torch.no_grad():
        whole = twin("b", torch.from_numpy(stimulus)[None], n_bins=35)[0]
    np.testing.assert_allclose(rates[5:], whole, rtol=1e-5)


def test_behaviour_and_responses_are_used(noise_data, noise_twin, stimulus):
    twin = noise_twin(noise_data(["a"]), history={"type": "mlp", "lags": 3})
    counts = np.random.default_rng(1).poisson(1.0, (40, 3))
    silent = apply(twin, "a", stimulus, responses=np.zeros((40, 3)), n_lags=8)
    heard = apply(twin, "a", stimulus, responses=counts, n_lags=8)
    assert (silent[7:] != heard[7:]).any()


def test_what_cannot_be_predicted_is_explained(twin, noise_twin, noise_data, stimulus):
    with pytest.raises(ValueError, match="4 frames are too few: the first prediction needs 6"):
        apply(twin, "a", stimulus[:4])
    with pytest.raises(ValueError, match=r"differ in length: \[30, 40\]"):
        apply(twin, "a", stimulus, np.zeros((30, 2)))
    with pytest.raises(ValueError, match="was not trained on 'c'; known: a, b"):
        apply(twin, "c", stimulus)
    with pytest.raises(ValueError, match="say by n_lags"):
        apply(noise_twin(noise_data()), "a", stimulus)
    with pytest.raises(ValueError, match="expected a stimulus"):
        apply(twin, "a", stimulus[:, :9])
