import shutil
import sys
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import utils.load_meso_session as front_door
from utils.load_meso_session import MesoscopeSession, SessionError, open_session
from utils.paths import one_cache_dir
from utils.preprocessing import preprocess
from utils.sessions.errors import SessionNotFoundError
from utils.sessions.fov import FOVData
from utils.sessions.hdf5 import SessionFile
from utils.sessions.lookup import local_one
from utils.simulation import load_truth


@pytest.fixture(scope="module")
def session(tiny_session):
    root, eid = tiny_session
    return MesoscopeSession.from_eid(local_one(root), eid)


def two_fovs(n_frames=(40, 38), offset=0.05, **changes) -> MesoscopeSession:
    """FOV_01 starts later and stops earlier; the signal of every ROI is time itself."""
    fovs = []
    for number, n in enumerate(n_frames):
        times = np.arange(n) * 0.2 + number * offset
        fovs.append(
            FOVData(
                fov_name=f"FOV_{number:02d}",
                collection=f"alf/FOV_{number:02d}",
                roi_activity=np.repeat(times[:, None], 3, axis=1).astype(np.float32),
                timestamps=times,
                **changes,
            )
        )
    return MesoscopeSession(
        eid="x",
        source="ibl",
        fovs=fovs,
        availability=pd.DataFrame(
            {"dataset": [], "collection": [], "found": [], "required": [], "consequence": []}
        ).astype({"found": bool}),
    )


def test_repr(session):
    assert repr(session) == (
        f"MesoscopeSession(SIMULATED, {session.eid}, SIM-2x12-8min-s0 2025-01-01: 2 FOVs, "
        "24 cells of 48 ROIs, 8.0 min at 5.08 Hz; missing: mpci.mpciFrameQC.npy (FOV_01), "
        "_ibl_rightCamera.times.npy)"
    )
    assert session.is_simulated
    assert session.source == "simulated"


def test_simulated_session_as_a_user_opens_it(session):
    assert (session.n_fovs, session.n_total_rois, session.n_total_neurons) == (2, 48, 24)
    assert session.duration_hours == pytest.approx(8 / 60, rel=0.01)
    assert "biasedChoiceWorld" in session.task_protocol
    assert session.neurons["uuid"].is_unique
    assert set(session.neurons["region"]) <= {"VISp", "VISrl", "VISa", "VISl", "VISal"} | set(
        session.neurons["region"]
    )
    assert len(session.trials) > 20
    assert session.stimOn_times.shape == session.contrastLeft.shape == (len(session.trials),)
    assert session.passive[0] < session.passive_stimulus_times[0] < session.passive[1]
    truth = load_truth(session.session_path)
    np.testing.assert_array_equal(session.noise_frames, truth["noise_frames"])
    np.testing.assert_array_equal(session.noise_times, truth["noise_times"])
    assert len(session.licks) > 10
    assert session.pupil["diameter"].mean() > 0


def test_rate_is_not_frames_over_duration(session):
    """The pause between task and passive bout does not count."""
    n_frames = session.fovs[0].n_frames
    assert session.frame_rate == pytest.approx(5.07538, rel=1e-3)
    assert n_frames / session.duration_seconds < 0.9 * session.frame_rate


def test_matrix_has_no_value_in_bad_frames_and_gaps(session):
    activity, times = session.get_activity_matrix()
    assert activity.dtype == np.float32
    assert activity.shape == (len(session.timestamps), 24)
    assert np.diff(times).max() > 30
    first = session.fovs[0]
    bad = np.flatnonzero(~first.good_frame_mask)
    assert len(bad)
    assert np.isnan(activity[bad][:, :12]).all()
    assert np.isfinite(activity).mean() > 0.95
    assert len(session.fovs[1].timestamps) < len(times)
    assert np.isnan(activity[-20:, 12:]).all()


def test_neurons_are_the_columns_of_the_matrix(session):
    _, times = session.get_activity_matrix((0, 10))
    for _, neuron in session.neurons.iloc[[0, 11, 12, 23]].iterrows():
        fov = session.fovs[neuron["fov"]]
        assert fov.roi_types[neuron["roi"]] == 1
        assert fov.uuids[neuron["roi"]] == neuron["uuid"]
    assert np.ptp(times) <= 10


