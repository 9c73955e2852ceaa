import warnings

import numpy as np
import pytest

from utils.load_meso_session import MesoscopeSession
from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.lookup import local_one
from utils.sessions.suite2p import write_suite2p


def write_plane(folder, n_rois=4, n_frames=50, ops=None, seed=0):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    light = rng.normal(500, 20, (n_rois, n_frames)).astype(np.float32)
    np.save(folder / "F.npy", light)
    np.save(folder / "Fneu.npy", light / 5)
    np.save(folder / "spks.npy", np.abs(light - 500))
    np.save(folder / "iscell.npy", np.array([[1, 0.9], [0, 0.2], [1, 0.8], [1, 0.7]])[:n_rois])
    stat = np.array([{"med": [10 + i, 20 + i], "npix": 5} for i in range(n_rois)], dtype=object)
    np.save(folder / "stat.npy", stat, allow_pickle=True)
    if ops is not None:
        np.save(folder / "ops.npy", ops, allow_pickle=True)
    return folder


def test_one_plane_with_ops(tmp_path):
    bad = np.arange(50) == 4
    image = np.ones((3, 3))
    write_plane(tmp_path / "plane0", ops={"fs": 7.0, "badframes": bad, "meanImg": image})
    session = MesoscopeSession.from_suite2p(tmp_path / "plane0")
    fov = session.fovs[0]
    assert not session.rate_is_nominal
    assert session.frame_rate == pytest.approx(7.0)
    assert fov.roi_activity.shape == (50, 4)
    assert np.flatnonzero(~fov.good_frame_mask).tolist() == [4]
    assert session.neurons["roi"].tolist() == [0, 2, 3]
    assert session.neurons["row"].tolist() == [10, 12, 13]
    assert session.neurons["column"].tolist() == [20, 22, 23]
    assert session.neurons["cell_probability"].tolist() == [0.9, 0.8, 0.7]
    assert session.neurons["uuid"].is_unique
    assert fov.mean_image is image or fov.mean_image.shape == (3, 3)
    assert "suite2p" in repr(session)
    assert "nothing" in repr(session)


def test_traces_are_views_of_the_files(tmp_path):
    plane = write_plane(tmp_path / "plane0", ops={"fs": 7.0})
    fov = MesoscopeSession.from_suite2p(plane).fovs[0]
    light = np.load(plane / "F.npy")
    np.testing.assert_array_equal(fov.roi_activity, light.T)
    assert fov.roi_activity.base is not None
    assert not fov.roi_activity.flags.writeable
    assert fov.neuropil_activity.shape == fov.deconvolved_activity.shape == (50, 4)


def test_deconvolved_traces(tmp_path):
    plane = write_plane(tmp_path / "plane0", ops={"fs": 7.0})
    session = MesoscopeSession.from_suite2p(plane, raw_activity=False)
    activity, _ = session.get_activity_matrix()
    assert (activity[np.isfinite(activity)] >= 0).all()
    (plane / "spks.npy").unlink()
    with pytest.raises(SessionNotFoundError, match=r"spks\.npy is missing"):
        MesoscopeSession.from_suite2p(plane, raw_activity=False)


@pytest.mark.parametrize("where", ["suite2p", "."])
def test_several_planes_from_their_parents(tmp_path, where):
    ops = {"fs": 5.0, "nplanes": 3}
    for number in (0, 2, 10):  # plane10 comes after plane2
        write_plane(tmp_path / "suite2p" / f"plane{number}", ops=ops, seed=number)
    write_plane(tmp_path / "suite2p" / "combined", ops=ops)
    session = MesoscopeSession.from_suite2p(tmp_path / where)
    assert [fov.fov_name for fov in session.fovs] == ["plane0", "plane2", "plane10"]
    assert session.fovs["plane2"].timestamps[0] == pytest.approx(2 / 15)
    activity, _ = session.get_activity_matrix()
    assert activity.shape == (50, 9)
    first = session.fovs["plane2"].roi_activity[:, 0]
    # plane 2 is sampled 2/3 of a frame late: at frame t lie 1/3 of t and 2/3 of t - 1
    np.testing.assert_allclose(activity[1:, 3], first[1:] / 3 + first[:-1] * 2 / 3, rtol=1e-5)


