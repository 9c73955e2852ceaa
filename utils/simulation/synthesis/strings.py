"""Plucked strings: a delay line with losses (Karplus-Strong), and a sum of modes.

Both lose the same per period: a factor for all modes, from the decay time, and the two-point
average (1 - s) + s / z, which is the string's damping of high modes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit

from utils.simulation.synthesis.sawtooth import frequency

Values = Mapping[str, np.ndarray]  # (n,) of each parameter


def plucked_string(values: Values, sample_rate: int, n_samples: int) -> np.ndarray:
    """Karplus-Strong strings, ``(n, n_samples)`` float64.

    A burst of noise of one period, without the modes that have a node where the string is plucked,
    goes round in a delay line (Karplus & Strong 1983); an all-pass filter tunes it (Jaffe & Smith
    1983). The burst is the same in all sounds: parameters determine a sound.
    """
    f = frequency(values["note_number"])
    period = sample_rate / f  # samples
    average = (1 - values["brightness"]) / 2
    loss = np.exp(-1 / (f * 10 ** values["log10_decay_time"]))
    longest = int(np.max(period, initial=1)) + 1
    # twice 0.4 leaves room for what the all-pass overshoots
    burst = np.random.default_rng(0).uniform(-0.4, 0.4, longest)
    audio = np.zeros((len(f), n_samples))
    _pluck(burst, period, average, loss, values["pluck_position"], audio)
    audio *= values["note_velocity"][:, None] / 127
    return audio


def modal_string(values: Values, sample_rate: int, n_samples: int) -> np.ndarray:
    """Strings as sums of decaying modes below Nyquist, ``(n, n_samples)`` float64.

    Mode k has the frequency k f sqrt(1 + B k^2), where B is the inharmonicity of a stiff string
    (Fletcher 1964), and the amplitude sin(pi k p) / k of a string plucked at p; the largest sum of
    amplitudes is 1.
    """
    f = frequency(values["note_number"])[:, None]
    stiffness = 10 ** values["log10_inharmonicity"][:, None]
    k = np.arange(1, int(sample_rate / 2 / np.min(f, initial=sample_rate / 2)) + 1)
    of_mode = k * f * np.sqrt(1 + stiffness * k**2)  # (sound, mode)
    amplitude = np.sin(np.pi * k * values["pluck_position"][:, None]) / k
    amplitude[of_mode >= sample_rate / 2] = 0
    n_modes = np.count_nonzero(of_mode < sample_rate / 2, axis=1)
    amplitude /= np.abs(amplitude).sum(1, keepdims=True)
    amplitude *= values["note_velocity"][:, None] / 127

    angle = 2 * np.pi * of_mode / sample_rate
    average = (1 - values["brightness"][:, None]) / 2
    per_period = np.abs(1 - average + average * np.exp(-1j * angle))
    loss = np.exp(-1 / (sample_rate * 10 ** values["log10_decay_time"][:, None]))
    step = loss * per_period ** (f / sample_rate) * np.exp(1j * angle)  # from sample to sample
    audio = np.zeros((len(f), n_samples))
    _add_modes(n_modes, amplitude, step.real.copy(), step.imag.copy(), audio)
    return audio


@njit(cache=True, nogil=True)
def _pluck(
    burst: np.ndarray,
    period: np.ndarray,
    average: np.ndarray,
    loss: np.ndarray,
    position: np.ndarray,
    audio: np.ndarray,
) -> None:
    for i in range(len(audio)):
        y, s = audio[i], average[i]
        delay = int(period[i] - s - 0.1)  # whole samples; the rest keeps the all-pass stable
        rest = period[i] - s - delay
        tune = (1 - rest) / (1 + rest)
        n_burst = round(period[i])
        shift = round(position[i] * period[i])
        before = after = 0.0
        for t in range(len(y)):
            if t < n_burst:  # the comb 1 - z^-shift, round the period
                y[t] = burst[t] - burst[(t - shift) % n_burst]
            if t >= delay:
                earlier = y[t - delay - 1] if t > delay else 0.0
                averaged = (1 - s) * y[t - delay] + s * earlier
                after = tune * (averaged - after) + before
                before = averaged
                y[t] += loss[i] * after


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _add_modes(
    n_modes: np.ndarray,
    amplitude: np.ndarray,
    step_real: np.ndarray,
    step_imag: np.ndarray,
    audio: np.ndarray,
) -> None:
    """Imaginary parts of amplitude * step^t, summed over the first ``n_modes`` of each sound."""
    for i in range(len(audio)):
        real, imag = amplitude[i].copy(), np.zeros(amplitude.shape[1])
        a, b = step_real[i], step_imag[i]
        for t in range(audio.shape[1]):
            total = 0.0
            for k in range(n_modes[i]):
                total += imag[k]
                turned = a[k] * real[k] - b[k] * imag[k]
                imag[k] = a[k] * imag[k] + b[k] * real[k]
                real[k] = turned
            audio[i, t] = total
