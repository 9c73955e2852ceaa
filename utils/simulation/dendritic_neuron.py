"""A neuron with dendrites under random synaptic input: a stand-in for detailed models of a cell.

It has what makes such a neuron hard to predict, in the simplest form that shows it, and is not the
model of Hay et al. (2011) that made NeuronIO: synapses on 639 segments form branches, each of which
integrates its excitation slowly, is divided by its inhibition, and passes on a sigmoid of it as an
NMDA spike does; apical branches act through a second compartment; a leaky soma adds all up, spikes,
is reset and stays less excitable for a while.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from utils.simulation.behaviour import ornstein_uhlenbeck
from utils.simulation.timeline import FINE_STEP

NEURON = 0  # seed of what is fixed in the cell
BASAL, SEGMENTS = 262, 639  # the first segments are basal, the others apical
SEGMENTS_PER_BRANCH = 9
STEPS_PER_MS = 8

# input: rates per segment, modulated together in each tree
RATES = {"excitatory": 0.0085, "inhibitory": 0.006}  # spikes per ms and segment
MODULATION = 0.45  # standard deviation of the log-rate
MODULATION_TAU = 120.0  # ms
SHARED = 0.7  # correlation of a tree's excitation and inhibition

# dendrites
FAST_TAU, SLOW_TAU, INHIBITION_TAU = 4.0, 40.0, 10.0  # ms
SHUNT = 0.5  # how strongly inhibition divides
HALF, STEEPNESS = 0.22, 4  # of a branch's sigmoid

# soma, mV and ms
REST, THRESHOLD = -80.0, -57.0
SOMA_TAU, APICAL_TAU, AFTER_TAU = 8.0, 20.0, 50.0
BASAL_GAIN, APICAL_GAIN = 30.0, 26.0  # mV if all branches were saturated
AFTER_HYPERPOLARISATION = 10.0  # mV that a spike takes from the drive
SPIKE_SHAPE = np.array([-40.0, -5.0, 22.0, 30.0, 12.0, -15.0, -40.0, -58.0, -66.0, -70.0])


class DendriticRecording(NamedTuple):
    """Simulated inputs and voltages of one neuron in several runs."""

    run: NDArray[np.int64]  # (event,) of each input spike; in order of run, time and input
    ms: NDArray[np.int64]  # (event,) when it arrives
    input: NDArray[np.int64]  # (event,) 0-638 excitatory, 639-1277 inhibitory, by segment
    soma_mv: NDArray[np.float32]  # (run, 8 * ms)
    apical_mv: NDArray[np.float32]  # (run, 8 * ms) of the second compartment
    spike_times: list[NDArray[np.float64]]  # of each run, ms of the peaks


def simulate_dendritic_neuron(n_runs: int, duration: int, seed: int = 0) -> DendriticRecording:
    """Runs of ``duration`` ms with fresh input. The neuron is the same for every seed.

    An input has at most one spike in a ms; 0.7 % of all inputs do in the mean. The voltage is
    about -68 mV in the mean, and there are one to two output spikes per second.

    Raises
    ------
    ValueError
        Less than one run or one ms.
    """
    if min(n_runs, duration) < 1:
        raise ValueError(f"n_runs and duration must be >= 1, found {n_runs} and {duration}")
    run, ms, source = _inputs(n_runs, duration, np.random.default_rng(seed))
    ends = np.searchsorted(run * duration + ms, np.arange(n_runs * duration), side="right")
    basal, apical = _dendrites(source, ends.reshape(n_runs, duration), *_synapses())
    soma_mv, apical_mv, peaks = _soma(BASAL_GAIN * basal, APICAL_GAIN * apical)
    times = [np.flatnonzero(of_run) / STEPS_PER_MS for of_run in peaks]
    return DendriticRecording(run, ms, source, soma_mv, apical_mv, times)


def _inputs(
    n_runs: int, duration: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Run, ms and input of all input spikes, sorted."""
    keys = []
    for tree in (np.arange(BASAL), np.arange(BASAL, SEGMENTS)):
        shared = _modulation(n_runs, duration, rng)
        for kind, rate in enumerate(RATES.values()):
            own = _modulation(n_runs, duration, rng)
            log_rate = MODULATION * (np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own)
            expected = rate * len(tree) * np.exp(log_rate - MODULATION**2 / 2)
            frame = np.arange(n_runs * duration).repeat(rng.poisson(expected).ravel())
            source = rng.choice(tree, len(frame)) + kind * SEGMENTS
            keys.append(frame * 2 * SEGMENTS + source)
    key = np.sort(np.concatenate(keys))  # np.unique takes a hundred times as long
    frame, source = np.divmod(key[np.diff(key, prepend=-1) > 0], 2 * SEGMENTS)
    run, ms = np.divmod(frame, duration)
    return run, ms, source


