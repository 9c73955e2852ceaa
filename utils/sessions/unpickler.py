"""Reading pickles that come from elsewhere, without letting them do anything.

A pickle is a program: it may call whatever its reader hands out, with arguments of its own choice,
and rewrite what it got. So a reader that is safe hands out nothing but stand-ins that check what
they are given, for arrays, numbers, text, dates and paths; and it first looks through the stream
for lengths that its bytes do not bear out, since these would be allocated before anything is read.
"""

from __future__ import annotations

import datetime
import gc
import math
import pickle
import pickletools
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

import numpy as np
from numba import njit

_SAME_MODULE = {
    "__builtin__": "builtins",  # of Python 2
    "pathlib._local": "pathlib",
    "numpy.core.multiarray": "numpy",
    "numpy.core.numeric": "numpy",
    "numpy._core.multiarray": "numpy",
    "numpy._core.numeric": "numpy",
}
_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_FROMBUFFER = np.zeros(1).__reduce_ex__(5)[0]
_UNCHANGEABLE = {  # written in C: a pickle can call them, and cannot set their attributes
    ("builtins", "complex"): complex,
    ("builtins", "range"): range,
    ("builtins", "slice"): slice,
    ("collections", "OrderedDict"): OrderedDict,
    ("datetime", "date"): datetime.date,
    ("datetime", "datetime"): datetime.datetime,
    ("datetime", "timedelta"): datetime.timedelta,
}
_PLAIN_DTYPE = re.compile(r"[biufcSUMmO]\d*")


class UnpickleError(ValueError):
    """A pickle that is damaged, or asks for more than plain data; the message says which."""


def load_plain_pickle(file: BinaryIO) -> Any:
    """What the pickle at the place of an open file holds, if that is plain data.

    Arrays of numbers, text and objects come as :class:`PlainArray`, paths of another machine as
    paths that touch no disk, and text of Python 2 is taken as latin-1, which includes ASCII.

    Raises
    ------
    UnpickleError
        A damaged pickle, or one that asks for anything beyond arrays, numbers, text, dates and
        paths. Nothing of it has been executed.
    """
    begin = file.tell()
    try:
        _check_stream(np.asarray(np.memmap(file, np.uint8, "r", offset=begin)))
        n_bytes = file.seek(0, 2) - begin
        file.seek(begin)
        with _no_collection():
            return _PlainUnpickler(file, n_bytes).load()
    except Exception as error:  # a damaged stream may break anything
        raise UnpickleError(str(error) or type(error).__name__) from None


class PlainArray(np.ndarray):
    """An array that accepts from a pickle only values that fill it exactly."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Shape, type and values as numpy writes them; once."""
        _, shape, dtype, fortran, data = state
        account = self.__dict__.pop("account")
        dtype = dtype.checked()
        if isinstance(data, str):  # bytes of Python 2
            data = data.encode("latin1")
        _check_size(shape, dtype, len(data))
        account.charge(len(data))
        super().__setstate__((1, shape, dtype, fortran, data))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled again as the array that it is."""
        return self.view(np.ndarray).__reduce__()


@contextmanager
def _no_collection() -> Iterator[None]:
    """The garbage collector would look again and again through millions of small objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _PlainUnpickler(pickle.Unpickler):
    """Hands out bound methods, whose attributes a pickle cannot set, and unchangeable types."""

    def __init__(self, file: BinaryIO, n_bytes: int) -> None:
        super().__init__(file, encoding="latin1")
        self.account = _Account(n_bytes)

    def find_class(self, module: str, name: str) -> Any:
        stand_ins = {
            ("numpy", "ndarray"): "ndarray",  # only named, as what _reconstruct is to make
            ("numpy", "dtype"): self._dtype,
            ("numpy", "_reconstruct"): self._reconstruct,
            ("numpy", "scalar"): self._scalar,
            ("numpy", "_frombuffer"): self._frombuffer,
            ("_codecs", "encode"): self._encode,
            ("builtins", "bytes"): self._no_bytes,
            ("builtins", "set"): self._set,
            ("pathlib", "PosixPath"): self._posix_path,
            ("pathlib", "WindowsPath"): self._windows_path,
            **_UNCHANGEABLE,
        }
        known_as = _SAME_MODULE.get(module, module)
        if (known_as, name) in stand_ins:
            return stand_ins[known_as, name]
        raise pickle.UnpicklingError(
            f"it asks for '{module}.{name}', and only numpy arrays, numbers, text, dates and "
            "paths are read"
        )

    def _dtype(self, text: str, align: bool = False, copy: bool = False) -> _DType:
        return _DType(text)

    def _reconstruct(self, subtype: str, shape: tuple[int, ...], typecode: bytes) -> PlainArray:
        array = PlainArray(0, np.uint8)
        array.account = self.account
        return array

    def _scalar(self, dtype: _DType, data: bytes | str) -> Any:
        return _NUMPY_SCALAR(dtype.checked(objects=False), data)

    def _frombuffer(self, data: bytes, dtype: _DType, shape: Any, order: str, *axes: Any) -> Any:
        dtype = dtype.checked(objects=False)
        _check_size(shape, dtype, len(data))
        return _NUMPY_FROMBUFFER(data, dtype, shape, order, *axes)

    def _encode(self, text: str, encoding: str) -> bytes:
        """Bytes, which protocol 2 writes as latin-1 text; no other codec is looked up."""
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"text codec '{encoding}' is not allowed")
        self.account.charge(len(text))
        return text.encode("latin1")

    def _no_bytes(self) -> bytes:
        return b""

    def _set(self, items: list[Any]) -> set[Any]:
        if not isinstance(items, list):
            raise pickle.UnpicklingError(f"a set of a {type(items).__name__}, expected a list")
        return set(items)

    def _posix_path(self, *parts: str) -> PurePosixPath:
        return PurePosixPath(*parts)

    def _windows_path(self, *parts: str) -> PureWindowsPath:
        return PureWindowsPath(*parts)


