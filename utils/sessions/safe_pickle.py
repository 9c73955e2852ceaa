"""Numpy object arrays without the risk of pickle.

A pickle may run any code when it is loaded, and suite2p stores ``stat.npy`` and ``ops.npy`` as
pickled object arrays. Here only the constructors of numpy arrays and of a few plain values are
allowed; everything else is refused by name.
"""

from __future__ import annotations

import datetime
import io
import pickle
from collections import OrderedDict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

import numpy as np

from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.npy import read_header

_NUMPY_NAMES = {
    "_reconstruct": np.zeros(0).__reduce__()[0],
    "scalar": np.float64(0).__reduce__()[0],
    "_frombuffer": np.zeros(1).__reduce_ex__(5)[0],
}
_NUMPY_MODULES = {
    f"{package}.{module}"
    for package in ("numpy.core", "numpy._core")
    for module in ("multiarray", "numeric")
}
_PLAIN = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("builtins", "complex"): complex,
    ("builtins", "range"): range,
    ("builtins", "set"): set,
    ("builtins", "slice"): slice,
    ("collections", "OrderedDict"): OrderedDict,
    ("datetime", "date"): datetime.date,
    ("datetime", "datetime"): datetime.datetime,
    ("datetime", "timedelta"): datetime.timedelta,
    # paths of another machine: kept as text-like paths that touch no disk
    ("pathlib", "PosixPath"): PurePosixPath,
    ("pathlib", "WindowsPath"): PureWindowsPath,
    ("pathlib._local", "PosixPath"): PurePosixPath,
    ("pathlib._local", "WindowsPath"): PureWindowsPath,
}


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
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError) as error:
        raise SessionError(f"{path} cannot be read: {error}") from None
    return array.item() if array.ndim == 0 else array


def _read_objects(file: BinaryIO) -> np.ndarray:
    shape, dtype = read_header(file)
    if not dtype.hasobject:
        file.seek(0)
        return np.load(file, allow_pickle=False)
    array = np.asarray(_NumpyUnpickler(io.BytesIO(file.read())).load(), dtype=object)
    if array.shape != shape:
        raise ValueError(f"shape {shape} in the header, {array.shape} in the data")
    return array


class _NumpyUnpickler(pickle.Unpickler):
    """Unpickler that knows numpy's constructors and nothing that can act."""

    def find_class(self, module: str, name: str) -> Any:
        if module in _NUMPY_MODULES and name in _NUMPY_NAMES:
            return _NUMPY_NAMES[name]
        if module == "numpy.dtypes" and isinstance(getattr(np.dtypes, name, None), type):
            return getattr(np.dtypes, name)
        if (module, name) == ("_codecs", "encode"):
            return _encode_latin1
        if (module, name) in _PLAIN:
            return _PLAIN[module, name]
        raise pickle.UnpicklingError(
            f"it asks for '{module}.{name}', and only numpy arrays, numbers, text, dates and "
            "paths are read from object files"
        )


def _encode_latin1(text: str, encoding: str) -> bytes:
    """Protocol-2 pickles write bytes as latin-1 text; no other codec is looked up."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text codec '{encoding}' is not allowed")
    return text.encode("latin1")
