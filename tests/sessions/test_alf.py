import shutil

import numpy as np
import pytest
from one.api import One

from utils.load_meso_session import MesoscopeSession
from utils.sessions.alf import FolderSource, OneSource, made_uuids
from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.simulation import build_index


def open_folder(session, **options):
    return MesoscopeSession.from_folder(session, **options)


def open_one(session, **options):
    """The same session through an index and ONE."""
    root = session.parents[4]
    eid = build_index(root).index[0]
    return MesoscopeSession.from_eid(One(cache_dir=root, mode="local"), eid, **options)


def row(session, dataset, collection="alf/FOV_00"):
    table = session.availability
    return table[(table["dataset"] == dataset) & (table["collection"] == collection)].iloc[0]


def test_folder_and_one_give_the_same_session(make_session):
    folder = make_session("FOV_00", "FOV_01")
    ways = [open_folder(folder), open_one(folder)]
    assert ways[0].eid == ways[1].eid
    assert repr(ways[0]) == repr(ways[1])
    np.testing.assert_array_equal(*(way.get_activity_matrix()[0] for way in ways))
    assert ways[0].neurons.equals(ways[1].neurons)


def test_raw_activity_chooses_the_traces(make_session):
    folder = make_session()
    raw, deconvolved = open_folder(folder), open_folder(folder, raw_activity=False)
    assert raw.fovs[0].roi_activity[3, 2] == 2103
    assert deconvolved.fovs[0].roi_activity[3, 2] == np.float32(21.03)
    np.testing.assert_array_equal(
        raw.fovs[0].deconvolved_activity, deconvolved.fovs[0].roi_activity
    )


def test_traces_are_memory_maps(make_session):
    fov = open_folder(make_session()).fovs[0]
    assert isinstance(fov.roi_activity, np.memmap)
    assert isinstance(fov.neuropil_activity, np.memmap)


@pytest.mark.parametrize("opened", [open_folder, open_one])
def test_revisions_are_no_fovs_and_the_newest_is_read(make_session, opened):
    folder = make_session("FOV_00", "FOV_01")
    for date, value in (("2025-01-01", 0.25), ("2025-06-01", 0.75), ("2025-03-01", 0.5)):
        revision = folder / "alf" / "FOV_00" / f"#{date}#"
        revision.mkdir()
        np.save(revision / "mpciROIs.cellClassifier.npy", np.full(5, value))
    session = opened(folder)
    assert session.n_fovs == 2
    assert session.fovs["FOV_00"].cell_probability.tolist() == [0.75] * 5


@pytest.mark.parametrize("opened", [open_folder, open_one])
def test_a_data_set_that_only_a_revision_holds(make_session, opened):
    folder = make_session()
    revision = folder / "alf" / "FOV_00" / "#2025-01-01#"
    revision.mkdir()
    shutil.move(folder / "alf" / "FOV_00" / "mpci.times.npy", revision / "mpci.times.npy")
    assert opened(folder).fovs[0].timestamps[0] == 2.0


def test_fovs_are_sorted_and_limited(make_session):
    folder = make_session("FOV_10", "FOV_02", "FOV_00")
    assert [fov.fov_name for fov in open_folder(folder).fovs] == ["FOV_00", "FOV_02", "FOV_10"]
    assert [fov.fov_name for fov in open_folder(folder, max_fovs=2).fovs] == ["FOV_00", "FOV_02"]
    with pytest.raises(SessionError, match="at least 1, found 0"):
        open_folder(folder, max_fovs=0)


@pytest.mark.parametrize("opened", [open_folder, open_one])
@pytest.mark.parametrize("dataset", ["mpci.ROIActivityF.npy", "mpci.times.npy"])
def test_missing_trace_or_clock_is_an_error(make_session, opened, dataset):
    folder = make_session("FOV_00", "FOV_01")
    (folder / "alf" / "FOV_01" / dataset).unlink()
    with pytest.raises(SessionNotFoundError, match=f"alf/FOV_01/{dataset} is missing"):
        opened(folder)


@pytest.mark.parametrize(
    ("dataset", "consequence"),
    [
        ("mpciROIs.mpciROITypes.npy", "all ROIs are used"),
        ("mpci.mpciFrameQC.npy", "only badFrames"),
        ("mpci.badFrames.npy", "only frame QC"),
        ("mpci.ROINeuropilActivityF.npy", "without neuropil correction"),
        ("mpci.ROIActivityDeconvolved.npy", "no deconvolved"),
        ("mpciROIs.cellClassifier.npy", "probability unknown"),
        ("mpciROIs.stackPos.npy", "not of the scan line"),
        ("mpciStack.timeshift.npy", "not of the scan line"),
        ("mpciROIs.mlapdv_estimate.npy", "positions in the brain unknown"),
        ("mpciROIs.brainLocationIds_ccf_2017_estimate.npy", "regions unknown"),
        ("mpciROIs.uuids.csv", "made from eid"),
        ("mpciFrameQC.names.tsv", "no names"),
        ("mpciMeanImage.images.npy", "no mean image"),
    ],
)
def test_missing_optional_data_set_degrades_with_a_reason(make_session, dataset, consequence):
    folder = make_session()
    (folder / "alf" / "FOV_00" / dataset).unlink()
    session = open_folder(folder)
    noted = row(session, dataset)
    assert not noted["found"]
    assert not noted["required"]
    assert consequence in noted["consequence"]
    assert dataset in repr(session)
    activity, _ = session.get_activity_matrix()
    assert activity.shape == (60, 5 if "ROITypes" in dataset else 4)
    assert np.isfinite(session.get_dff_activity_matrix()[0]).any()
    assert len(session.neurons) == activity.shape[1]
    assert session.neurons["uuid"].is_unique


