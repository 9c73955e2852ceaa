"""From arrays and session files to windows: input checks, scaling, files larger than memory."""

from __future__ import annotations

import os
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from utils.sessions.errors import SessionError
from utils.sessions.hdf5 import SessionFile
from utils.sessions.hdf5_write import (
    SessionContents,
    save_activity_matrix,
    write_session_file,
)
from utils.splits import PASSIVE, TEST, TRAIN, UNUSED, VALIDATION, split_by_blocks
from utils.windows import load_windows, window_data
from utils.windows.build import _free_memory, _stored_activity

RATE = 5.0


def recording(n_frames: int = 600, n_neurons: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_frames, n_neurons)).astype(np.float32), np.arange(n_frames) / RATE


# ------------------------------------------------------------------------------------ arrays


def test_defaults_split_70_10_20_with_gaps_of_a_window():
    activity, times = recording(2000)
    data = window_data(activity, times)
    assert (data.context, data.horizon, data.n_neurons, data.frame_rate) == (
        48,
        16,
        4,
        pytest.approx(RATE),
    )
    assert np.array_equal(data.split, split_by_blocks(times, (0.7, 0.1, 0.2), gap=64))
    assert len(data.train) == 1400 - 63
    assert data.neurons["uuid"].tolist() == ["0", "1", "2", "3"]
    assert data.passive is None
    assert data.scaler is None


def test_given_labels_are_used_and_too_narrow_gaps_widened():
    activity, times = recording()
    split = np.repeat([TRAIN, VALIDATION, TEST, PASSIVE], 150).astype(np.int8)
    data = window_data(activity, times, 10, 3, split=split)
    assert (data.split[:150] == TRAIN).all()
    assert (data.split[150:163] == UNUSED).all()
    assert (data.split[163:300] == VALIDATION).all()
    wide = split.copy()
    wide[150:180] = wide[300:330] = wide[450:480] = UNUSED
    assert np.array_equal(window_data(activity, times, 10, 3, split=wide).split, wide)


def test_zscore_sees_the_training_block_alone():
    activity, times = recording()
    activity = activity * [1, 5, 0.1, 2] + np.array([3, -2, 0, 9])
    activity[7, 1] = np.nan
    data = window_data(activity, times, 10, 3, scale="zscore")
    train = activity[data.split == TRAIN]
    np.testing.assert_allclose(data.scaler["offset"], np.nanmean(train, axis=0), rtol=1e-5)
    np.testing.assert_allclose(data.scaler["scale"], np.nanstd(train, axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        data.activity, (activity - data.scaler["offset"]) / data.scaler["scale"], atol=1e-5
    )
    # Whatever comes after the training block changes neither scaler nor scaled training data.
    spoiled = np.where((data.split == TRAIN)[:, None], activity, 1e3 - 5 * activity)
    again = window_data(spoiled, times, 10, 3, scale="zscore")
    assert np.array_equal(again.scaler["offset"], data.scaler["offset"])
    assert np.array_equal(again.scaler["scale"], data.scaler["scale"])


def test_zscore_of_contexts_that_reach_back_is_that_of_the_training_block():
    activity, times = recording()
    data = window_data(activity, times, 10, 3, scale="zscore", reach_back=True)
    assert np.allclose(data.scaler["offset"], activity[:420].mean(0), atol=1e-6)
    assert np.allclose(data.scaler["scale"], activity[:420].std(0), atol=1e-6)


def test_zscore_leaves_masked_frames_out():
    activity, times = recording()
    spoiled, mask = activity.copy(), np.ones(600, bool)
    spoiled[50:60], mask[50:60] = 1e4, False
    data = window_data(spoiled, times, 10, 3, frame_mask=mask, scale="zscore")
    kept = activity[(data.split == TRAIN) & mask]
    np.testing.assert_allclose(data.scaler["offset"], kept.mean(axis=0), atol=1e-6)


def test_zscore_of_constant_and_of_empty_neurons_is_finite():
    activity, times = recording()
    activity[:, 0], activity[:, 1], activity[:, 2] = 0.1, 0.0, np.nan
    data = window_data(activity, times, 10, 3, scale="zscore")
    assert data.scaler["scale"][:3].tolist() == [1, 1, 1]
    assert data.activity[:, :2].abs().max() < 1e-6
    assert data.train.batch([0]).past[..., 2].eq(0).all()
    assert not data.train.batch([0]).past_mask[..., 2].any()


def test_scaling_does_not_touch_the_input():
    activity, times = recording()
    before = activity.copy()
    window_data(activity, times, 10, 3, scale="zscore")
    assert np.array_equal(activity, before)


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor, list])
def test_arrays_tensors_and_lists_are_accepted(convert):
    activity, times = recording(200)
    data = window_data(convert(activity), convert(times), 5, 2, covariates=convert(activity))
    assert np.array_equal(data.activity, activity)
    assert data.covariate_names == ("covariate_0", "covariate_1", "covariate_2", "covariate_3")


