"""What is seen of a network: calcium against plain loops, saturation, measurement noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from utils.simulation import simulate_network

SMALL = {"n_neurons": 5, "n_frames": 120, "warm_up": 0}
DRIVE = {
    "softplus": lambda u: max(u, 0) + math.log1p(math.exp(-abs(u))),
    "relu": lambda u: max(u, 0),
    "tanh": lambda u: 1 + math.tanh(u),
    "identity": lambda u: u,
}


@pytest.mark.parametrize("activation", DRIVE)
@pytest.mark.parametrize("saturation", [None, 1.5])
def test_calcium_by_a_loop(activation, saturation):
    calcium = {"activation": activation, "tau": 0.2, "alpha": 2, "beta": 0.5}
    network = simulate_network(**SMALL, calcium={**calcium, "saturation": saturation})
    expected = np.empty((120, 5))
    for neuron in range(5):
        level = DRIVE[activation](float(network.activity[0, neuron]))
        for frame in range(120):
            seen = level if saturation is None else level / (1 + abs(level) / saturation)
            expected[frame, neuron] = 2 * seen + 0.5
            target = DRIVE[activation](float(network.activity[frame, neuron]))
            level += 0.01 / 0.2 * (target - level)
    np.testing.assert_allclose(network.observed, expected, rtol=1e-5, atol=1e-5)


def test_calcium_goes_on_over_blocks_and_warm_up():
    calcium = {"tau": 5.0}
    whole = simulate_network(n_neurons=5, n_frames=2300, warm_up=0, calcium=calcium)
    later = simulate_network(n_neurons=5, n_frames=1000, warm_up=1300, calcium=calcium)
    np.testing.assert_array_equal(later.observed, whole.observed[1300:])


def test_saturated_calcium_stays_below_its_limit():
    calcium = {"activation": "relu", "saturation": 0.7}
    observed = simulate_network(**SMALL, calcium=calcium).observed
    assert observed.min() >= 0
    assert 0.4 < observed.max() < 0.7


@pytest.mark.parametrize("calcium", [None, {}])
def test_measurement_noise_is_white_and_only_in_what_is_observed(calcium):
    settings = SMALL | {"n_frames": 4000, "calcium": calcium}
    quiet, noisy = simulate_network(**settings), simulate_network(**settings, measurement_noise=0.3)
    noise = noisy.observed - quiet.observed
    assert noise.std() == pytest.approx(0.3, abs=4 * 0.3 / np.sqrt(2 * noise.size))
    assert noise.mean() == pytest.approx(0, abs=4 * 0.3 / np.sqrt(noise.size))
    assert abs((noise[1:] * noise[:-1]).mean()) < 4 * 0.09 / np.sqrt(noise.size)
    np.testing.assert_array_equal(quiet.activity, noisy.activity)
    np.testing.assert_array_equal(quiet.derivative, noisy.derivative)
