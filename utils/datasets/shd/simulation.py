"""Simulated spoken digits in the format of SHD, for tests and for trying models without a download.

A word is a sequence of three of five sounds; a sound excites three bands of channels. The German
word of a digit is made of the sounds of the English one in reverse: how often each channel spikes
in total is the same for both, so whoever only counts spikes is right in half of the cases at best.
"""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from utils.datasets.shd.files import CHANNELS, LABELS, TEST_FILE, TIMES, TRAIN_FILE, UNITS, WORDS
from utils.paths import data_dir

SOUNDS, SOUNDS_PER_WORD = 5, 3  # ten triples, one per digit
BANDS, BAND_WIDTH = 3, 12.0  # of a sound; standard deviation in channels
SPIKES, NOISE_SPIKES = 240, 60  # per word, on average


def shd_or_simulated() -> Path:
    """The folder ``DATA/shd`` where it holds both files, else one with simulated ones."""
    folder = data_dir() / "shd"
    if all((folder / name).is_file() for name in (TRAIN_FILE, TEST_FILE)):
        return folder
    return write_shd_like(data_dir() / "shd_simulated")


def write_shd_like(
    folder: str | Path, n_train: int = 600, n_test: int = 300, seed: int = 0
) -> Path:
    """Write ``shd_train.h5`` and ``shd_test.h5`` with simulated words, equally many per class.

    Each speaking differs in onset, speed, loudness and pitch (a shift of all channels), and has
    spikes of noise. The files say that they are simulated; returned is the folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    bands = rng.uniform(0.08, 0.92, (SOUNDS, BANDS)) * CHANNELS
    for name, n_records in ((TRAIN_FILE, n_train), (TEST_FILE, n_test)):
        labels = rng.permutation(np.arange(n_records) % len(WORDS))
        _write(folder / name, [_spoken(bands[_sounds(label)], rng) for label in labels], labels)
    return folder


def _sounds(label: int) -> list[int]:
    """Sounds of a word in order."""
    sounds = list(combinations(range(SOUNDS), SOUNDS_PER_WORD))[label % 10]
    return list(sounds if label < 10 else reversed(sounds))


def _spoken(
    bands: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float16], NDArray[np.uint16]]:
    """Times (s) in order, and channels, of one speaking of a word of (sound, band) channels."""
    n_spikes, n_noise = rng.poisson([SPIKES * rng.uniform(0.7, 1.3), NOISE_SPIKES])
    onset, duration, pitch = rng.uniform(0.02, 0.15), rng.uniform(0.5, 0.8), rng.normal(0, 10)
    moment = rng.uniform(0, 1, n_spikes)  # of the word
    sound = (moment * len(bands)).astype(int)
    centre = bands[sound, rng.integers(0, BANDS, n_spikes)] + pitch
    channel = rng.normal(centre, BAND_WIDTH)
    times = np.r_[onset + duration * moment, rng.uniform(0, 1.2, n_noise)]
    channels = np.r_[channel, rng.uniform(0, CHANNELS - 1, n_noise)].round()
    order = times.argsort()
    return (
        times[order].astype(np.float16),
        channels[order].clip(0, CHANNELS - 1).astype(np.uint16),
    )


def _write(path: Path, records: list[tuple[NDArray, NDArray]], labels: NDArray) -> None:
    part = path.with_suffix(".part")
    with h5py.File(part, "w") as file:
        file.attrs["source"] = "simulated"
        file[LABELS] = labels.astype(np.uint16)
        for name, lists in zip((TIMES, UNITS), zip(*records)):
            dtype = h5py.vlen_dtype(lists[0].dtype)
            ragged = file.create_dataset(name, len(records), dtype)
            for row, values in enumerate(lists):
                ragged[row] = values
    os.replace(part, path)