def test_integers_and_other_byte_orders_are_converted():
    activity, times = recording(200)
    counts = (10 * activity).astype(np.int32)
    assert np.array_equal(window_data(counts, times, 5, 2).activity, counts)
    assert np.array_equal(window_data(activity.astype(">f4"), times, 5, 2).activity, activity)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activity": np.zeros(600)}, r"activity must be \(time, column\), found shape \(600,\)"),
        ({"activity": np.zeros((600, 0))}, r"found shape \(600, 0\)"),
        ({"activity": np.full((600, 2), "a")}, "activity must hold numbers, found dtype <U1"),
        ({"activity": np.zeros((4, 600))}, "4 frames and timestamps 600.*transposed"),
        ({"activity": np.full((600, 2), np.nan)}, "none of the 600 frames is valid"),
        ({"timestamps": np.r_[np.nan, np.arange(599.0)]}, "frame 0 is nan"),
        ({"timestamps": np.zeros(600)}, "must increase: frame 0"),
        ({"timestamps": np.zeros((600, 1))}, r"must be \(time,\)"),
        ({"context": 0}, "context must be a whole number of frames >= 1, found 0"),
        ({"horizon": 1.5}, r"horizon must be a whole number of frames >= 1, found 1\.5"),
        ({"horizon": "16"}, "found '16'"),
        ({"context": 603}, "600 frames is shorter than one window of 606 frames"),
        ({"context": 100}, "too short: 600 frames.*validation and test cannot"),
        ({"fractions": (0.5, 0.5, 0.5)}, "three positive shares"),
        ({"split": np.zeros(5)}, r"split has shape \(5,\), expected \(600,\)"),
        ({"split": np.full(600, 7)}, r"split has unknown labels \[7\]"),
        ({"split": np.zeros(600, int)}, "no window fits into validation and test"),
        ({"frame_mask": np.ones(5, bool)}, r"frame_mask has shape \(5,\)"),
        ({"frame_mask": np.zeros(600, bool)}, "none of the 600 frames is valid"),
        ({"scale": "minmax"}, "scale = 'minmax': expected 'zscore' or None"),
        ({"neurons": pd.DataFrame({"uuid": ["a"]})}, "neurons has 1 rows.*4 columns"),
        ({"covariates": np.zeros((5, 1))}, "covariates have 5 frames, the activity has 600"),
        ({"covariates": np.zeros((600, 1)), "covariate_names": ["a", "b"]}, "2 covariate_names"),
        ({"covariate_names": ["wheel"]}, "covariate_names are given but covariates are not"),
    ],
)
def test_bad_input_is_named(change, message):
    activity, times = recording()
    inputs = {"activity": activity, "timestamps": times, "context": 10, "horizon": 3} | change
    with pytest.raises(ValueError, match=f"(?s){message}"):
        window_data(**inputs)


@pytest.mark.parametrize("n", [0, 1])
def test_an_empty_recording_and_one_frame_are_too_short(n):
    with pytest.raises(ValueError, match=f"recording of {n} frames is shorter than one window"):
        window_data(np.zeros((n, 3)), np.zeros(n))


@pytest.mark.parametrize("where", ["activity", "covariates"])
def test_infinite_values_are_named(where):
    activity, times = recording()
    inputs = {"activity": activity, "covariates": activity.copy()}
    inputs[where][77, 3] = -np.inf
    with pytest.raises(ValueError, match=f"{where} is infinite at frame 77, column 3"):
        window_data(inputs["activity"], times, 10, 3, covariates=inputs["covariates"])


def test_opposite_infinities_and_huge_values_are_told_apart():
    activity, times = recording()
    activity[5] = 3e38  # finite, but the sum of the row is not
    assert window_data(activity, times, 10, 3).frame_mask.all()
    activity[5, :2] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinite at frame 5, column 0"):
        window_data(activity, times, 10, 3)


# -------------------------------------------------------------------------------------- files


@pytest.fixture
def contents() -> SessionContents:
    activity, times = recording(1200)
    activity[40, 1] = np.nan
    activity[100] = np.nan
    times[1000:] += 60
    mask = np.isfinite(activity).any(axis=1)
    return SessionContents(
        activity=activity,
        timestamps=times,
        frame_mask=mask,
        split=split_by_blocks(times, (0.6, 0.2, 0.2), 20, valid=mask, passive=(times[1000], 1e9)),
        neurons=pd.DataFrame({"uuid": list("abcd"), "region": ["VISp"] * 4}),
        metadata={"eid": "e", "source": "simulated", "simulated": True, "unit": "dF/F"},
        scaler={"method": "zscore", "offset": np.zeros(4), "scale": np.ones(4)},
        neuron_mask=np.ones(4, bool),
        covariates=np.stack([times, -times], axis=1).astype(np.float32),
        covariate_names=["time", "minus time"],
    )


