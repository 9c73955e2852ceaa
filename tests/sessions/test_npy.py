import numpy as np
import pytest

from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.npy import npy_shape, open_npy


def test_opens_a_read_only_memory_map(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6.0).reshape(2, 3))
    opened = open_npy(path)
    assert isinstance(opened, np.memmap)
    assert not opened.flags.writeable
    np.testing.assert_array_equal(opened, [[0, 1, 2], [3, 4, 5]])
    assert npy_shape(path) == (2, 3)


def test_truncated_file_names_file_and_bytes(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((10, 4), np.float32))
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(SessionError, match=rf"a\.npy.*{len(whole)} bytes.*{len(whole) - 100}"):
        open_npy(path)


@pytest.mark.parametrize("kept", [0, 3, 9, 40])
def test_truncated_header(tmp_path, kept):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(3))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(SessionError, match=r"a\.npy is not a readable npy file"):
        open_npy(path)


def test_empty_array(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 3)))
    assert open_npy(tmp_path / "a.npy").shape == (0, 3)


def test_objects_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(SessionError, match="Python objects"):
        open_npy(tmp_path / "a.npy")


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(SessionNotFoundError, match="does not exist"):
        open_npy(tmp_path / "none.npy")
    (tmp_path / "text.npy").write_text("eid,subject\n")
    with pytest.raises(SessionError, match="not a readable npy file"):
        open_npy(tmp_path / "text.npy")


def test_long_header_of_version_2(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.arange(3), version=(2, 0))
    np.testing.assert_array_equal(open_npy(path), [0, 1, 2])
