"""Writing: complete or not at all, and nothing that could not be read again."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from utils.datasets.vimh import Exact, VIMHError, make_records, read_vimh, write_vimh
from utils.datasets.vimh.metadata import INFO
from utils.datasets.vimh.sidecar import SIDECAR

NAME = "vimh-4x6x2_8000Hz_1p5s_10dss_simple_3p"
BINARY = ["test", "train", INFO]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def exact_of(part, seed=0):
    """Values within the step that each code stands for, and some levels."""
    rng = np.random.default_rng(seed)
    inside = (part.codes + rng.uniform(0.2, 0.8, part.codes.shape)) / 255
    ends = np.array([(p.min, p.max) for p in part.parameters])
    values = ends[:, 0] + inside.clip(0, 1) * (ends[:, 1] - ends[:, 0])
    return Exact(values, np.sort(rng.normal(size=(len(part), 2)).astype(np.float32), axis=1))


@pytest.fixture
def with_exact(small):
    train, test = (
        dataclasses.replace(part, exact=exact_of(part)) for part in (small.train, small.test)
    )
    return dataclasses.replace(small, train=train, test=test)


def test_records_are_written_byte_for_byte_as_the_format_says(small, tmp_path):
    folder = write_vimh(small, tmp_path / NAME)
    content = (folder / "train").read_bytes()
    size = 14 + 1 + 2 * 3 + 48
    assert len(content) == 8 * size
    record = content[size : 2 * size]
    assert record[:6] == b"\x04\x00\x06\x00\x02\x00"
    assert record[6:14] == small.train.scale[1].astype("<f4").tobytes()
    codes = small.train.codes[1]
    assert record[14:21] == bytes([3, 0, codes[0], 1, codes[1], 2, codes[2]])
    assert record[21:] == small.train.images[1].tobytes()


def test_the_json_file_has_the_text_of_the_format(small, tmp_path):
    text = (write_vimh(small, tmp_path / NAME) / INFO).read_text()
    assert text == json.dumps(small.metadata, indent=4)
    assert "\\u00b5" in text
    assert not text.endswith("\n")


@pytest.mark.parametrize(
    ("said", "wanted", "written"),
    [
        ("both", None, "both"),
        ("binary", None, "binary"),
        ("both", False, "binary"),
        ("binary", True, "both"),
    ],
)
def test_the_json_file_says_whether_there_are_pickles(small, tmp_path, said, wanted, written):
    data = dataclasses.replace(small, metadata=small.metadata | {"output_format": said})
    folder = write_vimh(data, tmp_path / NAME, pickle=wanted)
    pickles = ["test_batch", "train_batch"] if written == "both" else []
    assert names(folder) == sorted(BINARY + pickles)
    assert json.loads((folder / INFO).read_text())["output_format"] == written
    assert data.metadata["output_format"] == said


def test_the_sidecar_keeps_exact_values_and_levels(with_exact, tmp_path):
    read = read_vimh(write_vimh(with_exact, tmp_path / NAME))
    for one, other in ((read.train, with_exact.train), (read.test, with_exact.test)):
        assert np.array_equal(one.exact.values, other.exact.values)
        assert np.array_equal(one.exact.scale, other.exact.scale)
        for place, name in enumerate(one.values):  # codes are cut off, never rounded up
            parameter = one.parameters[place]
            lost = one.exact.values[:, place] - one.values[name]
            assert (lost >= 0).all()
            assert (lost < (parameter.max - parameter.min) / 255).all()


def test_the_sidecar_changes_no_other_file(small, with_exact, tmp_path):
    plain, beside = write_vimh(small, tmp_path / "a"), write_vimh(with_exact, tmp_path / "b")
    assert names(beside) == sorted([*names(plain), SIDECAR])
    for path in plain.iterdir():
        assert path.read_bytes() == (beside / path.name).read_bytes()


def test_a_sidecar_of_other_records_is_refused(with_exact, tmp_path):
    folder = write_vimh(with_exact, tmp_path / NAME)
    train = np.array(with_exact.train.records)
    train["labels"][5, 1, 1] ^= 255
    train.tofile(folder / "train")
    with pytest.raises(VIMHError, match=f"{SIDECAR}, record 5: level is .*delete the sidecar"):
        read_vimh(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"PK no zip"),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: np.savez(path, train_values=np.zeros((8, 3))),
        lambda path: np.savez(path, train_values=np.array([{}], object), train_scale=0),
    ],
)
def test_a_damaged_sidecar_is_refused(with_exact, tmp_path, damage):
    folder = write_vimh(with_exact, tmp_path / NAME)
    damage(folder / SIDECAR)
    with pytest.raises(VIMHError, match=rf"{SIDECAR} cannot be read.*delete or replace"):
        read_vimh(folder)


@pytest.mark.parametrize("wrong", [np.zeros((8, 2)), np.full((8, 3), np.nan)])
def test_a_sidecar_of_another_shape_or_of_nothing_is_refused(with_exact, tmp_path, wrong):
    train = dataclasses.replace(with_exact.train, exact=Exact(wrong, with_exact.train.scale))
    with pytest.raises(VIMHError, match=SIDECAR):
        write_vimh(dataclasses.replace(with_exact, train=train), tmp_path / NAME)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_replaced(small, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(FileExistsError, match="not empty; give a new folder"):
        write_vimh(small, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_empty_folder_is_filled(small, tmp_path):
    (tmp_path / NAME).mkdir()
    assert len(read_vimh(write_vimh(small, tmp_path / NAME)).train) == 8


def test_nothing_is_left_of_what_could_not_be_written(small, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("utils.datasets.vimh.write.metadata_text", full)
    with pytest.raises(OSError, match="no space left"):
        write_vimh(small, tmp_path / "new" / NAME)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (dict(height=5, image_size="5x6x2"), "says height|n_bins"),
        (dict(dataset_name="", channels=1, image_size="4x6x1"), "channel_labels"),
        (dict(train_samples=7, test_samples=3), "train: record 7 is too many"),
        (dict(dataset_name="", total_samples=9, n_samples=9, train_samples=7), "train and test"),
        (dict(version="1.0"), "'version' should be '2.1'"),
        (dict(dataset_name="", width=12, image_size="4x12x2"), "not of the size"),
    ],
)
def test_what_could_not_be_read_is_not_written(small, tmp_path, entries, message):
    data = dataclasses.replace(small, metadata=small.metadata | entries)
    with pytest.raises(VIMHError, match=message):
        write_vimh(data, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_records_with_impossible_scales_are_not_written(small, tmp_path):
    records = np.array(small.test.records)
    records["scale"][1] = np.nan
    test = dataclasses.replace(small.test, records=records)
    with pytest.raises(VIMHError, match="test, record 1: spec_min, spec_max"):
        write_vimh(dataclasses.replace(small, test=test), tmp_path / "out")


def test_a_folder_with_the_name_of_another_set_is_refused(small, tmp_path):
    with pytest.raises(VIMHError, match="says height 8"):
        write_vimh(small, tmp_path / "vimh-8x6x2_8000Hz_1p5s_10dss_simple_3p")


@pytest.mark.parametrize(
    ("images", "codes", "scale"),
    [
        (np.zeros((2, 1, 4, 4)), np.zeros((2, 1), np.uint8), np.zeros((2, 2))),
        (np.zeros((2, 4, 4), np.uint8), np.zeros((2, 1), np.uint8), np.zeros((2, 2))),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros((2, 1), int), np.zeros((2, 2))),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros((3, 1), np.uint8), np.zeros((2, 2))),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros((2, 1), np.uint8), np.zeros(2)),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros((2, 256), np.uint8), np.zeros((2, 2))),
        (np.zeros((0, 1, 2**16, 1), np.uint8), np.zeros((0, 1), np.uint8), np.zeros((0, 2))),
    ],
)
def test_arrays_that_are_no_records_are_refused(images, codes, scale):
    with pytest.raises(ValueError, match=r"expected|fit the format"):
        make_records(images, codes, scale)
