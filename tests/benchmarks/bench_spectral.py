"""Synthetic sounds and their images, on 2 CPU cores.

16,384 sounds of each synthesiser, from parameters to images, once as sounds end with their images
and once with the whole sounds; the time for all, and images per second. The peer makes one sound
after another in NumPy and SciPy, with the ladder as a loop in Python; it makes a few, and its time
is scaled up. Both must give the same images within a grey level. Memory is the resident set's
high-water mark over what was there before, next to the size of what comes out.
"""

from __future__ import annotations

import math
import time

import numpy as np
from scipy.signal import get_window, stft

from tests.benchmarks.bench_elm import _added_megabytes, two_cores
from utils.signals.spectra import SpectrogramConfig, spectral_image
from utils.simulation.synthesis import (
    SynthesiserConfig,
    adsr,
    draw_parameters,
    synthesise,
    synthesise_images,
    synthesiser_config,
)

N_SOUNDS, N_OF_PEER, AT_ONCE = 16_384, 8, 512
CONFIGS = ("simple_saw", "moog_basic", "moog_envelope", "moog_resonance", "string", "modal_string")
ENVELOPE = ("attack", "decay", "sustain", "release")


def main() -> None:
    """Print one row per synthesiser."""
    print(
        "| synthesiser | sound, s | image | 16,384 images, s | images/s | added MB "
        "| with whole sounds, s | a loop in NumPy and SciPy, s | times as fast |\n"
        + "|---" * 9
        + "|"
    )
    with two_cores():
        for name in CONFIGS:
            print(f"| {' | '.join(_row(name))} |", flush=True)


def _row(name: str) -> list[str]:
    config, values = synthesiser_config(name), draw_parameters(name, N_SOUNDS)
    images, _ = synthesise_images(name, _rows(values, slice(N_OF_PEER)), workers=2)  # compiles
    seconds = []

    def make_images() -> None:
        begin = time.perf_counter()
        synthesise_images(name, values, workers=2)
        seconds.append(time.perf_counter() - begin)

    memory = _added_megabytes(make_images)
    whole = _seconds_with_whole_sounds(config, values)
    peer = _peer_seconds(config, values, images[:, 0])
    size = f"{config.image.height} x {config.image.width}"
    row = [name, f"{config.duration}", size, f"{seconds[0]:.1f}", f"{N_SOUNDS / seconds[0]:,.0f}"]
    compared = ["-", "-"] if peer is None else [f"{peer:,.0f}", f"{peer / whole:,.0f}"]
    return [*row, f"{memory:,.0f}", f"{whole:.1f}", *compared]


def _rows(values: dict[str, np.ndarray], rows: slice) -> dict[str, np.ndarray]:
    return {name: value[rows] for name, value in values.items()}


def _seconds_with_whole_sounds(config: SynthesiserConfig, values: dict[str, np.ndarray]) -> float:
    """Some hundred at a time, as one would to write both to files."""
    begin = time.perf_counter()
    for first in range(0, N_SOUNDS, AT_ONCE):
        some = _rows(values, slice(first, first + AT_ONCE))
        spectral_image(synthesise(config, some, workers=2), config.image)
    return time.perf_counter() - begin


def _peer_seconds(
    config: SynthesiserConfig, values: dict[str, np.ndarray], images: np.ndarray
) -> float | None:
    """Of the peer for all sounds; none where it does not know the synthesiser."""
    if config.synth_type != "simple":
        return None
    begin = time.perf_counter()
    for i in range(N_OF_PEER):
        sound = _peer_sound(config, {name: float(value[i]) for name, value in values.items()})
        image = _peer_image(sound, config.image)
        if np.abs(image - images[i].astype(int)).max() > 1:
            raise AssertionError(f"{config.name}: image {i} is not that of the peer")
    return (time.perf_counter() - begin) / N_OF_PEER * N_SOUNDS


def _peer_sound(config: SynthesiserConfig, values: dict[str, float]) -> np.ndarray:
    n, rate = config.n_samples, config.sample_rate
    t = np.arange(n) / rate
    phase = (440 * 2 ** ((values["note_number"] - 69) / 12) * t - 0.5) % 1
    decay = np.exp(-t / 10 ** values["log10_decay_time"])
    audio = values["note_velocity"] / 127 * (2 * phase - 1) * decay
    if "filter_cutoff" not in values:
        return audio.astype(np.float32)
    cutoff = np.full(n, values["filter_cutoff"])
    if values.get("filter_env_amount"):
        times = (np.array([values[f"filter_env_{part}"]]) for part in ENVELOPE)
        cutoff *= 2 ** (values["filter_env_amount"] * adsr(*times, n, rate)[:, 0])
    return _peer_ladder(audio, cutoff, 4 * values["filter_resonance"], rate)


def _peer_ladder(audio: np.ndarray, cutoff: np.ndarray, feedback: float, rate: int) -> np.ndarray:
    stage, value, filtered = [0.0] * 4, 0.0, np.empty(len(audio), np.float32)
    poles = 1 / (1 + 2 * np.tan(np.pi * np.clip(cutoff, 20, 0.45 * rate) / rate))
    for i, (x, a) in enumerate(zip(audio.tolist(), poles.tolist())):
        value = x - feedback * value
        for k in range(4):
            stage[k] = (1 - a) * value + a * stage[k]
            value = math.tanh(stage[k])
        filtered[i] = value
    return filtered


def _peer_image(sound: np.ndarray, image: SpectrogramConfig) -> np.ndarray:
    kind = "boxcar" if image.window_type == "rectangular" else image.window_type
    margin = (image.n_fft - image.n_window) // 2
    window = np.pad(get_window(kind, image.n_window, fftbins=False), margin)
    overlap = image.n_fft - image.hop_length
    spectrum = stft(sound, 1, window, image.n_fft, overlap, boundary=None, padded=False)[2]
    # SciPy divides by the sum of the window
    level = np.abs(spectrum) * window.sum() / math.sqrt(image.n_fft)
    level = 20 * np.log10(np.maximum(level, 1e-10))[1 : image.height + 1, : image.width]
    return np.rint(255 * (level - level.min()) / (level.max() - level.min())).astype(int)


if __name__ == "__main__":
    main()
