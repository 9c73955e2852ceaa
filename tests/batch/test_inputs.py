"""The input's hash follows the files; labels are safe names."""

import os
from pathlib import Path

import numpy as np
import pytest

from utils.batch.inputs import session_input
from utils.load_meso_session import open_session
from utils.sessions.errors import SessionError


def test_a_session_is_described(tiny_session):
    _, eid = tiny_session
    found = session_input(eid)
    assert found.reference == eid
    assert found.simulated
    assert not found.rate_is_nominal
    assert found.frame_rate > 1
    assert "SIMULATED" in found.text
    assert {"dataset", "found", "consequence"} <= set(found.availability)
    assert session_input(eid).content_hash == found.content_hash


def test_the_hash_changes_with_the_files_and_the_rate(tiny_session):
    _, eid = tiny_session
    before = session_input(eid).content_hash
    assert session_input(eid, rate=3.0).content_hash != before
    file = next(Path(open_session(eid).session_path).rglob("licks.times.npy"))
    stat = file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    try:
        assert session_input(eid).content_hash != before
    finally:
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert session_input(eid).content_hash == before


def test_a_path_is_made_absolute_and_labelled_by_its_name(tiny_session, monkeypatch):
    folder = Path(open_session(tiny_session[1]).session_path)
    monkeypatch.chdir(folder.parent)
    found = session_input(folder.name)
    assert found.reference == str(folder.resolve())
    assert found.label == folder.name


def test_no_reference_is_not_the_current_folder():
    with pytest.raises(SessionError, match="no session ''"):
        session_input("")


@pytest.mark.parametrize(
    ("cells", "bad", "message"),
    [(0, False, "none of 3 ROIs is a cell"), (1, True, "all frames .* are bad or flagged")],
)
def test_a_recording_without_activity_is_refused_at_once(tmp_path, cells, bad, message):
    np.save(tmp_path / "F.npy", np.random.default_rng(0).random((3, 50)))
    np.save(tmp_path / "iscell.npy", np.full((3, 2), cells))
    ops = {"fs": 5.0, "badframes": np.full(50, bad)}
    np.save(tmp_path / "ops.npy", ops, allow_pickle=True)
    with pytest.raises(SessionError, match=message):
        session_input(str(tmp_path))
