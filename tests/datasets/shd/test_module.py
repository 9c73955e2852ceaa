"""Loaders of SHD and SHD-Adding: reproducible for any number of workers, the test unseen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.datasets.shd import SHDAddingDataModule, SHDDataModule, write_shd_like
from utils.datasets.shd.files import TRAIN_FILE
from utils.datasets.shd.module import validation_records

PAIRS = dict(train_pairs=50, validation_pairs=20, test_pairs=30)


@pytest.fixture(scope="module")
def module(folder):
    return SHDDataModule(folder, bin_ms=25, batch_size=16)


@pytest.fixture(scope="module")
def adding(folder):
    return SHDAddingDataModule(folder, bin_ms=25, batch_size=16, **PAIRS)


@pytest.mark.reference
def test_the_validation_records_are_the_official_ones(official):
    digits, values = official
    held_out = validation_records(len(digits), 0.2, seed=0)
    assert np.array_equal(digits.labels[~held_out], values["split_train_y"])
    assert np.array_equal(digits.labels[held_out], values["split_valid_y"])


def test_the_split_of_the_published_file_has_the_published_numbers_of_batches():
    held_out = validation_records(8156, 0.2, seed=0).sum()
    assert (held_out // 8, (8156 - held_out) // 8) == (205, 814)


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
