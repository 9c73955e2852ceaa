"""A decaying sawtooth, and the Moog ladder that filters it.

Sounds lie side by side here, ``(time, sound)``: what one step in time does to all of them is one
vector operation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit

Values = Mapping[str, np.ndarray]  # (n,) of each parameter

LOWEST_CUTOFF, HIGHEST_CUTOFF = 20.0, 0.45  # Hz, and part of the sample rate
HIGHEST_RESONANCE = 0.99


def filtered_sawtooth(values: Values, sample_rate: int, n_first: int, n_samples: int) -> np.ndarray:
    """The first ``n_first`` of ``n_samples`` samples, ``(n_first, n)`` float64."""
    audio = sawtooth(values, sample_rate, n_first)
    filtered = values["filter_enabled"] != 0
    swept = filtered & (values["filter_env_amount"] != 0)
    for sounds in (filtered & ~swept, swept):
        some = {name: value[sounds] for name, value in values.items()}
        cutoff = some["filter_cutoff"][None]  # (1, sound), or (time, sound) below
        if sounds is swept:
            cutoff = _sweep(some, cutoff, sample_rate, n_first, n_samples)
        feedback = 4 * np.clip(some["filter_resonance"], 0, HIGHEST_RESONANCE)
        audio[:, sounds] = moog_ladder(audio[:, sounds], cutoff, feedback, sample_rate)
    return audio


def sawtooth(values: Values, sample_rate: int, n_samples: int) -> np.ndarray:
    """Rising sawtooth from 0 at the first sample, exponentially decaying, ``(n_samples, n)``."""
    audio = np.empty((n_samples, len(values["note_number"])))
    fade = np.exp(-1 / (sample_rate * 10 ** values["log10_decay_time"]))  # from sample to sample
    f, amplitude = frequency(values["note_number"]), values["note_velocity"] / 127
    _draw_sawtooth(f, amplitude, fade, sample_rate, audio)
    return audio


def frequency(note_number: np.ndarray) -> np.ndarray:
    """Hz of MIDI notes; note 69 is 440 Hz."""
    return 440 * 2 ** ((note_number - 69) / 12)


def adsr(
    attack: np.ndarray,
    decay: np.ndarray,
    sustain: np.ndarray,
    release: np.ndarray,
    n_samples: int,
    sample_rate: int,
    n_first: int | None = None,
) -> np.ndarray:
    """Envelopes of straight lines: 0 to 1, to ``sustain``, level, and to 0 at the last sample.

    Parameters
    ----------
    attack, decay, release : ``(n,)`` durations, s. Where they exceed the sound, all three are
        shortened in proportion.
    sustain : ``(n,)`` level.
    n_samples, sample_rate : of the whole sound.
    n_first : how many of its samples are wanted, all by default.

    Returns
    -------
    ``(n_first, n)`` float32. A part of one sample has the value at which it begins.
    """
    parts = np.floor(np.stack([attack, decay, release]) * sample_rate)  # whole samples
    total = parts.sum(0)
    shortened = np.floor(parts * (n_samples / np.maximum(total, 1)))
    parts = np.where(total > n_samples, shortened, parts)
    level = n_samples - parts.sum(0)
    counts = np.insert(parts, 2, level, axis=0).astype(int)  # attack, decay, level, release
    # without samples between them, the release begins where the decay ended
    last = np.where((level > 0) | (counts[1] > 1), sustain, 1.0)
    first = np.stack(np.broadcast_arrays(0.0, 1.0, sustain, last))
    final = np.stack(np.broadcast_arrays(1.0, sustain, sustain, 0.0))
    envelope = np.empty((n_samples if n_first is None else n_first, len(sustain)), np.float32)
    _draw_lines(counts, first, final, envelope)
    return envelope


def moog_ladder(
    audio: np.ndarray, cutoff: np.ndarray, feedback: np.ndarray, sample_rate: int
) -> np.ndarray:
    """Four one-pole low-passes in a row, each into a tanh, with feedback around all.

    Parameters
    ----------
    audio : ``(time, n)``, within -1 and 1.
    cutoff : ``(time, n)`` or, where it does not change, ``(1, n)``; Hz. Poles are computed in its
        precision.
    feedback : ``(n,)``, 0 to 4.
    """
    precision = cutoff.dtype.type
    cutoff = np.clip(cutoff, precision(LOWEST_CUTOFF), precision(HIGHEST_CUTOFF * sample_rate))
    pole = 1 / (1 + 2 * np.tan(precision(np.pi) * cutoff / precision(sample_rate)))
    filtered = np.empty_like(audio)
    _ladder(audio, pole, feedback, filtered)
    return filtered


def _sweep(
    values: Values, cutoff: np.ndarray, sample_rate: int, n_first: int, n_samples: int
) -> np.ndarray:
    """Cutoff ``(n_first, n)`` float32: NSMT's envelopes have single precision, which resonance
    makes larger than 1e-6 in the sound."""
    times = (values[f"filter_env_{part}"] for part in ("attack", "decay", "sustain", "release"))
    envelope = adsr(*times, n_samples, sample_rate, n_first)
    octaves = values["filter_env_amount"].astype(np.float32) * envelope
    return cutoff.astype(np.float32) * np.float32(2) ** octaves


@njit(cache=True, nogil=True)
def _draw_sawtooth(
    f: np.ndarray, amplitude: np.ndarray, fade: np.ndarray, sample_rate: int, audio: np.ndarray
) -> None:
    level = amplitude.copy()
    for t in range(len(audio)):
        time = t / sample_rate
        for i in range(len(f)):
            phase = f[i] * time - 0.5
            audio[t, i] = level[i] * (2 * (phase - np.floor(phase)) - 1)
            level[i] *= fade[i]


@njit(cache=True, nogil=True)
def _draw_lines(
    counts: np.ndarray, first: np.ndarray, final: np.ndarray, lines: np.ndarray
) -> None:
    """Lines of ``counts`` samples one after another, both ends included, where there is room."""
    n_samples, n = lines.shape
    for i in range(n):
        start = 0
        for part in range(len(counts)):
            count = counts[part, i]
            step = (final[part, i] - first[part, i]) / max(count - 1, 1)
            for k in range(min(count, n_samples - start)):
                lines[start + k, i] = first[part, i] + k * step
            start += count


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _ladder(
    audio: np.ndarray, pole: np.ndarray, feedback: np.ndarray, filtered: np.ndarray
) -> None:
    n_samples, n = audio.shape
    sweeps = len(pole) > 1
    stage = np.zeros((4, n))
    output = np.zeros(n)
    for t in range(n_samples):
        poles = pole[t if sweeps else 0]
        for i in range(n):
            output[i] = audio[t, i] - feedback[i] * output[i]
        for k in range(4):
            for i in range(n):
                a = poles[i]
                stage[k, i] = a * stage[k, i] + (1 - a) * output[i]
                output[i] = _tanh(stage[k, i])
        filtered[t] = output


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _tanh(x: float) -> float:
    """Within 1e-12 for |x| <= 5, more than a stage can reach; without branches or calls, so that
    a loop over sounds becomes vector instructions.

    exp(2x) is the 32nd power of the Taylor series of exp(x / 16).
    """
    z = x / 16
    e = 1 + z * (1 + z * (1 / 2 + z * (1 / 6 + z * (1 / 24 + z * (1 / 120 + z / 720)))))
    e += z**7 * (1 / 5040 + z * (1 / 40320 + z / 362880))
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return 1 - 2 / (1 + e)