def test_planes_of_unequal_length(tmp_path):
    for number, n_frames in enumerate((50, 49)):
        ops = {"fs": 5.0, "nplanes": 2}
        write_plane(tmp_path / f"plane{number}", n_frames=n_frames, ops=ops)
    activity, _ = MesoscopeSession.from_suite2p(tmp_path).get_activity_matrix()
    assert activity.shape == (50, 6)
    assert np.isnan(activity[-1]).tolist() == [False] * 3 + [True] * 3


def test_rate_of_the_caller_is_nominal(tmp_path):
    write_plane(tmp_path / "plane0")
    session = MesoscopeSession.from_suite2p(tmp_path, sampling_rate=12.5)
    assert session.rate_is_nominal
    assert session.frame_rate == pytest.approx(12.5)
    assert "nominal 12.50 Hz" in repr(session)
    assert "ops.npy (plane0)" in repr(session)


def test_without_a_rate_time_counts_frames_and_a_warning_says_so(tmp_path):
    write_plane(tmp_path / "plane0")
    with pytest.warns(UserWarning, match="sampling_rate") as caught:
        session = MesoscopeSession.from_suite2p(tmp_path)
    assert session.rate_is_nominal
    assert session.timestamps.tolist() == list(range(50))
    assert caught[0].filename == __file__


def test_rate_of_ops_wins_and_the_log_says_so(tmp_path, caplog):
    write_plane(tmp_path / "plane0", ops={"fs": 7.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = MesoscopeSession.from_suite2p(tmp_path, sampling_rate=10)
    assert session.frame_rate == pytest.approx(7.0)
    assert "7 Hz" in caplog.text


@pytest.mark.parametrize("rate", [0, -3, np.nan, np.inf, "10"])
def test_impossible_rates(tmp_path, rate):
    write_plane(tmp_path / "plane0")
    with pytest.raises(SessionError, match="must be a positive number"):
        MesoscopeSession.from_suite2p(tmp_path, sampling_rate=rate)


@pytest.mark.parametrize("rate", ["ten", 0, None, True])
def test_an_impossible_rate_in_ops_is_named_with_its_file(tmp_path, rate):
    write_plane(tmp_path / "plane0", ops={"fs": rate})
    with pytest.raises(SessionError, match=r"ops\.npy: the frame rate 'fs' must be a positive"):
        MesoscopeSession.from_suite2p(tmp_path)


def test_ops_in_a_list_of_one(tmp_path):
    write_plane(tmp_path / "plane0", ops=np.array([{"fs": 7.0}], dtype=object))
    assert MesoscopeSession.from_suite2p(tmp_path).frame_rate == pytest.approx(7.0)


@pytest.mark.parametrize("missing", ["Fneu.npy", "spks.npy", "iscell.npy", "stat.npy"])
def test_missing_optional_files_degrade(tmp_path, missing):
    plane = write_plane(tmp_path / "plane0", ops={"fs": 5.0})
    (plane / missing).unlink()
    session = MesoscopeSession.from_suite2p(plane)
    row = session.availability.set_index("dataset").loc[missing]
    assert not row["found"]
    assert row["consequence"]
    activity, _ = session.get_dff_activity_matrix()
    assert activity.shape == (50, 4 if missing == "iscell.npy" else 3)
    assert session.neurons["row"].isna().all() == (missing == "stat.npy")


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("iscell.npy", np.ones((3, 2)), "3 ROIs, the activity has 4"),
        ("stat.npy", np.array([{"med": [0, 0]}], dtype=object), "1 ROIs, the activity has 4"),
        ("stat.npy", np.array([{}] * 4, dtype=object), "'med'"),
        ("ops.npy", np.array([1, 2]), "a dict of settings"),
        ("F.npy", np.zeros(5), "shape"),
        ("F.npy", np.zeros((4, 1)), "1 frames"),
    ],
)
def test_files_that_do_not_fit(tmp_path, file, values, message):
    plane = write_plane(tmp_path / "plane0", ops={"fs": 5.0})
    np.save(plane / file, values, allow_pickle=True)
    with pytest.raises(SessionError, match=message):
        MesoscopeSession.from_suite2p(plane)


