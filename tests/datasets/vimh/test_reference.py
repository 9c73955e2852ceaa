"""Data sets of the original generator, against what its own loader returned."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from utils.datasets.vimh import generate_vimh, read_vimh, write_vimh
from utils.datasets.vimh.metadata import INFO, metadata_text

pytestmark = pytest.mark.reference
FILES = ["test", "test_batch", "train", "train_batch", INFO]


@pytest.fixture(params=["binary", "pickle"])
def variant(request, reference_set, tmp_path):
    """The set in one variant alone, and what the original loader made of it."""
    folder = tmp_path / reference_set.name
    folder.mkdir()
    suffix = "_batch" if request.param == "pickle" else ""
    for name in (f"train{suffix}", f"test{suffix}", INFO):
        shutil.copyfile(reference_set / name, folder / name)
    loaded = np.load(reference_set.parent / f"{reference_set.name}.{request.param}.npz")
    return folder, loaded


def test_images_labels_and_values_are_those_of_the_original_loader(variant):
    folder, loaded = variant
    data = read_vimh(folder)
    white = 255 if loaded["train_images"].max() == 1 else 1  # the loader scales one variant
    assert [p.name for p in data.parameters] == loaded["names"].tolist()
    assert {p.name: p.n_classes for p in data.parameters} == json.loads(str(loaded["heads"]))
    for name, part in (("train", data.train), ("test", data.test)):
        assert part.images.dtype == np.uint8
        assert np.array_equal(part.images, np.rint(loaded[f"{name}_images"] * white))
        assert np.array_equal(part.codes, loaded[f"{name}_label_q"])
        assert np.array_equal(np.stack([*part.labels.values()], 1), loaded[f"{name}_class_idx"])
        assert np.array_equal(np.stack([*part.values.values()], 1), loaded[f"{name}_actual"])
        if len(loaded[f"{name}_scale"]):  # the loader leaves it out of one variant
            assert np.array_equal(part.scale, loaded[f"{name}_scale"])


def test_both_variants_hold_the_same_records(reference_set, variant):
    whole, one = read_vimh(reference_set), read_vimh(variant[0])
    assert whole.train.records.tobytes() == one.train.records.tobytes()
    assert whole.test.records.tobytes() == one.test.records.tobytes()


def test_metadata_are_those_of_the_file(reference_set):
    data = read_vimh(reference_set)
    assert data.metadata == json.loads((reference_set / INFO).read_text())
    assert list(data.metadata) == list(json.loads((reference_set / INFO).read_text()))


def test_what_the_original_reader_leaves_behind_is_read_too(reference_set, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(reference_set, folder)
    (folder / INFO).chmod(0o644)
    info = reference_set.parent / f"{reference_set.name}.binary.info_after_load.json"
    shutil.copyfile(info, folder / INFO)
    assert read_vimh(folder).metadata["parameter_mappings"]["note_velocity"]["num_classes"] == 3


def test_writing_again_gives_the_same_bytes_in_all_files(reference_set, tmp_path):
    written = write_vimh(read_vimh(reference_set), tmp_path / "again")
    assert sorted(path.name for path in written.iterdir()) == FILES
    for name in FILES:
        assert (written / name).read_bytes() == (reference_set / name).read_bytes(), name


def test_the_generator_makes_the_reference_set_again(reference_set):
    """Its parameters are those of seed 0."""
    ours, theirs = generate_vimh("simple_saw", 16, seed=0), read_vimh(reference_set)
    text = metadata_text(ours.metadata | {"output_format": "both"})
    assert text == (reference_set / INFO).read_text()
    for one, other in ((ours.train, theirs.train), (ours.test, theirs.test)):
        assert np.array_equal(one.codes, other.codes)
        assert np.abs(one.images.astype(int) - other.images).max() <= 1
        assert np.abs(one.scale - other.scale).max() < 1e-4
