import pandas as pd
import pytest

from utils.paths import data_dir, session_eid
from utils.sessions import lookup
from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.simulation import build_index

EID = "61f260e7-b5d3-4865-a577-bcfc53fda8a8"
KNOWN = [f"{EID} (SP066 2025-04-09)", "dd45de54-6b3c-443a-949d-e74954fc33b2 (SP061 2024-12-18)"]


class Records:
    """A ONE object that only has details of sessions."""

    def __init__(self, details):
        self.details = details

    def get_details(self, eid):
        return self.details


RECORD = {
    "subject": "SP066",
    "date": "2025-04-09",
    "start_time": "2025-04-09T12:10:56",
    "task_protocol": "biased",
}


@pytest.mark.parametrize(
    "details",
    [RECORD, pd.Series(RECORD), pd.DataFrame([RECORD, RECORD])],
    ids=["dict", "row", "table"],
)
def test_details_of_a_server_and_of_a_local_index(details):
    found = lookup.session_details(Records(details), EID, None)
    assert found == {
        "eid": EID,
        "subject": "SP066",
        "date": "2025-04-09T12:10:56",
        "task_protocol": "biased",
    }


def test_details_from_the_path(tmp_path):
    path = tmp_path / "cortexlab/Subjects/SP061/2024-12-18/001"
    found = lookup.session_details(None, "", path)
    assert (found["subject"], found["date"]) == ("SP061", "2024-12-18")
    assert found["eid"] == session_eid("cortexlab/Subjects/SP061/2024-12-18/001")
    assert lookup.session_details(None, "", tmp_path / "recording7")["eid"] == "recording7"


def test_empty_records_leave_the_path(tmp_path):
    path = tmp_path / "lab/Subjects/SP061/2024-12-18/001"
    found = lookup.session_details(Records({"subject": "", "task_protocol": None}), EID, path)
    assert (found["subject"], found["task_protocol"]) == ("SP061", "")


def test_rows_of_a_csv(tmp_path):
    csv = tmp_path / "good.csv"
    pd.DataFrame({"eid": [EID, "second"], "subject": ["a", "b"]}).to_csv(csv, index=False)
    assert lookup.eid_in_csv(csv, 0) == EID
    assert lookup.eid_in_csv(csv, -1) == "second"
    assert lookup.eid_in_csv(csv, EID) == EID
    with pytest.raises(SessionError, match=r"no row 2; it has 2 rows"):
        lookup.eid_in_csv(csv, 2)
    with pytest.raises(SessionError, match=f"no eid 61f260e7; did you mean {EID}"):
        lookup.eid_in_csv(csv, "61f260e7")


def test_csv_without_the_column(tmp_path):
    csv = tmp_path / "bad.csv"
    pd.DataFrame({"session": ["x"], "subject": ["a"]}).to_csv(csv, index=False)
    with pytest.raises(SessionError, match=r"bad\.csv: no column 'eid'.*session, subject"):
        lookup.eid_in_csv(csv, 0)
    with pytest.raises(SessionNotFoundError, match="does not exist"):
        lookup.eid_in_csv(tmp_path / "none.csv", 0)


@pytest.mark.parametrize(
    ("content", "index", "message"),
    [
        (b"", 0, "no readable csv"),
        (b"\xff\xfe\x81\x00", 0, "no readable csv"),
        (b"eid\n", 0, "no row 0; it has no rows"),
        (b"eid,subject\n,a\n", 0, "row 0 has no eid"),
        (b"eid\nx\n", 0.5, "index 0.5: expected the number of a row"),
    ],
    ids=["empty", "binary", "no rows", "no eid", "index"],
)
def test_damaged_csv(tmp_path, content, index, message):
    csv = tmp_path / "bad.csv"
    csv.write_bytes(content)
    with pytest.raises(SessionError, match=message):
        lookup.eid_in_csv(csv, index)


def test_real_csv(reference):
    csv = reference / "mesoscope" / "good_mesoscope_sessions_final.csv"
    assert lookup.eid_in_csv(csv, 0) == EID


@pytest.mark.parametrize("name", ["61f260e7", "SP066", "sp066_2025-04-09", EID[:-1] + "0"])
def test_near_matches_by_eid_subject_and_date(name):
    assert lookup.suggest(name, KNOWN).startswith(f"; did you mean {EID} (SP066 2025-04-09)")


def test_nothing_near():
    assert lookup.suggest("zzz", KNOWN).startswith("; 2 known: ")
    assert "no sessions" in lookup.suggest("zzz", [])


def test_local_one_needs_an_index(tmp_path, make_session):
    with pytest.raises(SessionNotFoundError, match=r"no sessions\.pqt"):
        lookup.local_one(tmp_path)
    root = make_session().parents[4]
    build_index(root)
    one = lookup.local_one(root)
    eid = session_eid("lab/Subjects/SP001/2025-02-03/001")
    assert lookup.known_sessions(one) == [f"{eid} (SP001 2025-02-03)"]


def test_server_login_comes_from_the_environment(monkeypatch):
    asked = {}
    monkeypatch.setattr("one.api.ONE", lambda **options: asked.update(options) or "connection")
    monkeypatch.setenv("ONE_USERNAME", "me")
    monkeypatch.setenv("ONE_PASSWORD", "secret")
    monkeypatch.delenv("ONE_TOKEN", raising=False)
    assert lookup.server_one("https://alyx.example.org/") == "connection"
    assert asked == {
        "base_url": "https://alyx.example.org/",
        "cache_dir": data_dir() / "one_server" / "alyx.example.org",
        "silent": True,  # never prompts
        "username": "me",
        "password": "secret",
    }


def test_failed_login_tells_the_way_out(monkeypatch):
    def refuse(**options):
        raise ValueError("No Alyx username")

    monkeypatch.setattr("one.api.ONE", refuse)
    with pytest.raises(SessionError, match=r"alyx\.example\.org.*No Alyx username.*ONE_TOKEN"):
        lookup.server_one("https://alyx.example.org")


def test_form_of_an_eid():
    assert lookup.is_eid(EID)
    assert not lookup.is_eid("SP066")
    assert not lookup.is_eid(EID + "0")
