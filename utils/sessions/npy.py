"""Reading ``.npy`` files that may be large, damaged or made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from utils.sessions.errors import SessionError, SessionNotFoundError


def open_npy(path: Path | str) -> np.ndarray:
    """Open a numeric ``.npy`` file as a read-only memory map; nothing is read but its header.

    Raises
    ------
    SessionError
        The file is missing, is no npy file, holds Python objects, or is shorter than its header
        says (an interrupted copy or download); expected and found bytes are named.
    """
    path = Path(path)
    shape, dtype, offset = _header_of(path)
    if dtype.hasobject:
        raise SessionError(f"{path} holds Python objects where numbers were expected")
    expected = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    found = path.stat().st_size
    if found < expected:
        raise SessionError(
            f"{path} is truncated: {expected} bytes expected for {dtype} {shape}, {found} found; "
            "copy or download it again"
        )
    if 0 in shape:  # an empty array cannot be mapped
        return np.load(path)
    return np.load(path, mmap_mode="r")


def npy_shape(path: Path | str) -> tuple[int, ...]:
    """Shape of the array in a ``.npy`` file, from its header."""
    return _header_of(Path(path))[0]


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array in an open ``.npy`` file, which then stands at its data."""
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    return shape, dtype


def _header_of(path: Path) -> tuple[tuple[int, ...], np.dtype, int]:
    try:
        with path.open("rb") as file:
            shape, dtype = read_header(file)
            return shape, dtype, file.tell()
    except FileNotFoundError:
        raise SessionNotFoundError(f"{path} does not exist") from None
    except ValueError as error:
        size = path.stat().st_size
        raise SessionError(f"{path} is not a readable npy file ({size} bytes): {error}") from None
