"""Session files: round trips, refusal of what is broken, no litter after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.hdf5 import (
    SessionFile,
    load_activity_matrix,
    load_session_from_hdf5,
    verify,
)
from utils.sessions.hdf5_write import (
    SessionContents,
    coarser,
    save_activity_matrix,
    write_session_file,
)

N_FRAMES, N_NEURONS = 1300, 5


@pytest.fixture
def contents() -> SessionContents:
    rng = np.random.default_rng(0)
    activity = rng.standard_normal((N_FRAMES, N_NEURONS)).astype(np.float32)
    activity[100:110] = np.nan
    activity[500, 2] = np.nan
    return SessionContents(
        activity=activity,
        timestamps=0.2 * np.arange(N_FRAMES),
        frame_mask=np.isfinite(activity).any(axis=1),
        split=np.repeat([0, -1, 1, 2, 3], N_FRAMES // 5).astype(np.int8),
        neurons=pd.DataFrame(
            {
                "fov": ["FOV_00"] * 2 + ["FOV_01"] * 3,
                "roi": range(N_NEURONS),
                "uuid": list("abcde"),
                "region": ["VISp", None, "VISl", "MOs", "µ"],
                "ml": [0.1, np.nan, 3, 4, 5],
            }
        ),
        neuron_mask=np.array([1, 1, 0, 1, 1, 1], bool),
        metadata={"eid": "e1", "subject": "S1", "unit": "dF/F", "simulated": True, "date": None},
        scaler={
            "method": "percentile",
            "offset": np.arange(N_NEURONS),
            "scale": np.full(N_NEURONS, 2.0),
            "percentiles": [0, 99.5],
        },
        covariates=rng.standard_normal((N_FRAMES, 2)),
        covariate_names=["wheel_velocity", "trial_phase"],
        trials=pd.DataFrame({"stimOn_times": [1.0, 7.5], "outcome": ["correct", "error"]}),
        trial_data={"wheel_position": np.arange(9.0)},
        excluded=pd.DataFrame([("neuron", "c", "constant", 1)], columns=list("abcd")),
        provenance={"config": {"scaling": "percentile"}, "wall_s": 1.5},
    )


@pytest.fixture
def path(tmp_path: Path, contents: SessionContents) -> Path:
    return write_session_file(tmp_path / "session_e1.h5", contents)


def test_round_trip(path, contents):
    file = SessionFile(path)
    np.testing.assert_array_equal(file.activity, contents.activity)
    np.testing.assert_array_equal(file.timestamps, contents.timestamps)
    np.testing.assert_array_equal(file.split, contents.split)
    np.testing.assert_array_equal(file.frame_mask, contents.frame_mask)
    np.testing.assert_array_equal(file.neuron_mask, contents.neuron_mask)
    np.testing.assert_allclose(file.covariates, contents.covariates, rtol=1e-6)
    assert file.covariate_names == ["wheel_velocity", "trial_phase"]
    assert (file.eid, file.subject, file.unit, file.simulated) == ("e1", "S1", "dF/F", True)
    assert file.frame_rate == pytest.approx(5.0)
    assert file.neurons["region"].tolist() == ["VISp", "", "VISl", "MOs", "µ"]
    pd.testing.assert_frame_equal(
        file.neurons[["roi", "ml"]], contents.neurons[["roi", "ml"]], check_dtype=False
    )
    assert file.trials["outcome"].tolist() == ["correct", "error"]
    assert list(file.trials) == ["stimOn_times", "outcome"]  # the wheel is no trial column
    assert len(file.trial_data["wheel_position"]) == 9
    assert file.scaler["method"] == "percentile"
    np.testing.assert_array_equal(file.scaler["offset"], np.arange(N_NEURONS))
    np.testing.assert_array_equal(file.scaler["scale"], np.full(N_NEURONS, 2.0))
    assert file.excluded.to_numpy().tolist() == [["neuron", "c", "constant", 1]]
    assert file.provenance["config"] == {"scaling": "percentile"}
    assert (
        repr(file) == "SessionFile(e1: 5 neurons x 1300 frames, 4.3 min, 5.00 Hz, dF/F, SIMULATED)"
    )


def test_group_names_are_those_of_layout_v2(path):
    with h5py.File(path) as file:
        for name in (
            "activity",
            "timestamps",
            "neuron_mask",
            "covariate_matrix",
            "covariate_metadata/feature_names",
            "trial_data/stimOn_times",
            "normalization/q005",
            "normalization/q995",
            "normalization/data_range",
            "metadata",
            "quality_metrics",
            "preprocessing_stats",
        ):
            assert name in file, name
        assert file["activity"].chunks is None
        assert file["activity"].compression is None


def test_activity_is_a_read_only_aligned_map(path):
    activity = SessionFile(path).activity
    assert isinstance(activity, np.memmap)
    assert activity.offset % 4096 == 0
    with pytest.raises(ValueError, match="read-only"):
        activity[0, 0] = 1


def test_pyramid_is_the_mean_of_four_rows_without_nan(path, contents):
    pyramid = SessionFile(path).pyramid
    assert [len(level) for level in pyramid] == [1300, 325]
    np.testing.assert_allclose(pyramid[1][24], np.nanmean(contents.activity[96:100], axis=0))
    assert np.isnan(pyramid[1][25]).all()
    expected = np.nanmean(contents.activity[500:504, 2])
    np.testing.assert_allclose(pyramid[1][125, 2], expected, rtol=1e-5)


def test_coarser_of_a_last_partial_group():
    np.testing.assert_array_equal(coarser(np.arange(6, dtype="f4")[:, None])[:, 0], [1.5, 4.5])
    assert coarser(np.ones((0, 3), "f4")).shape == (0, 3)


def test_same_contents_same_hash_whatever_the_provenance(tmp_path, path, contents):
    other = replace(contents, provenance={"wall_s": 99})
    again = write_session_file(tmp_path / "again.h5", other)
    assert SessionFile(again).content_hash == SessionFile(path).content_hash
    changed = replace(contents, split=np.zeros(N_FRAMES, np.int8))
    third = write_session_file(tmp_path / "third.h5", changed)
    assert SessionFile(third).content_hash != SessionFile(path).content_hash


def test_verify_notices_one_changed_value(path):
    assert verify(path)
    with h5py.File(path, "r+") as file:
        file["activity"][700, 3] += 1e-3
    assert not verify(path)


def test_v1_round_trip(tmp_path, contents):
    path = save_activity_matrix(
        tmp_path / "v1.h5", contents.activity, contents.timestamps, {"eid": "e1", "date": None}
    )
    activity, times, metadata = load_activity_matrix(path)
    np.testing.assert_array_equal(activity, contents.activity)
    np.testing.assert_array_equal(times, contents.timestamps)
    assert metadata["eid"] == "e1"
    assert load_session_from_hdf5(path)[2] == "e1"
    file = SessionFile(path)
    assert file.version == 1
    assert file.frame_mask.sum() == N_FRAMES - 10
    assert len(file.neurons) == N_NEURONS
    with pytest.raises(SessionError, match="no /split"):
        _ = file.split
    with pytest.raises(SessionError, match="no content hash"):
        verify(path)


def test_v2_is_also_read_by_the_v1_functions(path, contents):
    activity, _, metadata = load_activity_matrix(path)
    np.testing.assert_array_equal(activity, contents.activity)
    assert metadata["subject"] == "S1"


def test_v2_of_another_program(tmp_path):
    """Bytes as feature names, chunked activity, trials without a list of columns."""
    path = tmp_path / "session_other.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("activity", data=np.ones((50, 3)), chunks=(10, 3), compression="gzip")
        file["timestamps"] = np.arange(50) * 0.2
        file["covariate_matrix"] = np.zeros((50, 11))
        file["covariate_metadata/feature_names"] = [b"wheel_velocity"] * 11
        file["trial_data/stimOn_times"] = np.arange(4.0)
        file["trial_data/intervals"] = np.zeros((4, 2))
        file["quality_metrics/mean_snr"] = 3.0
        file.create_group("metadata").attrs["eid"] = np.bytes_("other")
    file = SessionFile(path)
    assert file.eid == "other"
    assert file.activity.dtype == np.float32
    assert file.covariate_names[0] == "wheel_velocity"
    assert list(file.trials) == ["stimOn_times"]
    assert file.scaler == {}
    assert file.quality.empty
    assert file.provenance == {}


def test_missing_foreign_and_truncated_files_are_refused_and_left_alone(tmp_path, path):
    with pytest.raises(SessionNotFoundError, match="no such file"):
        SessionFile(tmp_path / "nowhere.h5")

    text = tmp_path / "text.h5"
    text.write_text("not a recording")
    with pytest.raises(SessionError, match="not an HDF5 file"):
        SessionFile(text)
    assert text.read_text() == "not a recording"

    whole = path.read_bytes()
    for size in (len(whole) // 2, 200):
        path.write_bytes(whole[:size])
        with pytest.raises(SessionError, match="truncated or damaged"):
            SessionFile(path)
        assert path.read_bytes() == whole[:size]

    foreign = tmp_path / "foreign.h5"
    with h5py.File(foreign, "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(SessionError, match=r"another layout.*found /images"):
        SessionFile(foreign)


def test_lengths_that_disagree_inside_a_file(tmp_path):
    path = tmp_path / "short.h5"
    with h5py.File(path, "w") as file:
        file["activity"] = np.zeros((10, 2), "f4")
        file["timestamps"] = np.arange(9.0)
    with pytest.raises(SessionError, match=r"\(10, 2\).*\(9,\)"):
        SessionFile(path)


@pytest.mark.parametrize("n_frames", [6, 9])
def test_a_matrix_with_neurons_first_is_refused(tmp_path, n_frames):
    """Also a square one, whose shape fits: the file says what its axes are."""
    path = tmp_path / "v1.h5"
    with h5py.File(path, "w") as file:
        file["activity_matrix"] = np.zeros((6, n_frames), np.float32)
        file["timestamps"] = np.arange(float(n_frames))
        file.attrs["shape_description"] = "(neurons, time_points)"
    with pytest.raises(SessionError, match=r"(?i)transpose"):
        load_activity_matrix(path)


def test_wrong_contents_leave_the_old_file(path, contents):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="split: 3 entries"):
        write_session_file(path, replace(contents, split=np.zeros(3)))

    class Failing:
        shape = contents.activity.shape

        def __getitem__(self, rows):
            if rows.start:
                raise OSError("disk is gone")
            return contents.activity[rows]

    with pytest.raises(OSError, match="disk is gone"):
        write_session_file(path, replace(contents, activity=Failing()))
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


KILLED = """
import sys, time
import numpy as np, pandas as pd
from utils.sessions.hdf5_write import SessionContents, write_session_file