class _Account:
    """Bytes that a stream may still turn into others; a few bytes must not be copied forever."""

    def __init__(self, n_bytes: int) -> None:
        self.left = 2 * n_bytes  # text of protocol 2 becomes bytes, which become an array

    def charge(self, n_bytes: int) -> None:
        self.left -= n_bytes
        if self.left < 0:
            raise pickle.UnpicklingError("it unfolds to more data than its own size can hold")


class _DType:
    """The type of an array's values as text: a real dtype could be rewritten by the pickle."""

    def __init__(self, text: str) -> None:
        if not _PLAIN_DTYPE.fullmatch(text):
            raise pickle.UnpicklingError(f"arrays of type {text!r} are not read")
        self.plain = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Byte order, and the unit of times; fields of structured types are refused."""
        _, order, subarray, names, fields, *rest = state
        if any(part is not None for part in (subarray, names, fields)):
            raise pickle.UnpicklingError("arrays of a structured type are not read")
        dtype = self.plain.newbyteorder(order)
        if dtype.kind in "mM" and len(rest) > 3:
            unit, number, *_ = rest[3][1]
            unit = unit if isinstance(unit, str) else unit.decode()
            dtype = np.dtype(f"{dtype.str}[{int(number)}{unit}]")
        self.plain = dtype

    def checked(self, objects: bool = True) -> np.dtype:
        """The real type; a pickle can name anything where it should name one of these."""
        if self.plain.hasobject and not objects:
            raise pickle.UnpicklingError("objects are not read from bytes")
        return self.plain


def _check_size(shape: tuple[int, ...], dtype: np.dtype, length: int) -> None:
    """Refuse values, bytes or a list of objects, that are not as many as the shape says."""
    n_values = math.prod(shape)
    expected = n_values if dtype.hasobject else n_values * dtype.itemsize
    if min(shape, default=0) < 0 or length != expected or (n_values and not dtype.itemsize):
        raise pickle.UnpicklingError(
            f"an array of shape {tuple(shape)} and type {dtype} needs {expected} "
            f"{'objects' if dtype.hasobject else 'bytes'}, its data are {length}"
        )


# ------------------------------------------------- what a stream announces, against its own size
_FIXED = np.full(256, -1)  # bytes that follow an opcode; -1: there is no such opcode
_PREFIX = np.zeros(256, np.int64)  # bytes that hold the length of what follows
_LINES = np.zeros(256, np.int64)  # lines of text that follow
_PREFIXES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
for _opcode in pickletools.opcodes:
    _kind = _opcode.arg.n if _opcode.arg else 0
    _FIXED[ord(_opcode.code)] = max(_kind, 0)
    _PREFIX[ord(_opcode.code)] = _PREFIXES.get(_kind, 0)
    _LINES[ord(_opcode.code)] = _kind == pickletools.UP_TO_NEWLINE
_LINES[list(b"ci")] = 2  # module and name
_STOP, _FRAME, _PUT, _BINPUT, _LONG_BINPUT, _MEMOIZE = b".\x95pqr\x94"
_UNKNOWN, _TOO_SHORT, _MISNUMBERED = 1, 2, 3
_LARGE = 2**50  # beyond any file
_FAULTS = {
    _UNKNOWN: "is no instruction of a pickle",
    _TOO_SHORT: "announces more than the file has: it is truncated or damaged",
    _MISNUMBERED: "numbers an object as no pickle does: it is damaged",
}


def _check_stream(stream: np.ndarray) -> None:
    """Refuse a stream that would reserve memory for what it does not hold."""
    place, fault = _first_fault(stream, _FIXED, _PREFIX, _LINES)
    if fault:
        raise pickle.UnpicklingError(f"byte {place} {_FAULTS[fault]}")


@njit(cache=True)
def _first_fault(stream, fixed, prefix, lines):
    """Place and kind of the first fault; kind 0 where there is none."""
    place, n_numbered, size = 0, 0, len(stream)
    while place < size:
        code, begin = stream[place], place + 1
        if fixed[code] < 0:
            return place, _UNKNOWN
        end = begin + fixed[code] + prefix[code]
        if end > size:
            return place, _TOO_SHORT
        length = _little_endian(stream[begin : begin + (8 if code == _FRAME else prefix[code])])
        if length < 0 or length > size - end:
            return place, _TOO_SHORT
        if code != _FRAME:  # the instructions within a frame are looked at like all others
            end += length
        for _ in range(lines[code]):
            while end < size and stream[end] != ord("\n"):
                end += 1
            end += 1
        if code in (_PUT, _BINPUT, _LONG_BINPUT, _MEMOIZE):
            if code == _PUT:
                number = _decimal(stream[begin : end - 1])
            else:
                number = _little_endian(stream[begin:end])
            if not 0 <= number <= n_numbered + 1:
                return place, _MISNUMBERED
            n_numbered += 1
        if code == _STOP:
            return place, 0
        place = end
    return place, _TOO_SHORT


@njit(cache=True)
def _little_endian(digits):
    value = 0
    for digit in digits[::-1]:
        if value > _LARGE:
            return -1
        value = 256 * value + int(digit)
    return value


@njit(cache=True)
def _decimal(digits):
    value = 0
    for digit in digits:
        if value > _LARGE:
            return -1
        value = 10 * value + int(digit) - ord("0")
    return value
