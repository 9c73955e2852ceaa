import numpy as np
import pytest

from utils.sessions.errors import SessionError
from utils.sessions.fov import FieldsOfView, FOVData, window_limits


def make_fov(name="FOV_00", n_frames=300, n_rois=4, **changes) -> FOVData:
    rng = np.random.default_rng(0)
    values = {
        "fov_name": name,
        "collection": f"alf/{name}",
        "roi_activity": (500 + rng.normal(0, 20, (n_frames, n_rois))).astype(np.float32),
        "neuropil_activity": np.full((n_frames, n_rois), 100, np.float32),
        "timestamps": np.arange(n_frames) / 5.0,
        "bad_frames": np.arange(n_frames) == 3,
        "frame_qc": np.where(np.arange(n_frames) == 5, 1, 0),
        "roi_types": np.array([1, 0, 1, 1])[:n_rois],
    }
    return FOVData(**(values | changes))


def test_counts_and_masks():
    fov = make_fov()
    assert (fov.n_frames, fov.n_rois, fov.n_neurons) == (300, 4, 3)
    assert fov.cell_indices.tolist() == [0, 2, 3]
    assert np.flatnonzero(~fov.good_frame_mask).tolist() == [3, 5]
    assert fov.frame_rate == pytest.approx(5.0)
    assert "300 frames x 4 ROIs, 3 cells, 5.00 Hz, 2 frames excluded" in repr(fov)


def test_missing_tables_leave_all_rois_and_frames():
    fov = make_fov(roi_types=None, bad_frames=None, frame_qc=None)
    assert fov.n_neurons == 4
    assert fov.good_frame_mask.all()


@pytest.mark.parametrize("kind", [np.int8, np.uint32, bool])
def test_bad_frames_of_older_files(kind):
    fov = make_fov(bad_frames=(np.arange(300) == 3).astype(kind))
    assert fov.bad_frames.dtype == bool
    assert np.flatnonzero(~fov.good_frame_mask).tolist() == [3, 5]


def test_roi_time_is_that_of_the_row_not_the_column():
    shift = np.array([0.0, 0.1, 0.2, 0.3])
    fov = make_fov(
        timeshift=shift, stack_pos=np.array([[3, 0, 0], [2, 1, 0], [1, 2, 0], [0, 3, 0]])
    )
    np.testing.assert_allclose(fov.roi_time_offsets, [0.3, 0.2, 0.1, 0.0])
    assert make_fov(timeshift=shift).roi_time_offsets.tolist() == [0, 0, 0, 0]


def test_traces_are_opened_when_used():
    opened = []

    def neuropil():
        opened.append(1)
        return np.zeros((300, 4), np.float32)

    fov = make_fov(neuropil_activity=neuropil)
    assert fov.n_neurons == 3
    assert not opened
    assert fov.neuropil_activity.shape == (300, 4)
    _ = fov.neuropil_activity
    assert opened == [1]


def test_neuropil_of_another_shape_is_an_error():
    fov = make_fov(neuropil_activity=np.zeros((299, 4)))
    with pytest.raises(SessionError, match=r"neuropil has shape \(299, 4\).*\(300, 4\)"):
        fov.compute_dff()


def test_time_window_counts_from_the_first_good_frame():
    fov = make_fov(bad_frames=np.arange(300) < 10)
    activity, times = fov.get_filtered_activity((1.0, 2.0))
    np.testing.assert_allclose(times[[0, -1]], [3.0, 4.0])
    np.testing.assert_array_equal(activity, fov.roi_activity[15:21])
    _, times = fov.get_filtered_activity(1.0)  # one number is the end
    np.testing.assert_allclose(times[[0, -1]], [2.0, 3.0])
    neurons, _, mask = fov.get_neuron_activity()
    assert neurons.shape == (290, 3)
    assert mask.tolist() == [True, False, True, True]


@pytest.mark.parametrize("window", [(3, 2), (1, 1), (1, 2, 3), -1, np.nan, "all", [[1, 2]]])
def test_wrong_time_windows(window):
    with pytest.raises(SessionError, match="time_window"):
        window_limits(window)


def test_dff_is_finite_and_small_for_awkward_rois():
    activity = np.array(make_fov().roi_activity)
    activity[:, 1] = 0  # constant
    activity[:, 2] -= 5000  # negative
    activity[:, 3] = 71 + np.random.default_rng(1).normal(0, 3, 300)  # as much as its neuropil
    dff = make_fov(roi_activity=activity).compute_dff()
    assert np.isfinite(dff).all()
    assert np.abs(dff).max() < 50
    assert not dff[:, 1].any()


def test_dff_baseline_ignores_bad_frames():
    activity = np.full((300, 4), 500, np.float32)
    activity[100:130] = -1e5  # the detector was off
    bad = np.zeros(300, bool)
    bad[100:130] = True
    dff, times = make_fov(roi_activity=activity, bad_frames=bad).get_dff_activity()
    assert len(times) == 269  # and one frame flagged by QC
    np.testing.assert_allclose(dff, 0, atol=1e-6)


def test_dff_does_not_look_ahead():
    fov = make_fov()
    changed = np.array(fov.roi_activity)
    changed[250:] += 50
    before = make_fov(neuropil_activity=None).compute_dff()
    after = make_fov(neuropil_activity=None, roi_activity=changed).compute_dff()
    # the floor is one number per ROI and far below the baseline here
    np.testing.assert_allclose(before[:250], after[:250], rtol=1e-5)


def test_dff_of_deconvolved_traces_is_refused():
    with pytest.raises(SessionError, match="raw_activity=True"):
        make_fov(raw_activity=False).compute_dff()


def test_all_frames_bad_is_one_clear_error():
    fov = make_fov(bad_frames=np.ones(300, bool))
    for use in (fov.get_filtered_activity, fov.compute_dff):
        with pytest.raises(SessionError, match="FOV_00: all 300 frames"):
            use()


def test_dff_of_some_rois_equals_that_of_all():
    fov = make_fov()
    np.testing.assert_allclose(fov.compute_dff(rois=[2, 0]), fov.compute_dff()[:, [2, 0]])


def test_neurons_table():
    fov = make_fov(
        brain_locations=np.array([593, 593, 421, 7_000_000]),
        mlapdv=np.arange(12.0).reshape(4, 3),
        uuids=np.array(list("abcd"), dtype=object),
    )
    table = fov.neurons
    assert table["uuid"].tolist() == ["a", "c", "d"]
    assert table["region"].tolist() == ["VISp", "VISl", "unknown"]
    assert table["flags"].tolist() == ["", "", "region unknown"]
    assert table["dv"].tolist() == [2, 8, 11]
    assert table["row"].isna().all()


def test_no_cell():
    fov = make_fov(roi_types=np.zeros(4, int))
    assert fov.n_neurons == 0
    assert len(fov.neurons) == 0


def test_fields_of_view_by_position_and_name():
    fovs = FieldsOfView([make_fov("FOV_00"), make_fov("FOV_01")])
    assert fovs[1] is fovs["FOV_01"] is fovs.values()[1]
    assert [fov.fov_name for fov in fovs] == list(fovs.keys()) == ["FOV_00", "FOV_01"]
    assert "FOV_01" in fovs
    assert fovs[0] in fovs
    assert "FOV_02" not in fovs
    assert repr(fovs) == "FieldsOfView(FOV_00, FOV_01)"
    with pytest.raises(KeyError, match="FOV_00, FOV_01"):
        fovs["FOV_07"]