def test_neuropil_of_another_shape(tmp_path):
    plane = write_plane(tmp_path / "plane0", ops={"fs": 5.0})
    np.save(plane / "Fneu.npy", np.zeros((4, 49)))
    with pytest.raises(SessionError, match=r"neuropil has shape \(49, 4\)"):
        MesoscopeSession.from_suite2p(plane).get_dff_activity_matrix()


def test_old_iscell_without_probabilities(tmp_path):
    plane = write_plane(tmp_path / "plane0", ops={"fs": 5.0})
    np.save(plane / "iscell.npy", np.array([True, False, True, True]))
    neurons = MesoscopeSession.from_suite2p(plane).neurons
    assert neurons["roi"].tolist() == [0, 2, 3]
    assert neurons["cell_probability"].isna().all()


def test_no_cells(tmp_path):
    plane = write_plane(tmp_path / "plane0", ops={"fs": 5.0})
    np.save(plane / "iscell.npy", np.zeros((4, 2)))
    session = MesoscopeSession.from_suite2p(plane)
    assert session.n_total_neurons == 0
    with pytest.raises(SessionError, match="none of 4 ROIs is a cell"):
        session.get_activity_matrix()


def test_planes_of_different_rates(tmp_path):
    for number in range(2):
        write_plane(tmp_path / f"plane{number}", ops={"fs": 5.0 + number})
    with pytest.raises(SessionError, match="different rates"):
        MesoscopeSession.from_suite2p(tmp_path)


def test_folders_that_are_not_suite2p(tmp_path):
    with pytest.raises(SessionNotFoundError, match="does not exist"):
        MesoscopeSession.from_suite2p(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SessionNotFoundError, match=r"no suite2p output.*notes\.txt"):
        MesoscopeSession.from_suite2p(tmp_path)


def test_eid_follows_the_content_not_the_place(tmp_path):
    write_plane(tmp_path / "a" / "mouse1" / "suite2p" / "plane0")
    write_plane(tmp_path / "b" / "mouse1" / "suite2p" / "plane0")
    write_plane(tmp_path / "c" / "mouse1" / "suite2p" / "plane0", seed=1)
    eids = [
        MesoscopeSession.from_suite2p(tmp_path / x / "mouse1" / "suite2p", 5.0).eid for x in "abc"
    ]
    assert eids[0] == eids[1] != eids[2]
    assert all(eid.startswith("mouse1-") for eid in eids)


def test_written_planes_are_read_again(tiny_session, tmp_path):
    root, eid = tiny_session
    simulated = MesoscopeSession.from_eid(local_one(root), eid)
    write_suite2p(simulated.fovs, tmp_path, frames=400, simulated=True)
    session = MesoscopeSession.from_suite2p(tmp_path)
    assert session.is_simulated
    assert session.source == "simulated"
    assert "SIMULATED" in repr(session)
    assert session.frame_rate == pytest.approx(simulated.frame_rate)
    for plane, fov in zip(session.fovs, simulated.fovs):
        np.testing.assert_array_equal(plane.roi_activity, fov.roi_activity[:400])
        np.testing.assert_array_equal(plane.neuropil_activity, fov.neuropil_activity[:400])
        np.testing.assert_array_equal(plane.good_frame_mask, fov.good_frame_mask[:400])
        np.testing.assert_array_equal(plane.cell_indices, fov.cell_indices)
    for column in ("roi", "row", "column", "cell_probability"):
        assert session.neurons[column].tolist() == simulated.neurons[column].tolist()


def test_planes_need_fluorescence(tiny_session, tmp_path):
    root, eid = tiny_session
    deconvolved = MesoscopeSession.from_eid(local_one(root), eid, raw_activity=False)
    with pytest.raises(SessionError, match="needs fluorescence"):
        write_suite2p(deconvolved.fovs, tmp_path, simulated=True)


def test_real_recording(reference):
    session = MesoscopeSession.from_suite2p(reference / "suite2p_small", sampling_rate=10)
    assert (session.n_fovs, session.n_total_rois, session.n_total_neurons) == (1, 219, 20)
    activity, times = session.get_activity_matrix()
    assert activity.shape == (2000, 20)
    assert times[-1] == pytest.approx(199.9)
    dff, _ = session.get_dff_activity_matrix()
    assert np.isfinite(dff).all()
    assert np.abs(dff).max() < 100
    assert session.neurons["row"].between(0, 800).all()