def test_time_is_that_of_the_scan_row():
    """The signal is time, so a ROI that is scanned later reads an earlier time."""
    shift = np.linspace(0, 0.15, 4)
    pos = np.array([[0, 3, 0], [2, 1, 0], [3, 0, 0]])
    activity, times = two_fovs(timeshift=shift, stack_pos=pos).get_activity_matrix()
    for roi in range(3):
        lag = times[5:30] - activity[5:30, roi]
        np.testing.assert_allclose(lag, shift[pos[roi, 0]], atol=1e-5)


def test_fovs_of_unequal_length_and_offset_are_aligned():
    activity, times = two_fovs().get_activity_matrix()
    assert activity.shape == (40, 6)
    np.testing.assert_allclose(activity[1:37, :3], activity[1:37, 3:], atol=1e-5)
    assert np.isnan(activity[0, 3:]).all()  # the second FOV had not started
    assert np.isnan(activity[38:, 3:]).all()  # and stopped earlier
    np.testing.assert_array_equal(times, np.arange(40) * 0.2)


def test_no_value_beside_a_bad_frame():
    activity, _ = two_fovs((40, 40), bad_frames=np.arange(40) == 20).get_activity_matrix()
    assert np.flatnonzero(np.isnan(activity[:, 0])).tolist() == [20]
    assert np.flatnonzero(np.isnan(activity[:, 3])).tolist() == [0, 20, 21]


def test_time_window():
    session = two_fovs((40, 40), bad_frames=np.arange(40) < 5)
    _, times = session.get_activity_matrix((1.0, 2.0))
    np.testing.assert_allclose(times[[0, -1]], [2.0, 3.0])
    _, times = session.get_activity_matrix(1.0)
    np.testing.assert_allclose(times[[0, -1]], [1.0, 2.0])
    with pytest.raises(SessionError, match="no frame between 100 and 200 s"):
        session.get_activity_matrix((100, 200))


def test_all_frames_bad():
    with pytest.raises(SessionError, match="all frames"):
        two_fovs((40, 40), bad_frames=np.ones(40, bool)).get_activity_matrix()


def test_dff_of_a_whole_session_is_sane(session):
    """Constant and negative ROIs are in the simulation."""
    dff, _ = session.get_dff_activity_matrix()
    raw, _ = session.get_activity_matrix()
    assert dff.shape == raw.shape
    np.testing.assert_array_equal(np.isnan(dff), np.isnan(raw))
    assert np.nanmax(np.abs(dff)) < 100
    other, _ = session.get_dff_activity_matrix(neucoeff=0.0)
    assert not np.allclose(np.nan_to_num(dff), np.nan_to_num(other))


def test_activity_follows_the_true_spikes(session):
    """Columns are in the order of the truth's cells, on the truth's time axis."""
    truth = load_truth(session.session_path)
    dff, times = session.get_dff_activity_matrix()
    decay = np.exp(-np.arange(0, 6, 0.2) / 1.5)  # GCaMP6s
    for number, fov in enumerate(session.fovs):
        spikes = truth[f"{fov.fov_name}/spikes"]  # (bin, cell)
        calcium = np.array([np.convolve(s, decay)[: len(spikes)] for s in spikes.T.astype(float)])
        measured = dff[:, 12 * number : 12 * (number + 1)].T
        valid = np.isfinite(measured).all(axis=0)
        expected = np.array([np.interp(times, truth["times"], c) for c in calcium])
        alive = measured[:, valid].std(axis=1) > 0  # one cell is constant on purpose
        traces = np.concatenate([measured[:, valid][alive], expected[:, valid][alive]])
        r = np.corrcoef(traces)[: alive.sum(), alive.sum() :]
        assert np.median(np.diag(r)) > 0.4
        assert np.mean(r.argmax(axis=1) == np.arange(len(r))) > 0.85


def test_deconvolved_session(tiny_session):
    root, eid = tiny_session
    session = MesoscopeSession.from_eid(local_one(root), eid, raw_activity=False, max_fovs=1)
    activity, _ = session.get_activity_matrix()
    assert session.n_fovs == 1
    assert np.nanmin(activity) >= 0
    with pytest.raises(SessionError, match="raw_activity=True"):
        session.get_dff_activity_matrix()


class LoggedIn:
    """A stand-in for a ONE object on a server: a dict of details, files that are fetched."""

    def __init__(self, folder: Path):
        self.folder, self.fetched = folder, []

    def list_datasets(self, eid):
        files = [p for p in self.folder.rglob("*") if p.is_file()]
        return np.array([p.relative_to(self.folder).as_posix() for p in files])

    def load_dataset(self, eid, dataset, collection=None, download_only=False):
        assert download_only
        self.fetched.append(dataset)
        return self.folder / collection / dataset

    def eid2path(self, eid):
        return None  # nothing downloaded yet

    def get_details(self, eid):
        return {"subject": "SP066", "start_time": "2025-04-09T12:10:56.3", "task_protocol": "x"}


