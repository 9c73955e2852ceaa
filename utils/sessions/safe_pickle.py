"""Numpy object arrays without the risk of pickle.

A pickle may run any code when it is loaded, and suite2p stores ``stat.npy`` and ``ops.npy`` as
pickled object arrays, which are read by :mod:`utils.sessions.unpickler`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.npy import read_header
from utils.sessions.unpickler import load_plain_pickle


def load_object_npy(path: Path | str) -> Any:
    """Load a ``.npy`` file of Python objects (suite2p ``stat.npy``, ``ops.npy``).

    Returns the array, or the object itself where the array has no dimensions.

    Raises
    ------
    SessionError
        Missing or damaged file, or a pickle that asks for anything beyond arrays, numbers,
        text, dates and paths.
    """
    path = Path(path)
    if not path.is_file():
        raise SessionNotFoundError(f"{path} does not exist")
    try:
        with path.open("rb") as file:
            array = _read_objects(file)
    except (ValueError, EOFError) as error:
        raise SessionError(f"{path} cannot be read: {error}") from None
    return array.item() if array.ndim == 0 else array


def _read_objects(file: BinaryIO) -> np.ndarray:
    shape, dtype = read_header(file)
    if not dtype.hasobject:
        file.seek(0)
        return np.load(file, allow_pickle=False)
    array = np.asarray(load_plain_pickle(file), dtype=object)
    if array.shape != shape:
        raise ValueError(f"shape {shape} in the header, {array.shape} in the data")
    return array
