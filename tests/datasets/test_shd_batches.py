"""Batches of SHD and SHD-Adding: the official counts, no leak into the test, any worker."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.datasets import SHDAddingDataModule, SHDDataModule, read_shd, write_shd_like
from utils.datasets.shd import TEST_FILE, TRAIN_FILE, SpokenDigits
from utils.datasets.shd_batches import (
    BinnedDigits,
    SpikeBatch,
    bin_digits,
    bin_edges,
    random_pairs,
    validation_records,
)

PAIRS = dict(train_pairs=50, validation_pairs=20, test_pairs=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_shd_like(tmp_path_factory.mktemp("shd"), n_train=60, n_test=40)


@pytest.fixture(scope="module")
def module(folder):
    return SHDDataModule(folder, bin_ms=25, batch_size=16)


@pytest.fixture(scope="module")
def adding(folder):
    return SHDAddingDataModule(folder, bin_ms=25, batch_size=16, **PAIRS)


@pytest.fixture(scope="module")
def official(reference):
    """The tiny file, and what the official loader made of it."""
    values = np.load(reference / "elm" / "shd_expected.npz")
    return read_shd(reference / "elm" / "shd_synth.h5"), dict(values)


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


@pytest.mark.reference
def test_the_validation_records_are_the_official_ones(official):
    digits, values = official
    held_out = validation_records(len(digits), 0.2, seed=0)
    assert np.array_equal(digits.labels[~held_out], values["split_train_y"])
    assert np.array_equal(digits.labels[held_out], values["split_valid_y"])


def test_the_split_of_the_published_file_has_the_published_numbers_of_batches():
    held_out = validation_records(8156, 0.2, seed=0).sum()
    assert (held_out // 8, (8156 - held_out) // 8) == (205, 814)


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


def test_a_record_without_spikes_has_no_events():
    empty = SpokenDigits(
        np.array([0.5]), np.array([9]), np.array([0, 0, 1, 1]), np.arange(3), "unknown"
    )
    batch = bin_digits(empty, 100).batch(torch.arange(3)[:, None])
    assert batch.ptr[0].tolist() == [0] * 11
    assert batch.dense().sum(dim=(1, 2)).tolist() == [0, 1, 0]


def test_digits_of_a_pair_follow_one_another_and_add_up_in_any_language(adding):
    binned = adding.digits
    pairs = torch.tensor([[0, 1], [2, 2]])
    both = binned.batch(pairs)
    apart = binned.batch(pairs.reshape(-1, 1))
    assert torch.equal(both.dense(), apart.dense().reshape(2, 80, 700))
    assert torch.equal(both.labels, (apart.labels % 10).reshape(2, 2).sum(1))


def same(one, other) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


@pytest.mark.parametrize("kind", [SHDDataModule, SHDAddingDataModule])
def test_batches_depend_on_seed_and_epoch_alone(folder, kind):
    options = PAIRS if kind is SHDAddingDataModule else {}

    def passes(seed=0, workers=0):
        made = kind(folder, bin_ms=100, seed=seed, num_workers=workers, **options)
        loader = made.train_dataloader()
        return [list(loader) for _ in range(2)]

    first, second = passes()
    assert not same(first[0], second[0])  # epochs differ
    assert not same(first[0], passes(seed=1)[0][0])
    for workers in (1, 2):
        for ours, theirs in zip((first, second), passes(workers=workers)):
            assert len(ours) == len(theirs)
            assert all(map(same, ours, theirs))


def test_an_epoch_can_be_chosen_as_after_a_resume(module):
    loader = module.train_dataloader()
    passes = [list(loader) for _ in range(3)]
    again = module.train_dataloader()
    again.sampler.set_epoch(2)
    assert all(map(same, passes[2], again))


def test_a_pass_visits_every_record_once_and_its_last_batch_may_be_small(module):
    for loader, n_records in (
        (module.train_dataloader(), len(module.train_records)),
        (module.val_dataloader(), len(module.validation_records)),
        (module.test_dataloader(), 40),
    ):
        sizes = [len(batch.labels) for batch in loader]
        assert len(loader) == len(sizes)
        assert sum(sizes) == n_records
        assert sizes[:-1] == [16] * (len(sizes) - 1)
    assert n_records % 16


def test_the_order_of_training_holds_each_record(module):
    for epoch in range(2):
        assert sorted(module.train_examples(epoch)[:, 0]) == sorted(module.train_records)


def test_validation_comes_from_the_training_file_and_nothing_else_does(module, adding):
    for made in (module, adding):
        train, held_out = set(made.train_records), set(made.validation_records)
        assert train.isdisjoint(held_out)
        assert train | held_out == set(range(60))
    assert set(adding.train_examples(0).flat) <= set(adding.train_records)
    assert set(adding.validation_examples().flat) <= set(adding.validation_records)


def test_training_works_without_a_test_file(tmp_path, folder):
    (tmp_path / TRAIN_FILE).write_bytes((folder / TRAIN_FILE).read_bytes())
    module = SHDDataModule(tmp_path, bin_ms=100)
    assert len(list(module.val_dataloader())) > 0
    with pytest.raises(FileNotFoundError, match=r"shd_test.h5"):
        module.test_dataloader()


def test_pairs_to_compare_by_are_the_same_for_any_seed_and_batch_size(folder, adding):
    other = SHDAddingDataModule(folder, bin_ms=25, batch_size=7, seed=5, **PAIRS)
    assert np.array_equal(other.test_examples(), adding.test_examples())
    assert len(adding.test_examples()) == 30
    assert len(adding.validation_examples()) == 20
    assert adding.train_examples(0).shape == (50, 2)
    assert not np.array_equal(adding.train_examples(0), adding.train_examples(1))
    first, second = (list(adding.val_dataloader()) for _ in range(2))
    assert all(map(same, first, second))


def test_dense_batches_hold_the_same_counts(folder, module):
    dense = SHDDataModule(folder, bin_ms=25, batch_size=16, dense=True)
    for (counts, labels), batch in zip(dense.val_dataloader(), module.val_dataloader()):
        assert torch.equal(counts, batch.dense())
        assert torch.equal(labels, batch.labels)


def test_events_are_what_networks_take(module, adding):
    for made, n_bins, n_classes in ((module, 40, 20), (adding, 80, 19)):
        batch = next(iter(made.train_dataloader()))
        assert (batch.idx.dtype, batch.ptr.dtype, batch.val.dtype) == (
            torch.int64,
            torch.int64,
            torch.float32,
        )
        assert batch.ptr.shape == (16, n_bins + 1)
        assert batch.ptr.is_contiguous()
        assert batch.ptr[-1, -1] == len(batch.idx) == len(batch.val)
        assert batch.labels.max() < n_classes == made.n_classes


def test_the_folder_is_that_of_downloads_unless_given(data_home):
    with pytest.raises(FileNotFoundError, match=str(data_home / "shd" / TRAIN_FILE)):
        SHDDataModule()


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"validation_fraction": 0.0}])
def test_settings_that_make_no_sense_are_refused(folder, options):
    with pytest.raises(ValueError, match=r"must be >= 1, and validation_fraction .* between"):
        SHDDataModule(folder, **options)


def test_a_split_without_records_is_refused(tmp_path):
    folder = write_shd_like(tmp_path, n_train=20, n_test=20)
    with pytest.raises(
        ValueError, match=r"20 records with validation_fraction 0.001 leave nothing"
    ):
        SHDDataModule(folder, validation_fraction=0.001)


def test_binned_digits_are_smaller_than_what_they_are_made_of(folder):
    digits = read_shd(folder / TRAIN_FILE)
    binned = bin_digits(digits, 10)
    assert isinstance(binned, BinnedDigits)
    assert binned.idx.nbytes + binned.val.nbytes <= digits.times.nbytes + digits.units.nbytes