class Slow:
    shape = (3000, 4)
    def __getitem__(self, rows):
        if rows.start:
            print("half way", flush=True)
            time.sleep(60)
        return np.zeros((len(range(*rows.indices(3000))), 4), "f4")

write_session_file(sys.argv[1], SessionContents(
    activity=Slow(), timestamps=np.arange(3000.0), frame_mask=np.ones(3000, bool),
    split=np.zeros(3000, "i1"), neurons=pd.DataFrame({"roi": range(4)}), metadata={},
    scaler={"offset": np.zeros(4), "scale": np.ones(4)}, neuron_mask=np.ones(4, bool)))
"""


def test_a_killed_writer_leaves_the_old_file_and_its_litter_is_cleaned(path, contents):
    before = path.read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "half way\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2  # the old file and a hidden temporary one
    assert list(path.parent.glob("session_*.h5")) == [path]

    write_session_file(path, contents)
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    assert verify(path)


def test_another_machines_fresh_temporary_file_is_left_alone(path, contents):
    foreign = path.with_name(f".{path.name}.elsewhere.123.tmp")
    foreign.write_text("being written")
    write_session_file(path, contents)
    assert foreign.exists()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(foreign, (two_days_ago, two_days_ago))
    write_session_file(path, contents)
    assert not foreign.exists()


@pytest.mark.parametrize(
    ("matrix", "times", "message"),
    [
        (np.full((3, 1), b"a"), np.arange(3.0), r"/activity must be numbers, found \|S1"),
        (None, np.arange(3.0), "/activity must be numbers, found a group"),
        (np.zeros((3, 1)), np.full(3, b"a"), "/timestamps must be numbers"),
        (np.zeros((0, 3)), np.arange(0.0), "at least 2 frames expected, found 0"),
    ],
    ids=["text", "group", "text times", "empty"],
)
def test_hdf5_with_the_right_names_and_the_wrong_contents(tmp_path, matrix, times, message):
    path = tmp_path / "wrong.h5"
    with h5py.File(path, "w") as file:
        file["timestamps"] = times
        if matrix is None:
            file.create_group("activity")
        else:
            file["activity"] = matrix
    with pytest.raises(SessionError, match=message):
        SessionFile(path)
