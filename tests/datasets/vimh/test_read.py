"""Reading: views of mapped files, nothing written, both variants, keys that may be missing."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from utils.datasets.vimh import VIMHError, read_vimh
from utils.datasets.vimh.metadata import INFO


def listing(folder):
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def same_records(one, other):
    return all(
        np.array_equal(getattr(one, part).records, getattr(other, part).records)
        for part in ("train", "test")
    )


def test_images_and_scale_are_views_of_the_mapped_file(folder):
    train = read_vimh(folder).train
    assert isinstance(train.records, np.memmap)
    assert np.shares_memory(train.images, train.records)
    assert np.shares_memory(train.scale, train.records)
    with pytest.raises(ValueError, match="read-only"):
        train.images[0] = 0


def test_a_data_set_reads_as_it_was_written(folder, small):
    read = read_vimh(folder)
    assert same_records(read, small)
    assert read.metadata == small.metadata
    assert read.parameters == small.parameters
    assert read.image_shape == small.train.images.shape[1:]
    assert (len(read.train), len(read.test), read.folder) == (8, 2, folder)
    assert repr(read) == "VIMH(8 + 2 images 2x4x6; cutoff (19), level (17), tone (4))"


def test_reading_writes_nothing(folder):
    before = listing(folder)
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        data = read_vimh(folder)
        assert data.train.labels
        assert data.test.values
        assert listing(folder) == before
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_pickled_variant_is_read_where_there_is_no_binary_one(folder, small, part):
    (folder / part).unlink()
    assert same_records(read_vimh(folder), small)


def test_a_binary_file_goes_before_a_pickled_one(folder, small):
    (folder / "train_batch").write_bytes(b"no pickle")
    assert same_records(read_vimh(folder), small)


def test_a_missing_part_is_named(folder):
    (folder / "test").unlink()
    (folder / "test_batch").unlink()
    with pytest.raises(FileNotFoundError, match=r"test nor .*test_batch exists"):
        read_vimh(folder)
    with pytest.raises(FileNotFoundError, match=INFO):
        read_vimh(folder / "nowhere")


NEEDED = {"height", "width", "channels", "parameter_names", "parameter_mappings"}


def test_keys_that_the_records_do_not_need_may_be_missing(folder, small):
    metadata = {key: small.metadata[key] for key in NEEDED}
    (folder / INFO).write_text(json.dumps(metadata))
    assert same_records(read_vimh(folder), small)


@pytest.mark.parametrize("key", sorted(NEEDED))
def test_keys_that_are_needed_are_asked_for(folder, edit, key):
    edit(**{key: None})
    with pytest.raises(VIMHError, match=f"{INFO}.*'{key}' should be .*found nothing"):
        read_vimh(folder)


def test_unknown_keys_are_kept(folder, edit):
    edit(comment={"by": "me"}, parameter_mappings__tone__scale="linear")
    metadata = read_vimh(folder).metadata
    assert metadata["comment"] == {"by": "me"}
    assert metadata["parameter_mappings"]["tone"]["scale"] == "linear"


@pytest.mark.parametrize("name", ["copy", "vimh-mine", "vimh-4x6x2", f"vimh-4x6x2{'_x' * 3}"])
def test_a_folder_may_have_another_name(folder, small, name):
    assert same_records(read_vimh(folder.rename(folder.with_name(name))), small)


def test_parameters_may_stand_in_another_order_in_a_record(folder, small):
    swapped = np.array(small.train.records)
    swapped["labels"][::2] = swapped["labels"][::2, [2, 0, 1]]
    swapped.tofile(folder / "train")
    train = read_vimh(folder).train
    assert np.array_equal(train.codes, small.train.codes)
    assert np.array_equal(train.records, swapped)


def test_one_sample_leaves_the_training_part_empty(folder, edit, small):
    (folder / "train").write_bytes(b"")
    small.test.records[:1].tofile(folder / "test")
    edit(train_samples=0, test_samples=1, total_samples=1, n_samples=1)
    edit(dataset_name="vimh-4x6x2_8000Hz_1p5s_1dss_simple_3p")
    read = read_vimh(folder.rename(folder.with_name("one")))
    assert read.train.images.shape == (0, 2, 4, 6)
    assert read.train.labels["tone"].shape == (0,)
    assert len(read.test) == 1


@pytest.mark.skipif(os.name == "nt", reason="opens files by another name")
def test_a_folder_is_read_through_a_link(folder, small, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert same_records(read_vimh(link), small)
