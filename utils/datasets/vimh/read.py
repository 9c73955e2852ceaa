"""Reading VIMH folders: memory-mapped, checked, and without writing anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.datasets.vimh.checks import (
    COUNTS,
    check_count,
    check_exact,
    check_records,
    check_total,
    dtype_of,
)
from utils.datasets.vimh.errors import VIMHError
from utils.datasets.vimh.metadata import (
    INFO,
    SIZE,
    check_agreement,
    check_name,
    parameters_of,
    read_metadata,
)
from utils.datasets.vimh.records import HEADER_BYTES, VIMH, VIMHSplit, make_records
from utils.datasets.vimh.sidecar import read_sidecar
from utils.sessions.unpickler import UnpickleError, load_plain_pickle


def read_vimh(folder: str | Path) -> VIMH:
    """Open a VIMH data set (version 2.1).

    Binary files are mapped, so that images are read when they are used; the pickled variant
    (``train_batch``, ``test_batch``) is read where there is no binary one. All headers are looked
    at: a data set that opens is consistent.

    Raises
    ------
    FileNotFoundError
        The JSON file or a part is missing.
    VIMHError
        The folder's name, the JSON file and the records contradict each other, or a file is
        damaged. The message names the file, the record or key, what was expected and found.
    """
    folder = Path(folder)
    metadata = read_metadata(folder)
    records = {part: _read_part(folder, part, metadata) for part in COUNTS}
    size = "x".join(str(metadata[key]) for key in SIZE)
    found = f"records from 0 on are {size} with N = {len(metadata['parameter_names'])}"
    check_agreement(metadata, f"{folder / INFO} ({found})")
    check_name(folder.resolve().name, metadata, f"the name of folder {folder} ({found})")
    check_total(sum(map(len, records.values())), metadata, folder / INFO)
    parameters, exact = parameters_of(metadata), read_sidecar(folder)
    parts = {part: VIMHSplit(records[part], parameters, exact.get(part)) for part in COUNTS}
    for part, split in parts.items():
        check_exact(split, folder / part)
    return VIMH(**parts, metadata=metadata, folder=folder)


def _read_part(folder: Path, part: str, metadata: Mapping[str, Any]) -> NDArray[np.void]:
    binary, pickled = folder / part, folder / f"{part}_batch"
    if binary.is_file():
        return _map_records(binary, part, metadata)
    if pickled.is_file():
        records = _unpickle_records(pickled, metadata)
        check_records(records, metadata, pickled)
        check_count(len(records), part, metadata, pickled)
        return records
    raise FileNotFoundError(f"neither {binary} nor {pickled} exists")


def _map_records(path: Path, part: str, metadata: Mapping[str, Any]) -> NDArray[np.void]:
    dtype = dtype_of(metadata)
    n_whole, n_left = divmod(path.stat().st_size, dtype.itemsize)
    n_expected = metadata.get(COUNTS[part], n_whole + (n_left > 0))
    records = np.memmap(path, dtype, "r", shape=n_whole) if n_whole else np.empty(0, dtype)
    check_records(records[:n_expected], metadata, path)
    if n_left and n_whole < n_expected:
        _check_last_header(path, n_whole, n_left, metadata)
        raise VIMHError(
            f"{path}, record {n_whole} is cut off: expected {dtype.itemsize} bytes, found {n_left}"
        )
    check_count(n_whole, part, metadata, path)
    if n_left:
        raise VIMHError(
            f"{path}: expected its end after {n_whole} records, found {n_left} bytes of a record "
            f"{n_whole}"
        )
    return records


def _check_last_header(path: Path, n_whole: int, n_left: int, metadata: Mapping[str, Any]) -> None:
    """A record that seems cut off may have another size than the rest."""
    dtype = dtype_of(metadata)
    if n_left <= HEADER_BYTES + dtype["labels"].itemsize:
        return
    record = np.zeros(1, dtype)
    tail = np.fromfile(path, np.uint8, offset=n_whole * dtype.itemsize)
    record.view(np.uint8)[:n_left] = tail
    check_records(record, metadata, path, first=n_whole)


def _unpickle_records(path: Path, metadata: Mapping[str, Any]) -> NDArray[np.void]:
    """Records of the pickled variant, which holds images, labels and scales apart."""
    try:
        with path.open("rb") as file:
            content = load_plain_pickle(file)
    except UnpickleError as error:
        raise VIMHError(f"{path} cannot be read: {error}") from None
    _check_entries(path, content, metadata)
    height, width, channels = (metadata[key] for key in SIZE)
    labels = _label_rows(path, content["vimh_labels"], len(metadata["parameter_names"]))
    images = content["data"].reshape(-1, channels, height, width).view(np.ndarray)
    records = make_records(images, labels[:, 2::2], content["scale_factors"].view(np.ndarray))
    records["n_labels"], records["labels"][..., 0] = labels[:, 0], labels[:, 1::2]
    return records


def _check_entries(path: Path, content: Any, metadata: Mapping[str, Any]) -> None:
    if not isinstance(content, dict):
        raise VIMHError(f"{path}: expected a dictionary, found {type(content).__name__}")
    labels = content.get("vimh_labels")
    if not isinstance(labels, list):
        raise VIMHError(f"{path}: 'vimh_labels' should be a list, found {type(labels).__name__}")
    n_pixels = int(np.prod([metadata[key] for key in SIZE]))
    expected = {key: metadata[key] for key in SIZE} | {"image_size": n_pixels}
    for key, value in expected.items():
        if content.get(key, value) != value:
            raise VIMHError(
                f"{path}, record 0 and all others: '{key}' should be {value} ({INFO}), found "
                f"{content[key]!r}"
            )
    for key, shape, dtype in (
        ("data", (len(labels), n_pixels), np.dtype(np.uint8)),
        ("scale_factors", (len(labels), 2), np.dtype(np.float32)),
    ):
        array = content.get(key)
        found = (array.shape, array.dtype) if isinstance(array, np.ndarray) else type(array)
        if found != (shape, dtype):
            raise VIMHError(
                f"{path}, record 0 and all others: '{key}' should be {dtype} {shape}, found {found}"
            )


def _label_rows(path: Path, rows: list[Any], n_parameters: int) -> NDArray[np.uint8]:
    """(n, 1 + 2N) rows of N and pairs of parameter id and code."""
    length = 1 + 2 * n_parameters
    for place, row in enumerate(rows):
        is_list = isinstance(row, list) and len(row) == length
        if not is_list or not all(isinstance(v, int) and 0 <= v <= 255 for v in row):
            raise VIMHError(
                f"{path}, record {place}: its label should be {length} bytes, N = {n_parameters} "
                f"and pairs of parameter id and value, found {row!r}"
            )
    return np.array(rows, np.uint8).reshape(len(rows), length)
