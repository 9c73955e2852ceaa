"""Strings: their pitch, how fast their modes fade, and where they are plucked."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation.synthesis.strings import modal_string, plucked_string

RATE = 8000
NOTES = np.array([36.0, 43.35, 51.9])
MODELS = [plucked_string, modal_string]


def values(**changes):
    parameters = {
        "note_number": NOTES,
        "note_velocity": 127.0,
        "log10_decay_time": 0.3,
        "pluck_position": 0.3,
        "brightness": 0.9,
        "log10_inharmonicity": -9.0,
        **changes,
    }
    n = np.broadcast_shapes(*(np.shape(value) for value in parameters.values()))
    return {
        name: np.broadcast_to(np.asarray(v, float), n or (1,)) for name, v in parameters.items()
    }


def mode_level(audio, frequency, first, n=1600):
    """Amplitude of a frequency in some samples of a sound, whatever its phase."""
    part = audio[first : first + n] * np.hanning(n)
    return abs(part @ np.exp(-2j * np.pi * frequency * np.arange(n) / RATE)) / n


def hertz(note):
    return 440 * 2 ** ((note - 69) / 12)


@pytest.mark.parametrize("model", MODELS)
def test_strings_are_in_tune(model):
    audio = model(values(), RATE, 8000)
    for sound, f in zip(audio, hertz(NOTES)):
        near = f * 2 ** (np.arange(-60, 61) / 1200)  # cents
        levels = [mode_level(sound, x, 400, n=7600) for x in near]
        assert abs(np.argmax(levels) - 60) <= 3


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mode", [1, 3, 6])
def test_modes_fade_as_the_losses_of_a_period_say(model, mode):
    f = hertz(43.35)
    tau, average = 0.5, 0.2
    audio = model(
        values(note_number=43.35, log10_decay_time=np.log10(tau), brightness=0.6), RATE, 6000
    )[0]
    damped = abs(1 - average + average * np.exp(-2j * np.pi * mode * f / RATE))
    expected = np.exp(-0.3 / tau) * damped ** (0.3 * f)
    found = mode_level(audio, mode * f, 3200) / mode_level(audio, mode * f, 800)
    assert found == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("model", MODELS)
def test_a_mode_with_a_node_at_the_pluck_is_silent(model):
    audio = model(values(note_number=43.35, pluck_position=0.5, brightness=1.0), RATE, 8000)[0]
    even, odd = ([mode_level(audio, k * hertz(43.35), 800) for k in ks] for ks in ((2, 4), (1, 3)))
    assert max(even) < 0.02 * min(odd)


def test_stiff_strings_have_stretched_modes():
    audio = modal_string(values(note_number=43.35, log10_inharmonicity=-3.0), RATE, 8000)[0]
    stretched = 8 * hertz(43.35) * np.sqrt(1 + 1e-3 * 64)
    near = stretched + np.arange(-20, 21)
    assert np.argmax([mode_level(audio, f, 0, 4000) for f in near]) == 20


@pytest.mark.parametrize("model", MODELS)
def test_velocity_is_amplitude_and_sounds_stay_within_one(model):
    loud, soft = (model(values(note_velocity=v), RATE, 2000) for v in (127.0, 25.4))
    np.testing.assert_allclose(soft, loud / 5, atol=1e-12)
    assert np.abs(loud).max() <= 1


@pytest.mark.parametrize("model", MODELS)
def test_the_beginning_is_that_of_the_whole_sound(model):
    whole, part = (model(values(), RATE, n) for n in (3000, 500))
    np.testing.assert_array_equal(whole[:, :500], part)


@pytest.mark.parametrize("model", MODELS)
def test_no_string(model):
    assert model(values(note_number=np.empty(0)), RATE, 100).shape == (0, 100)
