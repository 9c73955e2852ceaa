"""Runs: Euler steps, noise, seeds, other starts of the same network, and the edges of the range."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation import held_out, simulate_network
from utils.simulation.network import simulate
from utils.simulation.network.dynamics import Dynamics
from utils.simulation.network.families import FAMILIES

SMALL = {"n_neurons": 20, "n_frames": 300, "warm_up": 50}
OVER_TIME = ("activity", "derivative", "observed", "inputs", "efficacy")
EVERYTHING = {
    "family": "N6",
    "input": {"type": "impulses", "interval": 60, "duration": 30},
    "calcium": {"saturation": 2.0},
    "process_noise": 0.1,
    "measurement_noise": 0.1,
}


def steps(network):
    """What each step adds beyond dt times the derivative, (T - 1, n)."""
    u, slope = network.activity, network.derivative
    return u[1:] - (u + np.float32(network.dt) * slope)[:-1]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dt", [0.01, 0.003])
def test_noise_free_steps_are_euler_to_the_last_bit(family, dt):
    assert not steps(simulate_network(**SMALL, family=family, dt=dt)).any()


@pytest.mark.parametrize("dt", [0.01, 0.0025])
def test_process_noise_has_its_sd_per_step(dt):
    """Not per sqrt(dt), and the derivative is that without noise."""
    noise = steps(simulate_network(**SMALL, process_noise=0.5, dt=dt))
    assert noise.std() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2 * noise.size))
    assert noise.mean() == pytest.approx(0, abs=4 * 0.5 / np.sqrt(noise.size))
    assert np.abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 4 / np.sqrt(
        noise.size
    )


def test_shapes_and_types():
    network = simulate_network(**SMALL, **EVERYTHING)
    for name in OVER_TIME:
        assert getattr(network, name).shape == (300, 20)
        assert getattr(network, name).dtype == np.float32
    assert network.connectivity.shape == (20, 20)
    assert network.types.tolist() == np.repeat([0, 1, 2, 3], 5).tolist()
    assert network.dt == 0.01


def test_what_is_not_simulated_is_none():
    network = simulate_network(**SMALL)
    assert network.inputs is None
    assert network.efficacy is None
    assert network.observed is network.activity


def test_start_is_normal_of_sd_5():
    start = simulate_network(n_neurons=2000, n_frames=1, warm_up=0, connectivity="null").activity
    assert start.std() == pytest.approx(5, abs=4 * 5 / np.sqrt(4000))


def test_warm_up_is_left_out():
    whole = simulate_network(**SMALL | {"warm_up": 0})
    later = simulate_network(**SMALL | {"warm_up": 100})
    np.testing.assert_array_equal(later.activity[:200], whole.activity[100:])


def test_longer_run_begins_as_the_shorter_one(monkeypatch):
    shorter = simulate_network(**SMALL, **EVERYTHING)
    monkeypatch.setattr(simulate, "BLOCK", 77)  # blocks do not matter either
    longer = simulate_network(**SMALL | {"n_frames": 400}, **EVERYTHING)
    for name in OVER_TIME:
        np.testing.assert_array_equal(
            getattr(longer, name)[:300], getattr(shorter, name), err_msg=name
        )


def test_seed_decides_all():
    first, again = (simulate_network(**SMALL, **EVERYTHING, seed=3) for _ in range(2))
    other = simulate_network(**SMALL, **EVERYTHING, seed=4)
    for name in (*OVER_TIME, "connectivity"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name), err_msg=name)
        assert (getattr(first, name) != getattr(other, name)).any(), name
    assert first.hash == again.hash != other.hash


def test_noise_moves_no_other_random_numbers():
    quiet, noisy = simulate_network(**SMALL), simulate_network(**SMALL, measurement_noise=0.3)
    np.testing.assert_array_equal(quiet.activity, noisy.activity)
    pushed = simulate_network(**SMALL, process_noise=0.3)
    np.testing.assert_array_equal(quiet.connectivity, pushed.connectivity)
    assert (quiet.activity[0] != pushed.activity[0]).all()


def test_held_out_is_the_same_network_without_noise_from_another_start():
    network = simulate_network(**SMALL, **EVERYTHING)
    other = held_out(network, n_frames=40, seed=9)
    assert other.connectivity is network.connectivity
    assert other.activity.shape == (40, 20)
    assert not steps(other).any()
    assert np.corrcoef(other.activity[0], network.activity[0])[0, 1] < 0.9
    np.testing.assert_array_equal(other.inputs, network.inputs[:40])
    assert (other.config.process_noise, other.config.measurement_noise) == (0, 0)
    assert other.hash != network.hash


def test_held_out_start_follows_its_seed():
    network = simulate_network(**SMALL)
    first, again, other = (held_out(network, 5, seed).activity for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_held_out_start_is_not_that_of_the_network_even_with_its_seed():
    network = simulate_network(**SMALL, seed=3)
    assert (held_out(network, 5, seed=3).activity != network.activity[:5]).all()


def test_held_out_equals_a_run_of_its_configuration():
    other = held_out(simulate_network(**SMALL, process_noise=0.2), 30, seed=8)
    np.testing.assert_array_equal(simulate_network(other.config).activity, other.activity)


@pytest.mark.parametrize("n_neurons", [1, 2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_few_neurons(family, n_neurons):
    """Fewer neurons than types, too."""
    network = simulate_network(n_neurons=n_neurons, n_frames=3, warm_up=2, family=family)
    assert network.activity.shape == (3, n_neurons)
    assert np.isfinite(network.derivative).all()


def test_one_frame():
    network = simulate_network(n_neurons=4, n_frames=1, warm_up=0, family="N3")
    assert network.activity.shape == (1, 4)


def test_unstable_network_is_an_error():
    with pytest.raises(FloatingPointError, match=r"not finite after frame .* lower gain"):
        simulate_network(**SMALL, phi="relu", gain=3000.0)


def test_blocks_are_short():
    config = simulate_network(**SMALL).config.model_copy(update={"n_frames": 2500})
    blocks = list(simulate.run(Dynamics.draw(config), config))
    assert [first for first, _ in blocks] == [0, 1000, 2000]
    assert [len(block["activity"]) for _, block in blocks] == [1000, 1000, 500]
