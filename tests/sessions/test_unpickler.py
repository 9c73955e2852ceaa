"""Pickles from elsewhere: plain data of every protocol come back, what could act is refused."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from utils.sessions.unpickler import PlainArray, UnpickleError, load_plain_pickle


class Attack:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch attacked",)


class Python2Pickler(pickle._Pickler):
    """Bytes as Python 2 wrote them: text without an encoding."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value: bytes) -> None:
        self.write(b"T" + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def load(path: Path, stream: bytes):
    path.write_bytes(stream)
    with path.open("rb") as file:
        return load_plain_pickle(file)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "some.p"
    assert not (tmp_path / "attacked").exists()


ARRAYS = [
    np.arange(6, dtype=">f4").reshape(2, 3, order="F"),
    np.arange(5, dtype=np.float16),
    np.array(["ä", "bc"]),
    np.array([b"a", b"\xff"]),
    np.array(["2024-01-02", "NaT"], "M8[25s]"),
    np.array([1, 2], "m8[ms]"),
    np.array([[None, "a"], [{"b": 1}, (2,)]], dtype=object),
    np.zeros((0, 3), bool),
    np.array(2 + 1j),
]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: array.dtype.str)
def test_arrays_of_every_kind_come_back(path, array, protocol):
    read = load(path, pickle.dumps(array, protocol))
    assert read.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, array)
    assert type(pickle.loads(pickle.dumps(read))) is np.ndarray


def test_python_2_wrote_bytes_as_text(path):
    data = {"volts": np.arange(300, dtype=np.float16), "at": [np.int64(200)], "type": "basal"}
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(data)
    read = load(path, path.read_bytes())
    np.testing.assert_array_equal(read["volts"], data["volts"])
    assert read["at"] == [200]
    assert read["type"] == "basal"
    with pytest.raises(UnicodeDecodeError):  # the ordinary reader needs to be told
        pickle.loads(path.read_bytes())


def test_plain_containers_come_back(path):
    data = [OrderedDict(a=1), {1, 2}, (b"", b"\xff"), slice(1), 10**30, 1j, "ä", None, 0.1]
    for protocol in (2, 4):
        assert load(path, pickle.dumps(data, protocol)) == data
    assert load(path, pickle.dumps({"a": data[-2:]}, 0)) == {"a": data[-2:]}


def array_pickle(
    shape: str, data: str, dtype: str = "f8", state: str = "(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
):
    """A stream that rebuilds an array as numpy does, with arguments of one's own."""
    return (
        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        f"(I1\n({shape}tcnumpy\ndtype\n(S'{dtype}'\nI00\nI01\ntR{state}I00\n{data}tb."
    ).encode()


EIGHT = "S'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?'\n"


def test_the_stream_of_an_array_written_by_hand_is_read(path):
    assert load(path, array_pickle("I1\n", EIGHT)).tolist() == [1.0]


REFUSED = {
    "code": (pickle.dumps(Attack(), 2), r"asks for '(posix|nt)\.system'"),
    "code as text": (pickle.dumps(Attack(), 0), r"asks for '(posix|nt)\.system'"),
    "code of protocol 5": (pickle.dumps(Attack(), 5), r"asks for '(posix|nt)\.system'"),
    "eval": (b"c__builtin__\neval\n(S'1'\ntR.", "'__builtin__.eval'"),
    "getattr": (b"cbuiltins\ngetattr\n(cos\nS'system'\ntR.", "'builtins.getattr'"),
    "dots": (b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "'numpy.ndarray.tofile'"),
    "numpy's loader": (b"cnumpy\nload\n(S'x'\ntR.", "'numpy.load'"),
    "object in bytes": (array_pickle("I1\n", EIGHT, "O8"), "needs 1 objects, its data are 8"),
    "scalar object": (
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\nI00\nI01\ntRS'12345678'\ntR.",
        "objects are not read from bytes",
    ),
    "fields": (
        array_pickle("I1\n", EIGHT, "V8", "(I3\nS'|'\nN(S'a'\nt(dI8\nI1\nI27\ntb"),
        "arrays of type 'V8' are not read",
    ),
    "fields in numbers": (
        array_pickle("I1\n", EIGHT, "f8", "(I3\nS'|'\nN(S'a'\nt(dI8\nI1\nI27\ntb"),
        "structured type",
    ),
    "large array": (array_pickle("I100000000000\n", EIGHT), "needs 800000000000 bytes.* are 8"),
    "negative shape": (array_pickle("I-1\nI-1\n", EIGHT), "needs 8 bytes"),
    "large values of no bytes": (array_pickle("I100000000000\n", "S''\n", "S0"), "needs 0 bytes"),
    "array made directly": (b"cnumpy\nndarray\n((I100000000000\nttR.", "not callable"),
    "bytes": (b"cbuiltins\nbytes\n(I100000000000\ntR.", "positional argument"),
    "set of a range": (
        b"cbuiltins\nset\n(cbuiltins\nrange\n(I100000000000\ntRtR.",
        "set of a range",
    ),
    "text codec": (b"c_codecs\nencode\n(S'a'\nS'zlib'\ntR.", "codec 'zlib'"),
    "announced text": (b"\x80\x02X\xff\xff\xff\x7fabc.", "byte 2 announces more than the file has"),
    "announced bytes": (b"\x80\x04\x8e" + b"\xff" * 8 + b"abc.", "announces more"),
    "announced frame": (b"\x80\x04\x95" + struct.pack("<q", 2**40) + b"N.", "announces more"),
    "far number": (b"\x80\x02Nr\xff\xff\xff\x7f.", "byte 3 numbers an object as no pickle does"),
    "far number as text": (b"Np2000000000\n.", "numbers an object as no pickle does"),
    "longest number": (b"Np" + b"9" * 40 + b"\n.", "numbers an object as no pickle does"),
    "no end": (b"\x80\x02N", "truncated"),
    "line without an end": (b"cos\nsys", "truncated"),
    "no pickle": (b"hello", r"asks for|no instruction|announces|truncated"),
    "no bytes": (b"", "empty"),
    "no number": (b"(lp0\nIx\na.", "invalid literal|could not convert"),
    "nothing": (b".", "unpickling stack underflow"),
    "changed reader": (b"cnumpy\ndtype\n(N}S'__code__'\nNstb.", "__code__"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_could_act_or_reserve_memory_is_refused(path, what):
    stream, message = REFUSED[what]
    with pytest.raises(UnpickleError, match=message):
        load(path, stream)


def test_a_few_bytes_are_not_copied_for_ever(path):
    many = "c_codecs\nencode\np0\n(VX\nS'latin1'\ntp1\n0(l" + "g0\ng1\nRa" * 10000 + "."
    text = "a" * 5000
    with pytest.raises(UnpickleError, match="more data than its own size"):
        load(path, many.replace("VX", f"V{text}").encode())


def test_every_cut_of_a_stream_is_refused_and_no_changed_byte_gets_through(path):
    """Damage either leaves plain data or is refused; it never ends otherwise."""
    stream = pickle.dumps({"a": np.arange(4.0), "b": [np.int64(3)], "c": "text"}, 2)
    for end in range(len(stream)):
        with pytest.raises(UnpickleError):
            load(path, stream[:end])
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(stream), 300):
        changed = bytearray(stream)
        changed[place] = rng.integers(256)
        try:
            read = load(path, bytes(changed))
        except UnpickleError:
            continue
        assert isinstance(read, dict | list | tuple | str | int | PlainArray | None)