def test_any_one_object_serves_and_large_traces_wait(session):
    server = LoggedIn(session.session_path)
    remote = MesoscopeSession.from_eid(server, uuid.UUID(session.eid))
    assert (remote.eid, remote.subject, remote.date[:10]) == (session.eid, "SP066", "2025-04-09")
    assert remote.source == "ibl"
    assert not remote.is_simulated
    assert "mpci.ROINeuropilActivityF.npy" not in server.fetched
    np.testing.assert_array_equal(remote.get_activity_matrix()[0], session.get_activity_matrix()[0])
    remote.get_dff_activity_matrix()
    assert server.fetched.count("mpci.ROINeuropilActivityF.npy") == 2


def test_unknown_eid_has_near_matches(tiny_session):
    root, eid = tiny_session
    wrong = eid[:-4] + "0000"
    with pytest.raises(SessionError, match=f"'{wrong}' is not known.*did you mean.*{eid} \\(SIM-"):
        MesoscopeSession.from_eid(local_one(root), wrong)
    with pytest.raises(SessionError, match=f"did you mean.*{eid}"):
        MesoscopeSession.from_eid(local_one(root), eid[:8])


def test_from_csv(tiny_session, tmp_path):
    root, eid = tiny_session
    pd.DataFrame({"eid": ["other", eid]}).to_csv(tmp_path / "good.csv", index=False)
    one = local_one(root)
    assert MesoscopeSession.from_csv(one, tmp_path / "good.csv", 1, max_fovs=1).eid == eid
    assert MesoscopeSession.from_csv(one, tmp_path / "good.csv", eid).n_fovs == 2
    with pytest.raises(SessionError, match="no row 5"):
        MesoscopeSession.from_csv(one, tmp_path / "good.csv", 5)


@pytest.mark.parametrize("compression", ["gzip", None])
def test_v1_file_round_trip(session, tmp_path, compression):
    path = session.save_activity_matrix(tmp_path / "a.h5", (0, 60), compression)
    activity, times = session.get_activity_matrix((0, 60))
    for load in (MesoscopeSession.load_activity_matrix, front_door.load_activity_matrix):
        read, read_times, meta = load(path)
        np.testing.assert_array_equal(read, activity)
        np.testing.assert_array_equal(read_times, times)
        assert (meta["eid"], meta["n_total_neurons"]) == (session.eid, 24)
        np.testing.assert_array_equal(meta["time_window"], [0, 60])
    assert front_door.load_session_from_hdf5(path)[2] == session.eid
    assert MesoscopeSession.load_session_from_hdf5(path)[0].shape == activity.shape


def test_v1_file_of_dff(session, tmp_path):
    path = session.save_dff_activity_matrix(tmp_path / "dff.h5", (0, 60), neucoeff=0.5)
    stored, _, _ = front_door.load_activity_matrix(path)
    np.testing.assert_array_equal(stored, session.get_dff_activity_matrix((0, 60), 0.5)[0])


def test_from_preprocessed_v1(session, tmp_path):
    path = session.save_activity_matrix(tmp_path / "a.h5")
    stored = MesoscopeSession.from_preprocessed(path)
    assert (stored.eid, stored.subject, stored.source) == (
        session.eid,
        session.subject,
        "preprocessed",
    )
    assert stored.is_simulated
    assert stored.n_total_neurons == 24
    activity, times = stored.get_preprocessed_data()
    np.testing.assert_array_equal(activity, session.get_activity_matrix()[0])
    first, last = stored.get_activity_matrix((0, 30))[1][[0, -1]]
    assert first == times[stored.fovs[0].good_frame_mask][0]
    assert last - first == pytest.approx(30, abs=0.2)
    np.testing.assert_array_equal(times, stored.timestamps)
    assert len(stored.neurons) == 24
    with pytest.raises(SessionError, match="not preprocessed"):
        session.get_preprocessed_data()
    with pytest.raises(SessionError, match="raw_activity=True"):
        stored.get_dff_activity_matrix()