def _modulation(n_runs: int, duration: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(run, ms) slow noise of unit variance; a fine step stands for a ms."""
    return ornstein_uhlenbeck(MODULATION_TAU * FINE_STEP, (n_runs, duration), rng)


def _synapses() -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Branch (segment,) and strength (input,) of the synapses, and weight of each branch."""
    rng = np.random.default_rng(NEURON)
    branch = np.arange(SEGMENTS) // SEGMENTS_PER_BRANCH
    strength = rng.lognormal(-0.125, 0.5, 2 * SEGMENTS)
    weight = rng.lognormal(-0.18, 0.6, branch[-1] + 1)
    apical = np.arange(len(weight)) * SEGMENTS_PER_BRANCH >= BASAL
    for tree in (apical, ~apical):
        weight[tree] /= weight[tree].sum()
    return branch, strength, weight


@njit(cache=True)
def _dendrites(source, ends, branch, strength, weight):
    """What all basal and all apical branches pass on, each (run, ms) in 0 .. 1."""
    n_runs, duration = ends.shape
    n_branches = len(weight)
    fast, slow, inhibition = (
        np.exp(-1 / FAST_TAU),
        np.exp(-1 / SLOW_TAU),
        np.exp(-1 / INHIBITION_TAU),
    )
    passed_on = np.zeros((2, n_runs, duration))
    event = 0
    for run in range(n_runs):
        state = np.zeros((3, n_branches))  # fast and slow excitation, inhibition
        for ms in range(duration):
            state[0] *= fast
            state[1] *= slow
            state[2] *= inhibition
            while event < ends[run, ms]:
                of_branch = branch[source[event] % SEGMENTS]
                if source[event] < SEGMENTS:
                    state[0, of_branch] += strength[source[event]] / FAST_TAU
                    state[1, of_branch] += strength[source[event]] / SLOW_TAU
                else:
                    state[2, of_branch] += strength[source[event]] / INHIBITION_TAU
                event += 1
            for b in range(n_branches):
                drive = (state[0, b] + state[1, b]) / (1 + SHUNT * state[2, b])
                opened = drive**STEEPNESS / (HALF**STEEPNESS + drive**STEEPNESS)
                apical = b * SEGMENTS_PER_BRANCH >= BASAL
                passed_on[int(apical), run, ms] += weight[b] * opened
    return passed_on


@njit(cache=True)
def _soma(basal, apical):
    """Voltages of soma and apical compartment (run, step) for drives (run, ms) in mV, and peaks."""
    n_runs, duration = basal.shape
    soma_mv = np.empty((n_runs, duration * STEPS_PER_MS), np.float32)
    apical_mv = np.empty_like(soma_mv)
    peaks = np.zeros(soma_mv.shape, np.bool_)
    peak = SPIKE_SHAPE.argmax()
    for run in range(n_runs):
        soma, dendrite, after = REST, 0.0, 0.0
        since = len(SPIKE_SHAPE)  # steps since the last spike began
        for step in range(soma_mv.shape[1]):
            ms = step // STEPS_PER_MS
            dendrite += (apical[run, ms] - dendrite) / (APICAL_TAU * STEPS_PER_MS)
            after -= after / (AFTER_TAU * STEPS_PER_MS)
            if since < len(SPIKE_SHAPE):
                soma = SPIKE_SHAPE[since]
                peaks[run, step] = since == peak
                since += 1
            else:
                drive = REST + basal[run, ms] + dendrite - after
                soma += (drive - soma) / (SOMA_TAU * STEPS_PER_MS)
                if soma > THRESHOLD:
                    since = 0
                    after += AFTER_HYPERPOLARISATION
            soma_mv[run, step] = soma
            apical_mv[run, step] = REST + 1.5 * dendrite + 0.3 * (min(soma, THRESHOLD) - REST)
    return soma_mv, apical_mv, peaks
