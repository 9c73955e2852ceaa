"""Recordings in files and dictionaries: what comes back, what is missing, what is refused."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest

from utils.datasets.v1 import as_recording, read_recording, to_rate, write_recording


def split(recording):
    """Arrays and metadata."""
    arrays = {key: value for key, value in recording.items() if isinstance(value, np.ndarray)}
    return arrays, {key: value for key, value in recording.items() if key not in arrays}


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_a_file_gives_back_what_was_written(make_recording, tmp_path, suffix):
    given = make_recording(behavior=np.ones((180, 4)), cell_ids=[7, 5, 9])
    read = read_recording(write_recording(tmp_path / f"a{suffix}", *split(given)))
    for key, value in split(given)[0].items():
        np.testing.assert_array_equal(getattr(read, key), value)
    assert read.metadata == split(given)[1] | {"simulated": False}
    assert list(tmp_path.iterdir()) == [tmp_path / f"a{suffix}"]


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_metadata_of_thousands_of_cells_fit_in_a_file(tmp_path, suffix):
    cells = 20_000
    given = {"robs": np.zeros((50, cells), np.uint8), "trial_inds": np.zeros(50, int)}
    about = {"name": "large", "rate_hz": 5.0, "px_per_deg": 1.0}
    about |= {"cell_ids": list(range(cells)), "areas": ["VISp"] * cells}
    read = read_recording(write_recording(tmp_path / f"a{suffix}", given, about))
    assert read.metadata["cell_ids"] == about["cell_ids"]
    assert read.metadata["areas"] == about["areas"]


def test_frames_are_mapped_and_found_again_by_other_processes(make_recording, tmp_path):
    read = read_recording(write_recording(tmp_path / "a.h5", *split(make_recording())))
    assert isinstance(read.stim, np.memmap)
    message = pickle.dumps(read)
    assert len(message) < 1000
    np.testing.assert_array_equal(pickle.loads(message).stim, read.stim)
    in_memory = pickle.loads(pickle.dumps(as_recording(make_recording())))
    np.testing.assert_array_equal(in_memory.stim, read.stim)


def test_compressed_frames_of_other_software_are_read(make_recording, tmp_path):
    arrays, metadata = split(make_recording())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, compression="gzip")
        file.create_group("notes")
        file.attrs.update(metadata)
    np.testing.assert_array_equal(read_recording(tmp_path / "a.h5").stim, arrays["stim"])


def test_what_is_not_given_has_defaults():
    recording = as_recording(
        {"robs": np.zeros((5, 2)), "trial_inds": [1, 1, 1, 2, 2], "rate_hz": 120, "px_per_deg": 30}
    )
    assert recording.valid.shape == (5, 1)
    assert recording.valid.all()
    assert recording.stim is recording.eyepos is recording.behavior is None
    assert (recording.psth_inds == -1).all()
    assert np.isnan(recording.sf).all()
    np.testing.assert_allclose(recording.t_bins, (np.arange(5) + 0.5) / 120)
    assert recording.metadata["cell_ids"] == [0, 1]
    assert recording.trial_types == ["stimulus", "stimulus"]
    np.testing.assert_array_equal(recording.trials, [[0, 3], [3, 5]])


def test_arrays_that_nobody_uses_are_named(make_recording, caplog):
    with caplog.at_level("INFO"):
        as_recording(make_recording(spike_times=np.zeros((180, 4))))
    assert "not used: spike_times" in caplog.text


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"robs": None}, "array 'robs' is missing"),
        ({"trial_inds": None, "trial_ind": [1]}, "'trial_inds' is missing; did you mean trial_ind"),
        ({"rate_hz": None}, "metadata 'rate_hz' is missing"),
        ({"rate_hz": -3.0}, "'rate_hz' must be a positive number, found -3.0"),
        ({"px_per_deg": "many"}, "'px_per_deg' must be a positive number, found 'many'"),
        ({"stim": np.zeros((180, 7, 9), bool)}, "'stim' must be .* floats; found .* bool"),
        ({"stim": np.zeros((179, 7, 9))}, "'stim' has 179 bins, 'robs' has 180"),
        ({"robs": np.zeros(180)}, r"'robs' must be \(T, N\)"),
        ({"robs": np.zeros((180, 0))}, "'robs' is empty"),
        ({"robs": np.full((180, 3), np.nan)}, "540 values that are not finite, the first in bin 0"),
        ({"eyepos": np.zeros((180, 3))}, r"'eyepos' must be \(T, 2\)"),
        ({"eyepos": np.zeros((180, 2), int)}, "'eyepos' must be .* floats; found .* int64"),
        ({"valid": np.ones((180, 2), bool)}, "'valid' has 2 columns; .* each of the 3 cells"),
        ({"valid": np.ones(180)}, "'valid' must be .* booleans; found .* float64"),
        ({"trial_inds": np.arange(180) % 2}, "trial 0 lies in 90 pieces"),
        ({"trial_inds": np.zeros(180, int), "stim_type": np.arange(180) // 90}, "within trial 0"),
        ({"stim_type": np.full(180, 9)}, "runs from 9 to 9; the metadata's stim_types are 3"),
        ({"t_bins": np.arange(180) / 60}, "lies 0.0166667 s after .* expected 0.00833333"),
        ({"t_bins": np.full(180, np.nan)}, "'t_bins'"),
        ({"cell_ids": [1, 1, 2]}, "'cell_ids' must hold 3 different ids"),
        ({"cell_ids": [1, 2]}, "'cell_ids' must hold 3 different ids.*found 2"),
    ],
)
def test_faults_name_the_array_what_was_expected_and_what_was_found(
    make_recording, replaced, message
):
    with pytest.raises(ValueError, match=message):
        as_recording(make_recording(**replaced))


def test_responses_that_are_marked_may_be_absent(make_recording):
    robs, valid = np.ones((180, 3)), np.ones((180, 3), bool)
    robs[5, 1], valid[5, 1] = np.nan, False
    assert as_recording(make_recording(robs=robs, valid=valid)).n_cells == 3


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_a_truncated_file_is_refused_by_name(make_recording, tmp_path, suffix):
    path = write_recording(tmp_path / f"a{suffix}", *split(make_recording()))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=rf"a{suffix} is truncated or no"):
        read_recording(path)


def test_files_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such V1 recording"):
        read_recording(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"a.mat: a V1 recording is one of \.h5"):
        read_recording(tmp_path / "a.mat")
    np.savez(tmp_path / "objects.npz", robs=np.array([{"a": 1}]))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_recording(tmp_path / "objects.npz")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(ValueError, match=r"empty.h5: metadata 'rate_hz' is missing"):
        read_recording(tmp_path / "empty.h5")


def test_a_faulty_recording_is_not_written(make_recording, tmp_path):
    with pytest.raises(ValueError, match="'stim' has 179 bins"):
        write_recording(tmp_path / "a.h5", *split(make_recording(stim=np.zeros((179, 2, 2)))))
    assert not list(tmp_path.iterdir())


def test_half_the_rate_sums_counts_decimates_frames_and_averages_the_rest(make_recording):
    psth = np.r_[np.full(30, -1), np.arange(25), np.full(125, -1)]
    valid = np.ones(180, bool)
    valid[3] = False
    fast = as_recording(
        make_recording(
            rate_hz=240.0,
            t_bins=(np.arange(180) + 0.5) / 240,
            psth_inds=psth,
            valid=valid,
            behavior=np.arange(180.0)[:, None],
        )
    )
    slow = to_rate(fast)
    assert slow.metadata["rate_hz"] == 120
    assert np.diff(slow.trials)[:, 0].tolist() == [15, 12, 20, 15, 17, 10]  # a bin is left over
    first = np.r_[0:30:2, 30:54:2, 55:95:2]
    np.testing.assert_array_equal(slow.robs[:47], fast.robs[first] + fast.robs[first + 1])
    np.testing.assert_array_equal(slow.stim[:47], fast.stim[first])
    np.testing.assert_allclose(slow.behavior[:47, 0], first + 0.5)
    np.testing.assert_allclose(slow.t_bins[:47], (first + 1) / 240)
    np.testing.assert_array_equal(slow.trial_inds[:47], fast.trial_inds[first])
    np.testing.assert_array_equal(slow.psth_inds[15:27], np.arange(12))
    assert np.flatnonzero(~slow.valid[:, 0]).tolist() == [1]
    assert to_rate(slow) is slow


@pytest.mark.parametrize("rate_hz", [70.0, 240.0])
def test_a_rate_that_does_not_divide_is_refused(make_recording, rate_hz):
    with pytest.raises(ValueError, match="120 bins per second, which cannot be reduced to"):
        to_rate(as_recording(make_recording()), rate_hz)
