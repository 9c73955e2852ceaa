"""Counts per bin and channel: those of the official loader, borders and silence included."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.datasets.shd import SpikeBatch, SpokenDigits, read_shd
from utils.datasets.shd.batches import BinnedDigits, bin_digits, bin_edges
from utils.datasets.shd.files import TEST_FILE, TRAIN_FILE
from utils.datasets.shd.module import random_pairs


def assert_official(batch: SpikeBatch, values, name, n_bins):
    counts = batch.dense().numpy()
    places = np.argwhere(counts)
    assert counts.shape == (len(batch.labels), n_bins, 700)
    assert np.array_equal(places, values[f"{name}:nz"])
    assert np.array_equal(counts[tuple(places.T)], values[f"{name}:vals"])
    assert np.array_equal(batch.labels, values[f"{name}:y"])


@pytest.mark.reference
@pytest.mark.parametrize("bin_ms", [2, 10, 25, 100])
def test_counts_and_labels_are_those_of_the_official_loader(official, bin_ms):
    digits, values = official
    binned = bin_digits(digits, bin_ms)
    for number in range(3):
        records = torch.arange(8 * number, 8 * number + 8)[:, None]
        n_bins = values[f"shd:{bin_ms}:T"]
        assert_official(binned.batch(records), values, f"shd:{bin_ms}:{number}", n_bins)


@pytest.mark.reference
@pytest.mark.parametrize("bin_ms", [10, 100])
def test_pairs_and_their_sums_are_those_of_the_official_loader(official, bin_ms):
    digits, values = official
    binned = bin_digits(digits, bin_ms)
    pairs = torch.from_numpy(random_pairs(len(digits), 8, seed=0, block=4))
    for number in range(2):
        batch = binned.batch(pairs[4 * number : 4 * number + 4])
        assert_official(batch, values, f"add:{bin_ms}:{number}", values[f"add:{bin_ms}:T"])


def one_record(times, units=None) -> SpokenDigits:
    times = np.asarray(times)
    units = np.zeros(len(times), np.uint16) if units is None else np.asarray(units, np.uint16)
    return SpokenDigits(times, units, np.array([0, len(times)]), np.array([3]), "unknown")


def test_a_spike_on_a_border_counts_for_the_later_bin_and_a_late_one_for_none():
    edges = bin_edges(10)
    times = [0.0, edges[1], np.nextafter(edges[1], 0), edges[99], np.nextafter(1.0, 0), 1.0, 1.3]
    counts = bin_digits(one_record(times), 10).batch(torch.tensor([[0]])).dense()[0, :, 0]
    assert counts[[0, 1, 99]].tolist() == [2, 1, 2]
    assert counts.sum() == 5


def test_a_bin_that_does_not_divide_a_second_reaches_beyond_it():
    edges = bin_edges(30)
    assert len(edges) - 1 == 34
    binned = bin_digits(one_record([1.001, 1.019, 1.021]), 30)
    assert binned.batch(torch.tensor([[0]])).dense()[0, 33, 0] == 2


@pytest.mark.parametrize(
    "bin_ms", [1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500, 1000]
)
def test_bins_that_divide_a_second_fill_it(bin_ms):
    assert len(bin_edges(bin_ms)) - 1 == 1000 // bin_ms


@pytest.mark.parametrize("bin_ms", [0, -1, 1001])
def test_bins_that_do_not_fit_are_refused(bin_ms):
    with pytest.raises(ValueError, match=r"bin_ms must lie in 0 .. 1000 ms"):
        bin_edges(bin_ms)


def test_spikes_of_a_channel_in_a_bin_are_one_event_with_their_number():
    binned = bin_digits(one_record([0.001, 0.002, 0.003, 0.5], [7, 7, 2, 7]), 100)
    batch = binned.batch(torch.tensor([[0]]))
    assert batch.idx.tolist() == [2, 7, 7]
    assert batch.val.tolist() == [1, 2, 1]
    assert batch.ptr.tolist() == [[0, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]]


def test_counts_equal_a_plain_histogram(folder):
    digits = read_shd(folder / TEST_FILE)
    dense = bin_digits(digits, 20).batch(torch.arange(len(digits))[:, None]).dense().numpy()
    for record in range(len(digits)):
        times, units = digits.record(record)
        within = times < 1
        expected = np.histogram2d(
            times[within].astype(float), units[within], [bin_edges(20), np.arange(701)]
        )[0]
        assert np.array_equal(dense[record], expected)


def test_totals_are_the_counts_of_all_bins(folder):
    binned = bin_digits(read_shd(folder / TEST_FILE), 50)
    for examples in (torch.arange(len(binned))[:, None], torch.tensor([[0, 1], [3, 3]])):
        dense = binned.batch(examples).dense()
        assert torch.equal(binned.totals(examples), dense.sum(dim=1).long())


def test_a_record_without_spikes_has_no_events():
    empty = SpokenDigits(
        np.array([0.5]), np.array([9]), np.array([0, 0, 1, 1]), np.arange(3), "unknown"
    )
    batch = bin_digits(empty, 100).batch(torch.arange(3)[:, None])
    assert batch.ptr[0].tolist() == [0] * 11
    assert batch.dense().sum(dim=(1, 2)).tolist() == [0, 1, 0]


def test_digits_of_a_pair_follow_one_another_and_add_up_in_any_language(folder):
    binned = bin_digits(read_shd(folder / TEST_FILE), 25)
    pairs = torch.tensor([[0, 1], [2, 2]])
    both = binned.batch(pairs)
    apart = binned.batch(pairs.reshape(-1, 1))
    assert torch.equal(both.dense(), apart.dense().reshape(2, 80, 700))
    assert torch.equal(both.labels, (apart.labels % 10).reshape(2, 2).sum(1))


def test_binned_digits_are_smaller_than_what_they_are_made_of(folder):
    digits = read_shd(folder / TRAIN_FILE)
    binned = bin_digits(digits, 10)
    assert isinstance(binned, BinnedDigits)
    assert binned.idx.nbytes + binned.val.nbytes <= digits.times.nbytes + digits.units.nbytes
