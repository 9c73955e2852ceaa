"""SHD, the Spiking Heidelberg Digits: spoken digits as spikes of 700 channels of a cochlea model.

Digits zero to nine, in English (classes 0 to 9) and in German (10 to 19), spoken by twelve people:
8156 recordings for training and 2264 for the test, two of whose speakers are heard nowhere else.

Data: https://zenkelab.org/datasets (CC BY 4.0); to be cited as Cramer, Stradmann, Schemmel & Zenke,
"The Heidelberg Spiking Data Sets for the Systematic Evaluation of Spiking Neural Networks", IEEE
Transactions on Neural Networks and Learning Systems 33, 2022.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from utils.paths import data_dir

logger = logging.getLogger(__name__)

CHANNELS = 700
WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
)
TRAIN_FILE, TEST_FILE = "shd_train.h5", "shd_test.h5"
SOURCE = "https://zenkelab.org/datasets"
MD5 = {  # the only sums that are published
    TRAIN_FILE: "8e9877c85f29a28dd353ea6a54402667",
    TEST_FILE: "207ad1295a0ab611e22d1734989c254e",
    f"{TRAIN_FILE}.gz": "d47c9825dee33347913e8ce0f2be08b0",
    f"{TEST_FILE}.gz": "3062a80ec0c5719404d5b02e166543b1",
}
TIMES, UNITS, LABELS = "spikes/times", "spikes/units", "labels"
RECORDS_AT_ONCE = 256


@dataclass(frozen=True, eq=False, repr=False)
class SpokenDigits:
    """Spikes of all recordings of a file, one after the other.

    Those of record i are ``times[offsets[i]:offsets[i + 1]]``.
    """

    times: NDArray[np.floating]  # (spike,) s from the start of the recording, as stored
    units: NDArray[np.uint16]  # (spike,) channel, 0 .. 699
    offsets: NDArray[np.int64]  # (record + 1,)
    labels: NDArray[np.int64]  # (record,) 0 .. 19, places in WORDS
    source: str  # "shd" for the published files, "simulated", else "unknown"

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"SpokenDigits({len(self):,} records, {len(self.times):,} spikes, {self.source})"

    def record(self, index: int) -> tuple[NDArray[np.floating], NDArray[np.uint16]]:
        """Times (s) and channels of the spikes of one recording."""
        own = slice(self.offsets[index], self.offsets[index + 1])
        return self.times[own], self.units[own]


def read_shd(path: str | Path) -> SpokenDigits:
    """Read a file of SHD, published or of the same format; see :func:`fetch_shd`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Not HDF5, truncated or of another layout; times and channels of a record that differ in
        number; a time that is negative or no number; a channel or a label that does not exist.
        The message names file, data set and record.
    """
    path = Path(path)
    with _opened(path) as file:
        times, units, labels = _layout(path, file)
        spikes, channels, offsets = _read_ragged(path, times, units)
        classes = labels[...]
        simulated = file.attrs.get("source") == "simulated"
    _check_times(path, spikes, offsets)
    _check_range(path, UNITS, channels, CHANNELS, offsets)
    _check_range(path, LABELS, classes, len(WORDS), np.arange(len(classes) + 1))
    return SpokenDigits(
        spikes,
        channels.astype(np.uint16),
        offsets,
        classes.astype(np.int64),
        "simulated" if simulated else "shd" if is_published_shd(path) else "unknown",
    )


def is_published_shd(path: str | Path) -> bool:
    """Whether this is a file that was published, by its content."""
    return _md5(Path(path)) in (MD5[TRAIN_FILE], MD5[TEST_FILE])


def fetch_shd() -> Path:
    """The folder ``DATA/shd`` with both files; what is not there is downloaded and checked.

    Raises
    ------
    ConnectionError
        No network, or what arrived is not the published file.
    """
    folder = data_dir() / "shd"
    folder.mkdir(exist_ok=True)
    for name in (TRAIN_FILE, TEST_FILE):
        if not (folder / name).is_file():
            _fetch(folder / f"{name}.gz")
            _unpack(folder / f"{name}.gz", folder / name)
    return folder


def _fetch(packed: Path) -> None:
    """Download a file unless it is there already, and check it."""
    url, arriving = f"{SOURCE}/{packed.name}", packed.with_suffix(".part")
    try:
        if packed.is_file():
            _check_content(packed, packed.name)
            return
        logger.info("downloading %s (Cramer et al., IEEE TNNLS 2022; CC BY 4.0)", url)
        torch.hub.download_url_to_file(url, arriving)
        _check_content(arriving, packed.name)
        os.replace(arriving, packed)
    except OSError as error:
        arriving.unlink(missing_ok=True)
        raise ConnectionError(
            f"cannot fetch {url}: {error}; download {TRAIN_FILE}.gz and {TEST_FILE}.gz elsewhere "
            f"and put them into {packed.parent}"
        ) from None


def _check_content(path: Path, name: str) -> None:
    found = _md5(path)
    if found != MD5[name]:
        raise OSError(f"{path} has the md5 {found}, the published file {MD5[name]}")


def _unpack(packed: Path, path: Path) -> None:
    """A file is either complete or absent."""
    part = path.with_suffix(".part")
    with gzip.open(packed) as compressed, part.open("wb") as file:
        shutil.copyfileobj(compressed, file)
    os.replace(part, path)
    packed.unlink()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}; fetch_shd() downloads SHD, write_shd_like(folder) simulates it"
        )
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise ValueError(f"{path} is no HDF5 file, or truncated: {error}") from None


def _layout(path: Path, file: h5py.File) -> tuple[h5py.Dataset, h5py.Dataset, h5py.Dataset]:
    """The data sets of times, channels and labels: one entry per record, of the right kind."""
    found = []
    for name, kinds, ragged in ((TIMES, "f", True), (UNITS, "iu", True), (LABELS, "iu", False)):
        item = file.get(name)
        if not isinstance(item, h5py.Dataset):
            raise ValueError(
                f"{path}: no data set {name}; expected {TIMES}, {UNITS}, {LABELS}, found "
                f"{', '.join(file) or 'an empty file'}"
            )
        dtype = h5py.check_vlen_dtype(item.dtype) if ragged else item.dtype
        if dtype is None or np.dtype(dtype).kind not in kinds or item.ndim != 1:
            number = "numbers with a fraction" if kinds == "f" else "integers"
            raise ValueError(
                f"{path}: {name} must hold {'a list of ' * ragged}{number} per record, found "
                f"{item.dtype} {item.shape}"
            )
        found.append(item)
    lengths = {item.name: len(item) for item in found}
    if len(set(lengths.values())) > 1 or not len(found[0]):
        raise ValueError(f"{path}: data sets must have one entry per record, found {lengths}")
    return tuple(found)


def _read_ragged(
    path: Path, times: h5py.Dataset, units: h5py.Dataset
) -> tuple[NDArray, NDArray, NDArray[np.int64]]:
    """Times and channels of all spikes, and where those of each record begin."""
    spikes, channels, counts = [], [], [0]
    for first in tqdm(range(0, len(times), RECORDS_AT_ONCE), desc=path.name, leave=False, delay=1):
        some_times, some_units = (d[first : first + RECORDS_AT_ONCE] for d in (times, units))
        for record, (t, u) in enumerate(zip(some_times, some_units), first):
            if len(t) != len(u):
                raise ValueError(
                    f"{path}: record {record} has {len(t)} entries in {TIMES} and {len(u)} in "
                    f"{UNITS}"
                )
            counts.append(len(t))
        spikes.append(np.concatenate(some_times))
        channels.append(np.concatenate(some_units))
    return np.concatenate(spikes), np.concatenate(channels), np.cumsum(counts)


def _check_times(path: Path, times: NDArray, offsets: NDArray[np.int64]) -> None:
    wrong = ~(np.isfinite(times) & (times >= 0))
    if wrong.any():
        place = int(wrong.argmax())
        raise ValueError(
            f"{path}: {TIMES} of record {_record_of(place, offsets)} has {times[place]}; expected "
            "seconds from the start of the recording"
        )


def _check_range(
    path: Path, name: str, values: NDArray, count: int, offsets: NDArray[np.int64]
) -> None:
    wrong = (values < 0) | (values >= count)
    if wrong.any():
        place = int(wrong.argmax())
        raise ValueError(
            f"{path}: {name} of record {_record_of(place, offsets)} has {values[place]}; expected "
            f"0 to {count - 1}"
        )


def _record_of(place: int, offsets: NDArray[np.int64]) -> int:
    """Record that holds the spike with this number."""
    return int(np.searchsorted(offsets, place, side="right")) - 1
