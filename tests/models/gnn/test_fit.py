"""Fits of connectivity: what they recover, from what recordings, and how they are kept."""

from __future__ import annotations

import logging
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from utils.config import ConfigError
from utils.metrics import cluster_accuracy, connectivity_r2
from utils.models.folders import ModelFolderError
from utils.models.gnn import fit_connectivity, load_connectivity
from utils.simulation.network import held_out, simulate_network

FAST = {"psi_knots": 24, "phi_knots": 16, "iterations": 8, "device": "cpu"}
LEAK, SELF = np.array([1.0, 2.0, 1.0, 2.0]), np.array([1.0, 1.0, 4.0, 4.0])


class World(NamedTuple):
    """Activity that visits all states, and its derivative in a network of four types."""

    activity: NDArray[np.float64]  # (time, neuron)
    derivative: NDArray[np.float64]
    connectivity: NDArray[np.float64]
    types: NDArray[np.int64]

    def fit(self, **settings):
        return fit_connectivity(
            self.activity, dt=0.01, derivative=self.derivative, **FAST, **settings
        )

    def rate(self, u):
        own = -LEAK[self.types] * u + SELF[self.types] * np.tanh(u)
        return own + np.tanh(u) @ self.connectivity.T


def world(n: int = 24, n_frames: int = 3000, seed: int = 0) -> World:
    random = np.random.default_rng(seed)
    connectivity = random.standard_cauchy((n, n)).clip(-20, 20) / n**0.5
    np.fill_diagonal(connectivity, 0)
    activity = lfilter([1], [1, -0.8], 2 * random.standard_normal((n_frames, n)), axis=0)
    truth = World(activity, activity, connectivity, np.arange(n) * 4 // n)
    return truth._replace(derivative=truth.rate(activity))


@pytest.fixture(scope="module")
def truth() -> World:
    return world()


@pytest.fixture(scope="module")
def fit(truth):
    return truth.fit(n_types=4)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_simulated_network_is_recovered(seed):
    network = simulate_network(n_neurons=100, n_frames=15_000, seed=seed)
    found = fit_connectivity(
        network.activity, dt=network.dt, derivative=network.derivative, seed=seed, device="cpu"
    )
    assert connectivity_r2(found.connectivity, network.connectivity) > 0.998
    assert cluster_accuracy(found.types, network.types) == 1
    true = held_out(network, n_frames=201, seed=seed + 10).activity
    states = found.rollout(true[0], 200)
    error = ((states - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()
    assert error < 0.05


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_w_and_types_are_recovered_whatever_the_seed(seed):
    truth = world(seed=seed)
    found = truth.fit(seed=seed)
    assert connectivity_r2(found.connectivity, truth.connectivity) > 0.999
    assert found.estimated_n_types == 4
    assert cluster_accuracy(found.types, truth.types) == 1


def test_psi_and_phi_are_recovered_in_normal_units(truth, fit):
    spread = np.tanh(truth.activity).std()
    u = np.linspace(-6, 6, 25)
    assert fit.psi(0.0) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(fit.psi(u), np.tanh(u) / spread, atol=0.03)
    np.testing.assert_allclose(fit.connectivity, truth.connectivity * spread, atol=0.05)
    assert not np.diag(fit.connectivity).any()
    for i, kind in enumerate(truth.types):
        expected = -LEAK[kind] * u + SELF[kind] * np.tanh(u)
        np.testing.assert_allclose(fit.phi(u, i), expected, atol=0.2)
    np.testing.assert_allclose(fit.rate(truth.activity), truth.derivative, atol=0.3)


def test_number_of_types_is_estimated_also_where_it_is_given(truth):
    found = truth.fit(n_types=2)
    assert found.types.max() == 1
    assert found.estimated_n_types == 4


def test_rollout_is_euler_steps_of_the_rate(truth, fit):
    start = truth.activity[:3]
    states = fit.rollout(start, 2)
    assert states.shape == (3, 3, 24)
    np.testing.assert_allclose(states[:, 1], start + 0.01 * fit.rate(start), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fit.rollout(start[0], 2), states[0], rtol=1e-5, atol=1e-5)
    pushed = fit.rollout(start[0], 1, inputs=np.full((1, 24), 100.0))
    np.testing.assert_allclose(pushed[1], states[0, 1] + 1, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="24 neurons"):
        fit.rollout(start[:, :5], 2)


def test_inputs_are_taken_off_the_derivative(truth, fit):
    inputs = np.random.default_rng(0).normal(size=truth.activity.shape)
    found = truth._replace(derivative=truth.derivative + inputs).fit(n_types=4, inputs=inputs)
    np.testing.assert_allclose(found.connectivity, fit.connectivity, atol=1e-5)


def test_equal_seeds_give_equal_fits(truth, fit):
    np.testing.assert_array_equal(truth.fit(n_types=4).connectivity, fit.connectivity)


def test_a_file_gives_what_memory_gives(truth, fit, tmp_path):
    with h5py.File(tmp_path / "network.h5", "w") as file:
        parts = [file.create_dataset(name, data=getattr(truth, name)) for name in truth._fields[:2]]
        found = fit_connectivity(parts[0], dt=0.01, derivative=parts[1], n_types=4, **FAST)
    np.testing.assert_array_equal(found.connectivity, fit.connectivity)


def test_frames_with_missing_values_are_left_out_and_said(truth, caplog):
    activity, derivative = truth.activity.copy(), truth.derivative.copy()
    activity[100:150, 3] = np.nan
    derivative[400:420] = np.nan
    with caplog.at_level(logging.WARNING):
        found = truth._replace(activity=activity, derivative=derivative).fit()
    assert found.n_frames == 2700 - 70
    assert "70 of 2700 frames" in caplog.text
    assert connectivity_r2(found.connectivity, truth.connectivity) > 0.999


def test_a_derivative_is_estimated_where_none_is_given():
    network = simulate_network(n_neurons=20, n_frames=6000, seed=3)
    exact = fit_connectivity(network.activity, dt=network.dt, derivative=network.derivative, **FAST)
    for estimate in ("finite_difference", {"width": 8, "stride": 2}):
        found = fit_connectivity(network.activity, dt=network.dt, estimate=estimate, **FAST)
        assert connectivity_r2(found.connectivity, exact.connectivity) > 0.98


def test_constant_neurons_do_no_harm(truth):
    activity, derivative = truth.activity.copy(), truth.derivative.copy()
    activity[:, 5], derivative[:, 5] = 3.0, 0.0
    derivative -= np.outer(np.tanh(truth.activity[:, 5]), truth.connectivity[:, 5])
    derivative[:, 5] = 0
    found = truth._replace(activity=activity, derivative=derivative).fit()
    others = np.delete(np.arange(24), 5)
    pairs = np.ix_(others, others)
    assert np.isfinite(found.connectivity).all()
    assert connectivity_r2(found.connectivity[pairs], truth.connectivity[pairs]) > 0.999


def test_one_neuron_has_a_phi_and_no_connections():
    found = world(n=1, n_frames=500).fit()
    assert found.connectivity.tolist() == [[0.0]]
    assert found.types.tolist() == [0]
    u = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(found.phi(u, 0), -u + np.tanh(u), atol=0.1)


def test_a_saved_fit_comes_back(fit, truth, tmp_path):
    fit.save(tmp_path / "fit")
    found = load_connectivity(tmp_path / "fit")
    assert found.settings == fit.settings
    for name in ("connectivity", "types", "embeddings"):
        np.testing.assert_array_equal(getattr(found, name), getattr(fit, name))
    start = truth.activity[0]
    np.testing.assert_array_equal(found.rollout(start, 5), fit.rollout(start, 5))
    (tmp_path / "fit" / "weights.safetensors").unlink()
    with pytest.raises(ModelFolderError, match="is not complete"):
        load_connectivity(tmp_path / "fit")


def test_too_few_frames_are_an_error():
    with pytest.raises(ValueError, match="24 neurons need 98"):
        world(n_frames=90).fit()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"derivative": np.zeros((10, 24))}, "derivative must be shaped"),
        ({"inputs": np.zeros((3000, 2))}, "inputs must be shaped"),
        ({"activity": np.zeros(10)}, "time, neuron"),
        ({"dt": 0.0}, "dt must be a positive"),
    ],
)
def test_arrays_that_do_not_fit_are_named(truth, change, message):
    given = {"activity": truth.activity, "dt": 0.01, "derivative": truth.derivative} | change
    with pytest.raises(ValueError, match=message):
        fit_connectivity(**given)


def test_unknown_settings_are_named(truth):
    with pytest.raises(ConfigError, match="psi_knot"):
        fit_connectivity(truth.activity, dt=0.01, psi_knot=3)
