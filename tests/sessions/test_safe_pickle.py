import datetime
import os
import pathlib
import pickle

import numpy as np
import pytest

from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.safe_pickle import load_object_npy


class Attack:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch attacked",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_what_suite2p_stores(tmp_path, protocol):
    ops = {
        "fs": 7.5,
        "nplanes": np.int64(2),
        "meanImg": np.arange(6, dtype=np.float32).reshape(2, 3),
        "names": np.array(["a", None], dtype=object),
        "date_proc": datetime.datetime(2024, 1, 2),
        "bytes": b"abc",
        "badframes": np.zeros(4, bool),
        "none": None,
        "when": np.datetime64("2024-01-02"),
    }
    path = tmp_path / "ops.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        array = np.empty((), dtype=object)
        array[()] = ops
        pickle.dump(array, file, protocol=protocol)
    read = load_object_npy(path)
    np.testing.assert_array_equal(read.pop("meanImg"), ops.pop("meanImg"))
    np.testing.assert_array_equal(read.pop("badframes"), ops.pop("badframes"))
    assert read.pop("names").tolist() == ops.pop("names").tolist()
    assert read == ops


def test_paths_become_pure(tmp_path):
    np.save(tmp_path / "ops.npy", {"save_path": pathlib.Path("/data")}, allow_pickle=True)
    read = load_object_npy(tmp_path / "ops.npy")
    assert read["save_path"] == pathlib.PurePosixPath("/data")
    assert not isinstance(read["save_path"], pathlib.Path)


def test_code_is_refused_by_name_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("stat.npy", np.array([Attack()], dtype=object), allow_pickle=True)
    with pytest.raises(SessionError, match=r"stat\.npy.*(posix|nt)\.system"):
        load_object_npy("stat.npy")
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    "name", ["builtins eval", "builtins getattr", "numpy load", "numpy.core.multiarray fromfile"]
)
def test_other_constructors_are_refused(tmp_path, name):
    path = tmp_path / "stat.npy"
    module, attribute = name.split()
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": (1,)}
        )
        file.write(f"c{module}\n{attribute}\n(S'1'\ntR.".encode())
    with pytest.raises(SessionError, match=f"{module}.{attribute}"):
        load_object_npy(path)


def test_damaged_missing_and_plain_files(tmp_path):
    path = tmp_path / "stat.npy"
    with pytest.raises(SessionNotFoundError, match="does not exist"):
        load_object_npy(path)
    np.save(path, np.array([{"med": [1, 2]}] * 9, dtype=object), allow_pickle=True)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SessionError, match=r"stat\.npy cannot be read"):
        load_object_npy(path)
    np.save(path, np.arange(3))
    assert load_object_npy(path).tolist() == [0, 1, 2]


def test_real_suite2p_stat(reference):
    stat = load_object_npy(reference / "suite2p_small" / "stat.npy")
    assert stat.shape == (219,)
    assert stat[0]["med"] == [579, 52]
    assert stat[0]["ypix"].shape == stat[0]["lam"].shape == (110,)
