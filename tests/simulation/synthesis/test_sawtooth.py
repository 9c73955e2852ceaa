"""Sawtooths, envelopes and the ladder against the reference sounds of NSMT and plain loops."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from utils.simulation.synthesis import SynthesiserConfig, adsr, draw_parameters, synthesise
from utils.simulation.synthesis.sawtooth import moog_ladder, sawtooth

RATE = 8000


@pytest.fixture(scope="module")
def nsmt(reference):
    return np.load(reference / "vimh" / "reference_synth.npz")


def plain_ladder(audio, cutoff, resonance):
    """The equations, sample by sample."""
    stage, out, filtered = [0.0] * 4, [0.0] * 4, []
    for x, fc in zip(audio, cutoff):
        fc = min(max(fc, 20), 0.45 * RATE)
        a = 1 / (1 + 2 * math.tan(math.pi * fc / RATE))
        value = x - 4 * min(max(resonance, 0), 0.99) * out[3]
        for k in range(4):
            stage[k] = (1 - a) * value + a * stage[k]
            value = out[k] = math.tanh(stage[k])
        filtered.append(value)
    return np.array(filtered)


def envelope(n_samples, attack=0.0, decay=0.0, sustain=0.5, release=0.0, **kwargs):
    times = (np.array([value]) for value in (attack, decay, sustain, release))
    return adsr(*times, n_samples, 10, **kwargs)[:, 0]


@pytest.mark.parametrize("sound", ["p0", "p1", "p2", "p3"])
def test_sounds_are_those_of_nsmt(nsmt, sound):
    values = json.loads(str(nsmt[f"{sound}_params"]))
    duration = values.pop("duration")
    parameters = {name: {"min": value, "max": value} for name, value in values.items()}
    config = SynthesiserConfig(name=sound, duration=duration, parameters=parameters)
    found = synthesise(config, values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], nsmt[f"{sound}_audio"], atol=1e-6, rtol=0)


def test_the_envelope_is_that_of_nsmt(nsmt):
    values = json.loads(str(nsmt["p2_params"]))
    parts = ("attack", "decay", "sustain", "release")
    times = (np.array([values[f"filter_env_{part}"]]) for part in parts)
    np.testing.assert_allclose(adsr(*times, 4800, RATE)[:, 0], nsmt["adsr_p2"], atol=1e-7)


def test_envelopes_by_hand():
    found = envelope(12, attack=0.3, decay=0.4, sustain=0.25, release=0.3)
    expected = [0, 0.5, 1, 1, 0.75, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125, 0]
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.5] * 4),
        ({"attack": 0.1}, [0, 0.5, 0.5, 0.5]),  # one sample has the value at its beginning
        ({"decay": 0.1}, [1, 0.5, 0.5, 0.5]),
        ({"attack": 0.2, "release": 0.2}, [0, 1, 1, 0]),  # neither decay nor level: from 1
        ({"decay": 0.2, "release": 0.2}, [1, 0.5, 0.5, 0]),
        ({"decay": 0.4, "release": 0.4}, [1, 0.5, 0.5, 0]),  # too long: both are halved
    ],
)
def test_envelopes_with_parts_that_are_short_or_missing(settings, expected):
    np.testing.assert_allclose(envelope(4, **settings), expected, atol=1e-7)


def test_the_beginning_of_an_envelope_is_that_of_the_whole():
    parts = {"attack": 0.4, "decay": 0.5, "release": 0.6}
    for n_first in (0, 3, 7, 12, 20):
        found = envelope(20, **parts, n_first=n_first)
        np.testing.assert_array_equal(found, envelope(20, **parts)[:n_first])


def test_the_ladder_is_the_plain_loop():
    rng = np.random.default_rng(0)
    audio = rng.uniform(-1, 1, (600, 9))
    resonance = np.array([-0.2, 0, 0.3, 0.6, 0.85, 0.9, 0.95, 0.99, 1.5])
    feedback = 4 * np.clip(resonance, 0, 0.99)
    sweep = np.exp(rng.uniform(np.log(5), np.log(6000), (600, 9)))  # beyond both limits
    for cutoff in (sweep, sweep[:1]):
        found = moog_ladder(audio, cutoff, feedback, RATE)
        each = np.broadcast_to(cutoff, audio.shape).T
        expected = [plain_ladder(*row) for row in zip(audio.T, each, resonance)]
        np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-9)


def test_the_ladder_bears_the_loudest_input():
    audio = np.sign(np.sin(np.arange(4000) / 3))[:, None]
    found = moog_ladder(audio, np.full((1, 1), 3600.0), np.array([3.96]), RATE)
    expected = plain_ladder(audio[:, 0], np.full(4000, 3600.0), 0.99)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-9)


def test_a_low_cutoff_takes_high_frequencies_away():
    values = draw_parameters("moog_basic", 2)
    values["filter_cutoff"] = np.array([200.0, 2000.0])
    values["filter_resonance"] = np.zeros(2)
    values["note_velocity"] = values["log10_decay_time"] = np.zeros(2)
    values["note_velocity"] = np.full(2, 10.0)
    power = abs(np.fft.rfft(synthesise("moog_basic", values))) ** 2
    share = power[:, 1000:].sum(1) / power.sum(1)
    assert share[0] < share[1] / 100


def test_the_sawtooth_rises_from_zero_and_decays():
    values = {
        "note_number": np.array([43.35, 69.0]),
        "note_velocity": np.array([127.0, 63.5]),
        "log10_decay_time": np.array([0.0, -1.0]),
    }
    audio = sawtooth(values, RATE, RATE)
    assert (audio[0] == 0).all()
    np.testing.assert_allclose(np.abs(audio[:80, 0]).max(), 79 / 80, atol=0.02)
    np.testing.assert_allclose(np.diff(audio[:9, 1]) / (0.5 * 2 * 440 / RATE), 1, atol=0.05)
    for sound, tau in enumerate([1.0, 0.1]):
        peaks = [np.abs(audio[first : first + 400, sound]).max() for first in (0, 800)]
        assert peaks[1] / peaks[0] == pytest.approx(np.exp(-0.1 / tau), rel=0.06)


def test_a_filter_that_is_off_leaves_the_sawtooth():
    values = draw_parameters("moog_basic", 3)
    bare = {k: v for k, v in values.items() if not k.startswith("filter")}
    off = synthesise("moog_basic", values | {"filter_enabled": [0, 1, 0]})
    plain = synthesise("simple_saw", bare)
    np.testing.assert_array_equal(off[[0, 2]], plain[[0, 2]])
    assert np.abs(off[1] - plain[1]).max() > 0.1