def test_missing_frame_qc_leaves_bad_frames_in_force(make_session):
    folder = make_session()
    (folder / "alf" / "FOV_00" / "mpci.mpciFrameQC.npy").unlink()
    assert np.flatnonzero(~open_folder(folder).fovs[0].good_frame_mask).tolist() == [7]


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("mpci.times.npy", r"has 59 frames, the activity has 60"),
        ("mpci.badFrames.npy", r"has 59 frames, the activity has 60"),
        ("mpci.mpciFrameQC.npy", r"has 59 frames, the activity has 60"),
        ("mpciROIs.mpciROITypes.npy", r"has 4 ROIs, the activity has 5"),
        ("mpciROIs.stackPos.npy", r"has 4 ROIs, the activity has 5"),
    ],
)
def test_lengths_that_disagree(make_session, dataset, message):
    path = make_session() / "alf" / "FOV_00" / dataset
    np.save(path, np.load(path)[:-1])
    with pytest.raises(SessionError, match=f"{dataset} {message}"):
        open_folder(path.parents[2])


def test_truncated_trace(make_session):
    path = make_session() / "alf" / "FOV_00" / "mpci.ROIActivityF.npy"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(SessionError, match=rf"ROIActivityF\.npy is truncated: {size}.*{size - 8}"):
        open_folder(path.parents[2])


def test_times_must_increase(make_session):
    path = make_session() / "alf" / "FOV_00" / "mpci.times.npy"
    times = np.load(path)
    times[20] = times[18]
    np.save(path, times)
    with pytest.raises(SessionError, match=r"FOV_00/mpci\.times\.npy.*increasing"):
        open_folder(path.parents[2])


def test_tables_stored_as_columns(make_session):
    folder = make_session() / "alf" / "FOV_00"
    for name in ("mpci.times", "mpciROIs.mpciROITypes", "mpci.badFrames"):
        path = folder / f"{name}.npy"
        np.save(path, np.load(path)[:, None])
    fov = open_folder(folder.parents[1]).fovs[0]
    assert fov.timestamps.shape == fov.bad_frames.shape == (60,)
    assert fov.n_neurons == 4


def test_scan_rows_outside_the_image(make_session):
    path = make_session() / "alf" / "FOV_00" / "mpciStack.timeshift.npy"
    np.save(path, np.zeros(3))
    with pytest.raises(SessionError, match=r"rows 0-4.*3 scan lines"):
        open_folder(path.parents[2])


def test_histology_is_preferred_to_the_estimate(make_session):
    folder = make_session() / "alf" / "FOV_00"
    np.save(folder / "mpciROIs.brainLocationIds_ccf_2017.npy", np.full(5, 656))
    session = open_folder(folder.parents[1])
    assert set(session.neurons["region"]) == {"MOs"}
    assert row(session, "mpciROIs.brainLocationIds_ccf_2017.npy")["found"]


def test_unknown_region_ids_are_noted(make_session):
    session = open_folder(make_session())
    assert session.neurons["region"].tolist() == ["VISp", "VISl", "SSp-bfd", "unknown"]
    assert "5000000 (1 ROIs)" in row(session, "mpciROIs.brainLocationIds")["consequence"]


def test_names_of_qc_codes(make_session):
    assert open_folder(make_session()).fovs[0].frame_qc_names == {0: "ok", 3: "high signal"}


def test_no_field_of_view(tmp_path):
    (tmp_path / "alf" / "task_00").mkdir(parents=True)
    np.save(tmp_path / "alf" / "task_00" / "_ibl_wheel.position.npy", np.zeros(3))
    with pytest.raises(SessionNotFoundError, match=r"no field of view.*alf/task_00"):
        open_folder(tmp_path)


def test_sources_list_without_revisions(make_session):
    folder = make_session()
    (folder / "alf" / "#2025-01-01#").mkdir()
    np.save(folder / "alf" / "#2025-01-01#" / "licks.times.npy", np.zeros(2))
    source = FolderSource(folder)
    assert source.fov_collections == ["alf/FOV_00"]
    assert source.find("alf", ["licks.times.npy"]) == "licks.times.npy"
    assert source.collection_with(["licks.times.npy"]) == "alf"
    assert source.collection_with(["none.npy"]) is None


class ServerWithoutFiles:
    """Lists data sets that it cannot send."""

    def list_datasets(self, eid):
        return ["alf/FOV_00/mpci.times.npy"]

    def load_dataset(self, eid, dataset, collection, download_only):
        raise ConnectionError("timed out")


def test_failed_download_names_the_data_set():
    source = OneSource(ServerWithoutFiles(), "abc")
    with pytest.raises(SessionError, match=r"alf/FOV_00/mpci\.times\.npy.*timed out"):
        source.path("alf/FOV_00", "mpci.times.npy")


def test_made_uuids_are_stable_and_distinct():
    first = made_uuids("eid", "alf/FOV_00", 3)
    assert first.tolist() == made_uuids("eid", "alf/FOV_00", 3).tolist()
    assert len(set(first) | set(made_uuids("eid", "alf/FOV_01", 3))) == 6