def test_from_preprocessed_v2(session, tmp_path):
    path = preprocess(session, output=tmp_path / "session.h5", progress=False)
    stored = open_session(path)
    file = SessionFile(path)
    assert (stored.eid, stored.source, stored.is_simulated) == (
        session.eid,
        "preprocessed",
        True,
    )
    activity, times = stored.get_preprocessed_data()
    assert isinstance(activity, np.memmap)
    np.testing.assert_array_equal(times, file.timestamps)
    np.testing.assert_array_equal(stored.get_activity_matrix()[0], file.activity)
    assert stored.neurons.equals(file.neurons)
    assert set(stored.neurons["uuid"]) <= set(session.neurons["uuid"])
    assert stored.trials.columns.tolist() == session.trials.columns.tolist()
    np.testing.assert_array_equal(stored.wheel_position, session.wheel_position)
    assert stored.availability["found"].tolist() == session.availability["found"].tolist()
    assert "SIMULATED" in repr(stored)
    assert "mpci.mpciFrameQC.npy (FOV_01)" in repr(stored)
    columns = [fov.n_neurons for fov in stored.fovs]
    np.testing.assert_array_equal(stored.fovs[1].roi_activity, activity[:, columns[0] :])


def test_open_session_by_any_reference(session, tmp_path, tiny_session):
    root, eid = tiny_session
    path = session.save_activity_matrix(tmp_path / "session_x.h5", (0, 20))
    references = [eid, session.session_path, str(session.session_path), path]
    opened = [open_session(reference) for reference in references]
    assert {s.eid for s in opened} == {eid}
    assert [s.source for s in opened] == ["simulated"] * 3 + ["preprocessed"]
    assert open_session(eid, one=local_one(root), raw_activity=False).raw_activity is False


def test_open_session_of_a_preset(monkeypatch, tiny_session):
    _, eid = tiny_session
    monkeypatch.setattr("utils.simulation.PRESETS", {"small": {}})
    monkeypatch.setattr("utils.simulation.preset_session", lambda name: eid)
    assert open_session("small").eid == eid


def test_open_session_of_a_suite2p_folder(tmp_path):
    np.save(tmp_path / "F.npy", np.ones((3, 30), np.float32))
    assert open_session(tmp_path, rate=5.0).frame_rate == pytest.approx(5)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("smal", "did you mean small"),
        ("SIM-2x12", "did you mean.*SIM-2x12-8min-s0"),
        ("no/such/folder", "no session 'no/such/folder'"),
        ("", "no session ''"),
    ],
)
def test_open_session_of_nothing(tiny_session, reference, message):
    with pytest.raises(SessionNotFoundError, match=message):
        open_session(reference)


def test_open_session_of_wrong_files(tmp_path):
    (tmp_path / "notes.txt").write_text("no session")
    with pytest.raises(SessionError, match=r"notes\.txt"):
        open_session(tmp_path / "notes.txt")
    with pytest.raises(SessionError, match=r"no folder alf.*no F\.npy.*notes\.txt"):
        open_session(tmp_path)
    with pytest.raises(SessionError, match="no such file"):
        MesoscopeSession.from_preprocessed(tmp_path / "none.h5")
    with pytest.raises(SessionError, match="no folder alf"):
        MesoscopeSession.from_folder(tmp_path)


def test_opening_leaves_files_as_they_were(session, tmp_path):
    copy = tmp_path / "one/lab/Subjects/SP1/2025-01-01/001"
    shutil.copytree(session.session_path, copy)
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*")}
    opened = MesoscopeSession.from_folder(copy)
    opened.get_dff_activity_matrix()
    with pytest.raises(ValueError, match="read-only"):
        opened.fovs[0].roi_activity[0, 0] = 1
    assert {p: p.stat().st_mtime_ns for p in copy.rglob("*")} == before


def test_front_door_imports_no_torch():
    import subprocess

    code = "import sys, utils.load_meso_session; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_local_cache_yet(monkeypatch, tmp_path):
    monkeypatch.setenv("MESOTWIN_DATA", str(tmp_path))
    assert one_cache_dir().parent == tmp_path.resolve()
    with pytest.raises(SessionNotFoundError):
        open_session("SP066")


@pytest.mark.parametrize(
    ("reference", "message"),
    [("smal", "no session 'smal'.*did you mean small"), ("/no/such/folder", "no file or folder")],
)
def test_open_session_of_nothing_before_anything_was_simulated(
    tmp_path, monkeypatch, reference, message
):
    monkeypatch.setenv("MESOTWIN_DATA", str(tmp_path))
    with pytest.raises(SessionError, match=message):
        open_session(reference)
