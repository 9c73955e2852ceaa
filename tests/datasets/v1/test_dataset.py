"""Which bins a twin sees, predicts and is scored on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from utils.config import ConfigError
from utils.datasets.v1 import (
    V1DatasetConfig,
    as_recording,
    describe_recordings,
    prepare_dataset,
    write_recording,
)
from utils.datasets.v1.sequences import index_sequences, run_lengths
from utils.splits import TEST, TRAIN, VALIDATION

N_LAGS = 8


def prepared(recording, statistics=None, **settings):
    settings = {"n_lags": N_LAGS, "behavior": [], **settings}
    (config,) = describe_recordings([as_recording(recording)], **settings)
    return prepare_dataset(config, recording, statistics)


def test_sequences_hold_each_bin_with_its_lags_once():
    trials = np.array([[0, 30], [30, 37], [37, 45], [45, 100]])
    index = index_sequences(trials, N_LAGS, n_bins=10)
    bins = index.bins[index.bins >= 0]
    np.testing.assert_array_equal(np.sort(bins), np.r_[7:30, 44, 52:100])
    assert index.counts.tolist() == [8, 7, 8, 1, 10, 9, 10, 9, 10]
    assert (index.bins[1] == [*range(15, 22), -1, -1, -1]).all()


def test_run_lengths_start_anew_at_holes_and_trials():
    good = np.array([1, 1, 0, 1, 1, 1, 0, 1], bool)
    trials = np.array([[0, 5], [5, 6], [6, 8]])
    assert run_lengths(good, trials).tolist() == [1, 2, 0, 1, 2, 1, 0, 1]


def test_a_bin_counts_where_all_its_lags_are_in_its_trial_and_usable(make_recording):
    eyepos = make_recording()["eyepos"]
    eyepos[40] = np.nan  # in the trial from 30 to 55
    valid = np.ones((180, 3), bool)
    valid[100, 1] = False  # one cell: the frame can be used
    valid[110] = False  # all cells: it cannot
    data = prepared(make_recording(eyepos=eyepos, valid=valid), behavior=[{}])
    borders = np.cumsum([0, 30, 25, 40, 30, 35, 20])
    expected = np.zeros((180, 3), bool)
    for start, stop in pairwise(borders):
        expected[start + N_LAGS - 1 : stop] = True
    expected[40 : 40 + N_LAGS] = expected[110 : 110 + N_LAGS] = expected[100, 1] = False
    np.testing.assert_array_equal(data.counts, expected)
    blind = prepared(make_recording(eyepos=eyepos, valid=valid))
    assert blind.counts[40:48].all()  # who does not use the eyes need not know them


def test_sequences_are_slices_of_the_recording(make_recording):
    recording = make_recording(robs=np.random.default_rng(0).normal(size=(180, 3)))
    data = prepared(recording, behavior=[{}])
    index = data.sequences(TRAIN, 12)
    sequences = data.gather(index)
    length = N_LAGS - 1 + 12
    assert sequences.stimulus.shape == (len(index.firsts), length, 7, 9)
    assert sequences.stimulus.dtype == torch.uint8
    assert sequences.behavior.shape == (len(index.firsts), length, 2)
    assert sequences.mask.shape == (len(index.firsts), 12, 3)
    for i, (first, count) in enumerate(zip(index.firsts, index.counts)):
        frames = slice(first - N_LAGS + 1, first + count)
        n = N_LAGS - 1 + count
        np.testing.assert_array_equal(sequences.stimulus[i, :n], recording["stim"][frames])
        np.testing.assert_array_equal(sequences.behavior[i, :n], recording["eyepos"][frames])
        np.testing.assert_allclose(sequences.responses[i, :n], recording["robs"][frames], rtol=1e-6)
        assert (sequences.stimulus[i, n:] == 127).all()
        assert not sequences.responses[i, n:].any()
        assert sequences.mask[i, :count].all()
        assert not sequences.mask[i, count:].any()


def test_a_sequence_of_one_bin_is_that_bin_with_its_lags(make_recording):
    recording = make_recording()
    data = prepared(recording)
    index = data.sequences(None, 1)
    frames = np.lib.stride_tricks.sliding_window_view(recording["stim"], N_LAGS, axis=0)
    windows = frames[index.firsts - N_LAGS + 1].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(data.gather(index).stimulus, windows)


def test_splits_share_no_bin(make_recording):
    data = prepared(make_recording([20] * 30))
    bins = [set(data.sequences(label, 5).bins.ravel()) - {-1} for label in (0, 1, 2)]
    assert all(bins)
    assert not bins[0] & bins[1] | bins[0] & bins[2] | bins[1] & bins[2]
    counted = sum(data.counted(label) for label in (TRAIN, VALIDATION, TEST))
    np.testing.assert_array_equal(counted, data.counts)


def test_one_column_of_validity_means_the_same_as_one_for_each_cell(make_recording):
    valid = np.random.default_rng(1).random((180, 1)) > 0.03
    one = prepared(make_recording(valid=valid))
    flat = prepared(make_recording(valid=valid[:, 0]))
    each = prepared(make_recording(valid=np.repeat(valid, 3, axis=1)))
    for data in (flat, each):
        np.testing.assert_array_equal(data.counts, one.counts)
        for a, b in zip(data.gather(data.sequences(TRAIN, 9)), one.gather(one.sequences(TRAIN, 9))):
            assert a is b is None or torch.equal(a, b)


def test_cells_come_in_the_order_of_the_configuration(make_recording):
    recording = make_recording(cell_ids=[7, 5, 9])
    data = prepared(recording, cell_ids=[9, 7])
    np.testing.assert_array_equal(data.responses, recording["robs"][:, [2, 0]])


def test_cells_that_miss_too_much_do_not_count(make_recording, caplog):
    valid = np.ones((180, 3), bool)
    valid[100:, 0] = False  # fades out
    valid[:, 2] = False
    robs = np.where(valid, 1.0, np.nan)
    data = prepared(make_recording(valid=valid, robs=robs))
    np.testing.assert_allclose(data.missing, [80 / 180, 0, 1])
    assert data.counts.any(axis=0).tolist() == [True, True, False]
    assert "1 of 3 cells miss more than 50 % of the bins and do not count: 2 (100 %)" in caplog.text
    assert torch.isfinite(data.gather(data.sequences(None, 9)).responses).all()
    strict = prepared(make_recording(valid=valid, robs=robs), max_missing=0.3)
    assert strict.counts.any(axis=0).tolist() == [False, True, False]


def test_behaviour_crosses_no_trial_and_no_hole(make_recording):
    eyepos = np.zeros((180, 2), np.float32)
    eyepos[30:] = 5  # jumps between trials
    eyepos[40:44] = np.nan
    eyepos[44:55] = 9  # another place after the hole
    eyepos[70, 0] = 6  # one movement and back
    chain = [{"transforms": ["diff", {"type": "raised_cosines", "length": 6}]}]
    behavior = prepared(make_recording(eyepos=eyepos), behavior=chain).behavior
    assert behavior.shape == (180, 20)
    assert np.isfinite(behavior).all()
    moving = np.flatnonzero(behavior.any(axis=1))
    assert moving.min() == 70
    assert moving.max() <= 71 + 5
    assert not behavior[:, 10:].any()


def test_behaviour_looks_back_only(make_recording):
    recording = make_recording()
    before = prepared(recording, behavior=V1DatasetConfig.model_fields["behavior"].default)
    later = {**recording, "eyepos": recording["eyepos"].copy()}
    later["eyepos"][80:] += 3
    after = prepared(later, before.statistics, behavior=before.config.behavior)
    np.testing.assert_array_equal(after.behavior[:80], before.behavior[:80])
    assert (after.behavior[80] != before.behavior[80]).any()
    assert before.behavior.shape == (180, 42)


def test_transformed_frames_do_not_depend_on_where_a_sequence_starts(make_recording):
    chain = ["pixelnorm", {"type": "smooth", "sd": 1}, "diff", "maxnorm", "unsqueeze", "splitrelu"]
    data = prepared(make_recording(), stimulus=chain)
    start, stop = data.trials()[2]
    whole = data.frames(start, stop)
    assert whole.shape == (stop - start, 2, 7, 9)
    for begin in (start, start + 1, start + 3, start + 20):
        np.testing.assert_allclose(data.frames(begin, stop), whole[begin - start :], atol=1e-6)
    train = [data.frames(a, b) for a, b in data.trials(TRAIN)]
    assert max(frames.max() for frames in train) == pytest.approx(1)
    sequences = data.gather(data.sequences(TEST, 5))
    assert sequences.stimulus.shape[2:] == (2, 7, 9)
    assert sequences.stimulus.dtype == torch.float32


def test_statistics_of_another_recording_are_used_as_they_are(make_recording):
    source = [{"transforms": ["maxnorm"]}]
    first = prepared(make_recording(), behavior=source)
    other = make_recording(seed=1)
    second = prepared(other, first.statistics, behavior=source)
    largest = first.statistics["behavior"][0][0]["largest"]
    np.testing.assert_allclose(second.behavior, other["eyepos"] / largest, rtol=1e-6)


def test_a_twin_of_behaviour_alone_gathers_no_frames(make_recording):
    data = prepared(make_recording(stim=None), behavior=[{}])
    assert data.config.stimulus is None
    assert data.gather(data.sequences(TRAIN, 5)).stimulus is None


def test_trials_shorter_than_the_lags_are_left_out(make_recording):
    data = prepared(make_recording([5, 30, 7, 8]))
    assert data.counts.sum(axis=0).tolist() == [23 + 1] * 3
    assert data.gather(data.sequences(None, 30)).mask.shape == (2, 30, 3)


def test_paths_are_found_below_the_data_folder(make_recording, data_home, tmp_path, monkeypatch):
    recording = make_recording()
    arrays = {key: value for key, value in recording.items() if isinstance(value, np.ndarray)}
    metadata = {key: value for key, value in recording.items() if key not in arrays}
    path = write_recording(data_home / "v1" / "noise.h5", arrays, metadata)
    (config,) = describe_recordings([path])
    assert config.path == "v1/noise.h5"
    assert prepare_dataset(config).recording.path == path
    elsewhere = write_recording(tmp_path / "noise.h5", arrays, metadata)
    monkeypatch.chdir(tmp_path)
    (config,) = describe_recordings(["noise.h5"])
    monkeypatch.chdir("/")
    assert prepare_dataset(config).recording.path == elsewhere


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell_ids": [0, 8]}, "cell_ids 8 are not among the 3 cells"),
        ({"grid": [51, 51]}, r"frames are \(7, 9\), the configuration says grid \(51, 51\)"),
        ({"behavior": [{"key": "behavior"}]}, "'behavior', which is not there"),
        ({"behavior": [{"columns": [0, 2]}]}, r"columns \(0, 2\) of 'eyepos', which has 2 columns"),
    ],
)
def test_what_a_recording_lacks_is_named(make_recording, settings, message):
    with pytest.raises(ConfigError, match=f"data set 'noise'.*{message}"):
        prepared(make_recording(), **settings)


def test_missing_frames_are_named(make_recording):
    with pytest.raises(ConfigError, match="the recording has no 'stim'; set stimulus: null"):
        prepared(make_recording(stim=None), stimulus=[])
