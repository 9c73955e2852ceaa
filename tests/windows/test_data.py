"""Windows and batches: right frames, own memory, no border crossed, masks, reprs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.splits import PASSIVE, TEST, TRAIN, UNUSED, VALIDATION
from utils.windows import WindowBatch, window_data
from utils.windows.gather import gather_windows
from utils.windows.memory import BatchMemory

RATE = 5.0


def recording(n_frames: int = 600, n_neurons: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_frames, n_neurons)).astype(np.float32), np.arange(n_frames) / RATE


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 40), st.integers(1, 9), st.integers(0, 40), st.integers(0, 9)
)
def test_gathered_windows_are_slices(context, horizon, n_columns, n_more, n_windows):
    n_frames = context + horizon + n_more
    values = torch.randn(n_frames, n_columns)
    starts = torch.randint(0, n_more + 1, (n_windows,))
    past, future, *masks = gather_windows(values, starts, context, horizon, BatchMemory())
    assert masks == [None, None]
    assert past.shape == (n_windows, context, n_columns)
    assert future.shape == (n_windows, horizon, n_columns)
    for i, start in enumerate(starts.tolist()):
        assert torch.equal(past[i], values[start : start + context])
        assert torch.equal(future[i], values[start + context : start + context + horizon])


@pytest.mark.parametrize("n_columns", [1000, 40_000])
def test_gathered_windows_are_slices_for_many_neurons(n_columns):
    values = torch.randn(40, n_columns)
    past, future, *_ = gather_windows(values, torch.tensor([3, 0]), 24, 7, BatchMemory())
    assert torch.equal(past, torch.stack([values[3:27], values[:24]]))
    assert torch.equal(future, torch.stack([values[27:34], values[24:31]]))
    assert past.is_contiguous()
    assert future.is_contiguous()


def test_a_batch_holds_the_frames_that_follow_its_starts():
    activity, times = recording()
    covariates = np.stack([times, times**2], axis=1)
    data = window_data(activity, times, 10, 3, covariates=covariates, covariate_names=["t", "t2"])
    batch = data.validation.batch([4, 0, 4])
    assert len(batch) == 3
    assert batch.starts.tolist() == data.validation.starts[[4, 0, 4]].tolist()
    for i, start in enumerate(batch.starts.tolist()):
        assert np.array_equal(batch.past[i], activity[start : start + 10])
        assert np.array_equal(batch.future[i], activity[start + 10 : start + 13])
        assert np.allclose(batch.past_covariates[i], covariates[start : start + 10])
        assert np.allclose(batch.future_covariates[i], covariates[start + 10 : start + 13])
    assert batch.past_mask is batch.future_mask is batch.past_covariate_mask is None


def test_without_covariates_there_are_none():
    batch = window_data(*recording(), 10, 3).train.batch([0])
    assert batch.past_covariates is batch.future_covariates is None


def test_a_batch_is_safe_to_keep():
    activity, times = recording()
    data = window_data(activity, times, 10, 3)
    kept = [batch for _, batch in zip(range(5), data.train.batches(16))]
    copies = [batch.past.clone() for batch in kept]
    for _ in data.train.batches(16, shuffle=True):
        pass
    assert all(torch.equal(batch.past, copy) for batch, copy in zip(kept, copies))
    before = activity.copy()
    kept[0].past.zero_()
    assert np.array_equal(activity, before)
    assert torch.equal(kept[1].past, copies[1])


def test_float32_activity_is_a_view_and_float64_is_converted():
    activity, times = recording()
    assert np.shares_memory(window_data(activity, times, 10, 3).activity.numpy(), activity)
    tensor = torch.from_numpy(activity)
    assert window_data(tensor, times, 10, 3).activity.data_ptr() == tensor.data_ptr()
    converted = window_data(activity.astype(np.float64), times, 10, 3).activity
    assert converted.dtype == torch.float32
    assert np.array_equal(converted, activity)
    transposed = window_data(np.asfortranarray(activity), times, 10, 3)
    assert torch.equal(transposed.train.batch([5]).past, converted[5:15][None])


def test_read_only_activity_is_used_without_a_copy_or_a_warning():
    activity, times = recording()
    activity.flags.writeable = False
    assert np.shares_memory(window_data(activity, times, 10, 3).activity.numpy(), activity)


def test_no_window_crosses_a_hole_a_bad_frame_or_a_border():
    activity, times = recording(900)
    times[200:] += 30.0
    mask = np.ones(900, bool)
    mask[120] = False
    activity[400] = np.nan
    data = window_data(activity, times, 10, 3, frame_mask=mask)
    passed = np.zeros(900, bool)
    for block, label in ((data.train, TRAIN), (data.validation, VALIDATION), (data.test, TEST)):
        for start in block.starts.tolist():
            inside = slice(start, start + 13)
            assert (data.split[inside] == label).all()
            assert np.diff(times[inside]).max() < 1
            assert mask[inside].all()
            assert np.isfinite(activity[inside]).all()
            passed[inside] = True
    # ... and none that fits is left out: only bad and unused frames are never served.
    assert np.flatnonzero(~passed).tolist() == [120, 400, *np.flatnonzero(data.split == UNUSED)]


@pytest.mark.parametrize("seed", range(5))
def test_contexts_reach_back_into_earlier_blocks_and_nowhere_else(seed):
    rng = np.random.default_rng(seed)
    activity, times = recording(900)
    split = np.full(900, UNUSED, np.int8)
    borders = np.sort(rng.choice(np.arange(20, 880), 7, replace=False))
    order = (TRAIN, PASSIVE, UNUSED, VALIDATION, TEST, TRAIN, TEST, VALIDATION)
    for label, frames in zip(order, np.split(np.arange(900), borders)):
        split[frames] = label
    split[:40], split[-40:-20], split[-20:] = TRAIN, VALIDATION, TEST  # each holds a window
    mask = rng.random(900) > 0.01
    times[int(rng.integers(100, 800)) :] += 30.0
    data = window_data(activity, times, 10, 3, split=split, frame_mask=mask, reach_back=True)
    assert np.array_equal(data.split, split)  # no gap is made
    sound = mask & (np.diff(times, prepend=times[0]) < 1)
    for label, block in ((TRAIN, data.train), (VALIDATION, data.validation), (TEST, data.test)):
        expected = [
            start
            for start in range(900 - 12)
            if (split[start + 10 : start + 13] == label).all()
            and (split[start : start + 10] <= label).all()
            and mask[start]
            and sound[start + 1 : start + 13].all()
        ]
        assert block.starts.tolist() == expected
        own = np.concatenate([np.arange(*segment) for segment in block.segments])
        assert np.array_equal(own, np.flatnonzero(mask & (split == label)))


def test_without_holes_every_frame_of_a_later_block_is_forecast():
    activity, times = recording()
    data = window_data(activity, times, 10, 3, reach_back=True)
    assert np.array_equal(data.split, np.repeat([TRAIN, VALIDATION, TEST], [420, 60, 120]))
    assert (len(data.train), len(data.validation), len(data.test)) == (408, 58, 118)
    assert data.validation.starts[0] == 410
    assert data.validation.n_frames == 60  # its own: what a context borrows does not count
    assert "contexts reach back" in repr(data)


def test_missing_values_before_a_block_are_masked_in_the_contexts_that_reach_them():
    activity, times = recording()
    activity[412, 1] = np.nan
    covariates = np.ones((600, 1))
    covariates[418] = np.nan
    data = window_data(activity, times, 10, 3, covariates=covariates, reach_back=True)
    batch = data.validation.batch([0])
    assert np.argwhere(~batch.past_mask[0].numpy()).tolist() == [[2, 1]]
    assert np.argwhere(~batch.past_covariate_mask[0].numpy()).tolist() == [[8, 0]]
    assert batch.past[0, 2, 1] == batch.past_covariates[0, 8, 0] == 0
    assert data.test.batch([0]).past_mask is None


def test_missing_values_arrive_as_zero_with_a_mask():
    activity, times = recording()
    activity[30, 2] = activity[41, 0] = np.nan
    covariates = np.ones((600, 2))
    covariates[33, 1] = np.nan
    data = window_data(activity, times, 10, 3, covariates=covariates)
    batch = data.train.batch([29])
    measured = np.isfinite(activity[29:42])
    assert np.array_equal(batch.past_mask[0], measured[:10])
    assert np.array_equal(batch.future_mask[0], measured[10:])
    assert np.array_equal(batch.past[0], np.nan_to_num(activity[29:39]))
    assert np.array_equal(batch.future[0], np.nan_to_num(activity[39:42]))
    assert batch.past_covariates[0, 4].tolist() == [1, 0]
    assert batch.past_covariate_mask[0, 4].tolist() == [True, False]
    assert batch.future_covariate_mask.all()
    assert data.activity[30, 2].isnan()  # the store keeps what is missing
    # Blocks in which nothing is missing carry no masks.
    assert data.test.batch([0]).past_mask is data.test.batch([0]).past_covariate_mask is None


def test_masks_of_large_batches_that_threads_share():
    activity, times = recording(2000, 300)
    activity[np.random.default_rng(1).random(activity.shape) < 0.01] = np.nan
    data = window_data(activity, times, 40, 8)
    for _, batch in zip(range(5), data.train.batches(100, shuffle=True)):
        truth = np.stack([activity[s : s + 48] for s in batch.starts.tolist()])
        values = torch.cat([batch.past, batch.future], dim=1)
        masks = torch.cat([batch.past_mask, batch.future_mask], dim=1)
        assert np.array_equal(masks, np.isfinite(truth))
        assert np.array_equal(values, np.nan_to_num(truth))


def test_the_search_for_missing_values_happens_once(monkeypatch):
    data = window_data(*recording(), 10, 3)
    assert not data.train.has_missing
    monkeypatch.setattr("utils.windows.data.has_nan", lambda *_: pytest.fail("looked again"))
    assert not data.train.has_missing
    list(data.train.batches(64))


def test_batches_serve_every_window_once_in_order_or_shuffled():
    data = window_data(*recording(), 10, 3)

    def order(**settings):
        batches = list(data.train.batches(32, **settings))
        assert all(len(batch) == 32 for batch in batches[:-1])
        return torch.cat([batch.starts for batch in batches]).tolist()

    assert order() == data.train.starts.tolist()
    shuffled = order(shuffle=True, generator=torch.Generator().manual_seed(1))
    assert shuffled == order(shuffle=True, generator=torch.Generator().manual_seed(1))
    assert shuffled != order(shuffle=True, generator=torch.Generator().manual_seed(2))
    assert sorted(shuffled) == order()
    assert order(stride=7) == data.train.starts[::7].tolist()


def test_window_numbers_outside_the_block_are_an_error():
    data = window_data(*recording(), 10, 3)
    with pytest.raises(IndexError):
        data.test.batch([len(data.test)])


def test_a_batch_moves_to_a_device_with_what_it_lacks():
    batch = window_data(*recording(), 10, 3).train.batch([0, 1]).to("meta")
    assert isinstance(batch, WindowBatch)
    assert batch.past.device.type == "meta"
    assert batch.past_mask is None


def test_passive_windows_are_a_block_of_their_own():
    activity, times = recording()
    split = np.repeat([TRAIN, VALIDATION, TEST, PASSIVE], 150).astype(np.int8)
    data = window_data(activity, times, 10, 3, split=split)
    assert data.passive.name == "passive"
    assert data.passive.starts.min() == 450 + 13
    assert [block.name for block in data.splits] == ["train", "validation", "test", "passive"]
    split[450:] = UNUSED
    assert window_data(activity, times, 10, 3, split=split).passive is None


def test_reprs_show_shapes_units_rate_minutes_and_n():
    activity, times = recording(3600)
    split = np.repeat([TRAIN, VALIDATION, TEST, PASSIVE], [2400, 300, 600, 300]).astype(np.int8)
    data = window_data(
        activity,
        times,
        covariates=np.ones((3600, 2)),
        split=split,
        source="simulated",
        unit="dF/F",
    )
    assert repr(data) == (
        "WindowData(simulated) SIMULATED: 3,600 frames x 4 neurons [dF/F] at 5.00 Hz\n"
        "  window: 48 -> 16 frames (9.6 s -> 3.2 s), 2 covariates\n"
        "  train         8.0 min  n = 2,337 windows in 1 segment\n"
        "  validation    0.8 min  n = 173 windows in 1 segment\n"
        "  test          1.8 min  n = 473 windows in 1 segment\n"
        "  passive       0.8 min  n = 173 windows in 1 segment"
    )
    assert repr(data.test) == "WindowSplit(test: 473 windows, 1.8 min in 1 segment)"
    plain = repr(window_data(activity, times))
    assert plain.startswith("WindowData(unknown): 3,600 frames x 4 neurons at 5.00 Hz")
    hourly = repr(window_data(activity, np.arange(3600) * 3600))
    assert hourly.startswith("WindowData(unknown): 3,600 frames x 4 neurons every 3600 s")


def test_content_hash_follows_activity_clock_and_split():
    activity, times = recording()
    first = window_data(activity, times, 10, 3).content_hash
    assert window_data(activity.copy(), times, 10, 3).content_hash == first
    assert window_data(activity + 1, times, 10, 3).content_hash != first
    assert window_data(activity, times + 1, 10, 3).content_hash != first
    assert window_data(activity, times, 10, 3, (0.6, 0.2, 0.2)).content_hash != first