@pytest.fixture
def file(contents, tmp_path):
    return write_session_file(tmp_path / "session_e.h5", contents)


@pytest.mark.parametrize("in_memory", [True, False, None])
def test_a_session_file_gives_the_windows_of_its_arrays(file, contents, in_memory):
    data = load_windows(file, 12, 8, in_memory=in_memory)
    arrays = window_data(
        contents.activity,
        contents.timestamps,
        12,
        8,
        split=contents.split,
        covariates=contents.covariates,
    )
    assert np.array_equal(data.split, contents.split)  # the stored gap is wide enough
    for ours, theirs in zip(data.splits, arrays.splits):
        assert torch.equal(ours.starts, theirs.starts)
        for a, b in zip(ours.batches(50), theirs.batches(50)):
            assert torch.equal(a.past, b.past)
            assert torch.equal(a.future_covariates, b.future_covariates)
            assert (a.past_mask is None) == (b.past_mask is None)
    assert data.passive is not None
    assert data.train.has_missing
    assert data.neurons["uuid"].tolist() == list("abcd")
    assert data.covariate_names == ("time", "minus time")
    assert (data.source, data.unit, data.scaler["method"]) == ("simulated", "dF/F", "zscore")
    assert "SIMULATED" in repr(data)


def test_the_hash_is_that_of_the_file(file):
    with h5py.File(file) as stored:
        assert load_windows(file, 12, 8).content_hash == stored["metadata"].attrs["content_hash"]


def test_a_narrow_stored_gap_is_widened_after_the_training_block(file, contents):
    data = load_windows(file, 24, 12)
    assert np.array_equal(data.split == TRAIN, contents.split == TRAIN)
    assert data.validation.segments[0, 0] - data.train.segments[-1, 1] >= 36


def test_a_mapped_file_is_not_read_and_cannot_be_damaged(file):
    data = load_windows(file, 12, 8, in_memory=False)
    before = file.read_bytes()
    data.activity[0, 0] = 99.0
    del data
    assert file.read_bytes() == before


@pytest.mark.parametrize(("free", "mapped"), [(10**9, False), (1200 * 4 * 4, True)])
def test_activity_that_does_not_fit_into_free_memory_is_mapped(file, monkeypatch, free, mapped):
    monkeypatch.setattr("utils.windows.build._free_memory", lambda: free)
    assert isinstance(_stored_activity(SessionFile(file), None), np.memmap) == mapped


@pytest.mark.skipif(sys.platform != "linux", reason="needs files with holes")
def test_a_file_larger_than_all_memory_is_served(tmp_path):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    n_neurons = 50_000
    n_frames = 2 * memory // (4 * n_neurons)
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w") as file:
        _sparse_activity(file, n_frames, n_neurons)
        file["timestamps"] = np.arange(n_frames) / RATE
        split = np.full(n_frames, UNUSED, np.int8)
        for label, start in ((TRAIN, 0), (VALIDATION, 100), (TEST, n_frames - 20)):
            split[start : start + 20] = label
        file["split"] = split
        file["frame_mask"] = split != UNUSED
    data = load_windows(path, 8, 2)
    assert data.activity.nbytes > memory
    assert data.test.batch([10]).future.eq(0).all()


def _sparse_activity(file: h5py.File, n_frames: int, n_neurons: int) -> None:
    """A contiguous data set of zeros that takes no room on disk."""
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((n_frames, n_neurons))
    h5py.h5d.create(file.id, b"activity", h5py.h5t.IEEE_F32LE, space, layout)


def test_free_memory_is_a_plausible_number():
    assert 2**20 < _free_memory() < 2**50


def test_a_compressed_file_of_another_program_is_read_as_a_whole(file, contents, tmp_path):
    other = tmp_path / "compressed.h5"
    with h5py.File(file) as stored, h5py.File(other, "w") as copy:
        copy.create_dataset("activity", data=stored["activity"][...], compression="gzip")
        for name in ("timestamps", "split"):
            copy[name] = stored[name][...]
    data = load_windows(other, 12, 8, in_memory=False)
    np.testing.assert_array_equal(data.activity, contents.activity)
    assert data.neurons["uuid"].tolist() == ["0", "1", "2", "3"]
    assert data.covariates is data.scaler is None
    assert len(data.content_hash) == 64


def test_a_file_without_split_says_what_to_do(tmp_path):
    activity, times = recording()
    path = save_activity_matrix(tmp_path / "v1.h5", activity, times, {"eid": "e"})
    with pytest.raises(SessionError, match=r"no /split.*window_data"):
        load_windows(path)


def test_a_file_shorter_than_a_window_names_file_and_lengths(file):
    with pytest.raises(ValueError, match=r"session_e\.h5: recording too short.*400 \+ 200 = 600"):
        load_windows(file, 400, 200)
    with pytest.raises(ValueError, match="context must be"):
        load_windows(file, -1, 200)
