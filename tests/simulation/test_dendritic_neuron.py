"""The stand-in for a detailed neuron: plausible numbers, of known inputs."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation import simulate_dendritic_neuron


@pytest.fixture(scope="module")
def recording():
    return simulate_dendritic_neuron(16, 6000, seed=0)


def test_voltage_rates_and_inputs_are_in_the_range_of_a_cell(recording):
    density = len(recording.input) / (16 * 6000 * 1278)
    assert 0.005 < density < 0.015
    capped = np.minimum(recording.soma_mv[:, ::8], -55)
    assert -69 < capped.mean() < -65
    assert 3 < capped.std() < 5
    assert 1 < np.mean([len(times) for times in recording.spike_times]) / 6 < 2
    assert recording.soma_mv.shape == recording.apical_mv.shape == (16, 48000)


def test_inputs_are_sorted_and_arrive_once_in_a_ms(recording):
    key = (recording.run * 6000 + recording.ms) * 1278 + recording.input
    assert (np.diff(key) > 0).all()
    assert set(np.unique(recording.run)) == set(range(16))
    assert (recording.ms.min(), recording.ms.max()) == (0, 5999)
    assert (recording.input.min(), recording.input.max()) == (0, 1277)


def test_spikes_are_the_peaks_of_the_voltage(recording):
    for voltage, times in zip(recording.soma_mv, recording.spike_times):
        inner = voltage[1:-1]
        peaks = (inner > -25) & (inner > voltage[:-2]) & (inner > voltage[2:])
        np.testing.assert_array_equal(np.flatnonzero(peaks) + 1, 8 * times)


def test_excitation_raises_and_inhibition_lowers_the_voltage(recording):
    """Over stretches of 100 ms, without the input that both have in common."""
    frame = (recording.run * 6000 + recording.ms) // 100
    excitatory = recording.input < 639
    counts = [np.bincount(frame[kind], minlength=960) for kind in (excitatory, ~excitatory)]
    mean = np.minimum(recording.soma_mv, -55).reshape(960, -1).mean(axis=1)
    weights = np.linalg.lstsq(np.column_stack([*counts, np.ones(960)]), mean, rcond=None)[0]
    assert weights[0] > 0 > weights[1]


def test_a_seed_gives_the_same_values_again_and_another_one_others():
    first, again, other = (simulate_dendritic_neuron(2, 300, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.input, again.input)
    np.testing.assert_array_equal(first.soma_mv, again.soma_mv)
    assert len(first.ms) != len(other.ms)


@pytest.mark.parametrize(("n_runs", "duration"), [(0, 10), (1, 0)])
def test_nothing_to_simulate_is_refused(n_runs, duration):
    with pytest.raises(ValueError, match="n_runs and duration must be >= 1"):
        simulate_dendritic_neuron(n_runs, duration)
