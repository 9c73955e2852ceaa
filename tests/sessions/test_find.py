import numpy as np
import pandas as pd
import pytest

from utils.load_meso_session import MesoscopeSession
from utils.sessions.find import SelectionRule, find_sessions, main, search_sessions
from utils.sessions.lookup import local_one
from utils.simulation import build_index

RULE = {"min_hours": 0, "min_rois": 3, "allow_bad_frames": 0.1}
PROTOCOL = "_iblrig_tasks_biasedChoiceWorld8.26.0/_sp_passiveVideo8.26.0"


@pytest.fixture
def one(make_session):
    """Two FOVs; 2 of their 60 frames are bad or flagged."""
    session = make_session("FOV_00", "FOV_01")
    (session / "_ibl_experiment.description.yaml").write_text(f"tasks:\n- {PROTOCOL}: {{}}\n")
    return _indexed(session)


def _indexed(session):
    build_index(session.parents[4])
    return local_one(session.parents[4])


def reason(one, **changes):
    result = search_sessions(one, SelectionRule(**(RULE | changes)), progress=False)
    assert result.good.empty
    return result.rejected["reason"].item()


def test_good_session_as_a_row_that_from_csv_reads(one, tmp_path):
    good = find_sessions(one, **RULE)
    assert good.columns.tolist() == [
        "eid", "subject", "date", "duration_hours", "task_protocol", "good_fov_count", "total_rois",
    ]  # fmt: skip
    row = good.iloc[0]
    assert (row["subject"], row["good_fov_count"], row["total_rois"]) == ("SP001", 2, 10)
    assert row["duration_hours"] == pytest.approx(59 / 5 / 3600, rel=1e-3)
    assert PROTOCOL in row["task_protocol"]
    good.to_csv(tmp_path / "good.csv", index=False)
    session = MesoscopeSession.from_csv(one, tmp_path / "good.csv", 0, raw_activity=False)
    assert session.eid == row["eid"]


def test_default_rule_is_strict(one):
    assert reason(one, allow_bad_frames=0).count("2 of 60 frames bad or flagged") == 2
    assert reason(one, min_hours=1) == "0.00 h long; at least 1 h wanted"
    assert "5 ROIs; at least 50 wanted" in reason(one, min_rois=50)
    assert SelectionRule() == SelectionRule(min_hours=1, min_rois=50, allow_bad_frames=0)


def test_limit_of_bad_frames_is_inclusive(one):
    assert len(find_sessions(one, **(RULE | {"allow_bad_frames": 2 / 60}))) == 1
    assert "frames bad" in reason(one, allow_bad_frames=1.9 / 60)


def test_one_good_fov_is_enough_and_the_others_do_not_count(make_session, one):
    (one.cache_dir / "lab/Subjects/SP001/2025-02-03/001/alf/FOV_01/mpci.mpciFrameQC.npy").unlink()
    build_index(one.cache_dir)
    good = find_sessions(local_one(one.cache_dir), **RULE)
    assert good[["good_fov_count", "total_rois"]].to_numpy().tolist() == [[1, 5]]


def test_no_fov_is_good(one):
    for fov in ("FOV_00", "FOV_01"):
        folder = one.cache_dir / "lab/Subjects/SP001/2025-02-03/001/alf" / fov
        (folder / "mpci.ROIActivityDeconvolved.npy").unlink()
    build_index(one.cache_dir)
    assert "FOV_00: mpci.ROIActivityDeconvolved.npy missing; FOV_01" in reason(
        local_one(one.cache_dir)
    )


def test_truncated_file_is_a_reason_not_a_crash(one):
    for fov in ("FOV_00", "FOV_01"):
        path = one.cache_dir / f"lab/Subjects/SP001/2025-02-03/001/alf/{fov}/mpci.badFrames.npy"
        path.write_bytes(path.read_bytes()[:-5])
    assert "is truncated" in reason(one)


def test_other_tasks_are_rejected(make_session):
    assert "task protocol '' is none of biasedChoiceWorld" in reason(_indexed(make_session()))


class Server:
    """Answers the search of a server; local records have no start and end, these have."""

    offline = False

    def __init__(self, one):
        self.one, self.asked = one, {}

    def search(self, **query):
        self.asked = query
        return self.one.search()

    def get_details(self, eid):
        return {
            "subject": "SP066",
            "start_time": "2025-04-09T12:00:00",
            "end_time": "2025-04-09T13:30:00",
            "task_protocol": PROTOCOL,
        }

    def __getattr__(self, name):
        return getattr(self.one, name)


def test_server_is_asked_for_mesoscope_sessions(one):
    server = Server(one)
    good = find_sessions(server, **(RULE | {"min_hours": 1.5}))
    assert server.asked == {
        "procedures": "Imaging",
        "django": "field_of_view__imaging_type__name,mesoscope",
        "query_type": "remote",
    }
    assert good["duration_hours"].item() == 1.5
    assert good["date"].item() == "2025-04-09T12:00:00"


def test_command_line_writes_both_tables(one, tmp_path, capsys):
    out = tmp_path / "lists" / "good.csv"
    options = ["find", "--one", str(one.cache_dir), "--out", str(out), "--min-rois", "3"]
    assert main([*options, "--min-hours", "0", "--allow-bad-frames", "0.1"]) == 0
    assert len(pd.read_csv(out)) == 1
    assert "1 good sessions" in capsys.readouterr().out
    assert main(options) == 0
    assert len(pd.read_csv(out)) == 0
    rejected = pd.read_csv(out.with_name("good_rejected.csv"))
    assert "h long" in rejected["reason"].item()


def test_command_line_with_wrong_input(tmp_path, capsys):
    out = tmp_path / "good.csv"
    assert main(["find", "--one", str(tmp_path), "--out", str(out)]) == 2
    assert "sessions.pqt" in capsys.readouterr().out
    assert not out.exists()
    with pytest.raises(SystemExit):
        main(["find", "--one", str(tmp_path), "--out", str(out), "--allow-bad-frames", "3"])


def test_simulated_session_is_found(tiny_session):
    root, eid = tiny_session
    good = find_sessions(local_one(root), min_hours=0.1, min_rois=20, allow_bad_frames=0.1)
    assert eid in set(good["eid"])
    assert np.isin(good["good_fov_count"], [1, 2]).all()


def test_a_server_that_refuses_is_one_clear_error(one, tmp_path, capsys, monkeypatch):
    def refuse(**query):
        raise ConnectionError("no route to host")

    server = Server(one)
    server.search = refuse
    monkeypatch.setattr("utils.sessions.find.server_one", lambda url: server)
    out = tmp_path / "good.csv"
    assert main(["find", "--one", "https://alyx.example.org", "--out", str(out)]) == 2
    assert "gives no list of sessions (no route to host)" in capsys.readouterr().out
    assert not out.exists()
