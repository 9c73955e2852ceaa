"""Damaged and contradictory data sets: each is refused, and file and record are named."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest

from utils.datasets.vimh import VIMHError, make_records, read_vimh
from utils.datasets.vimh.metadata import INFO

BYTES = 14 + 1 + 2 * 3 + 2 * 4 * 6  # of a record


def overwrite(path, place, content):
    changed = bytearray(path.read_bytes())
    changed[place : place + len(content)] = content
    path.write_bytes(changed)


@pytest.mark.parametrize(
    ("offset", "content", "what", "found"),
    [
        (0, struct.pack("<H", 5), "height, width, channels", r"\[5, 6, 2\]"),
        (2, struct.pack("<H", 7), "height, width, channels", r"\[4, 7, 2\]"),
        (4, struct.pack("<H", 1), "height, width, channels", r"\[4, 6, 1\]"),
        (6, struct.pack("<f", np.nan), "spec_min, spec_max", "nan"),
        (10, struct.pack("<f", np.inf), "spec_min, spec_max", "inf"),
        (6, struct.pack("<ff", 1.0, -1.0), "spec_min, spec_max", r"\[1.0, -1.0\]"),
        (14, b"\x02", "number of labels N should be 3", "2"),
        (14, b"\x00", "number of labels N should be 3", "0"),
        (15, b"\x09", "parameter ids should be each of 0 .. 2 once", r"\[9, 1, 2\]"),
        (17, b"\x00", "parameter ids should be each of 0 .. 2 once", r"\[0, 0, 2\]"),
    ],
)
@pytest.mark.parametrize("record", [0, 3, 7])
def test_a_lying_header_is_named(folder, record, offset, content, what, found):
    overwrite(folder / "train", record * BYTES + offset, content)
    with pytest.raises(VIMHError, match=rf"train, record {record}: {what}.*found .*{found}"):
        read_vimh(folder)


@pytest.mark.parametrize("size", [1, 10, BYTES - 1])
@pytest.mark.parametrize("n_whole", [0, 7])
def test_a_truncated_file_is_refused(folder, n_whole, size):
    whole = (folder / "train").read_bytes()
    (folder / "train").write_bytes(whole[: n_whole * BYTES + size])
    expected = rf"train, record {n_whole} is cut off: expected {BYTES} bytes, found {size}"
    with pytest.raises(VIMHError, match=expected):
        read_vimh(folder)


@pytest.mark.parametrize("n_records", [0, 1, 7])
def test_missing_records_are_counted(folder, n_records):
    whole = (folder / "train").read_bytes()
    (folder / "train").write_bytes(whole[: n_records * BYTES])
    with pytest.raises(VIMHError, match=f"record {n_records} is missing: expected 8 records"):
        read_vimh(folder)


@pytest.mark.parametrize("extra", [b"\x00", b"\x00" * 40, b"\xff" * (BYTES - 1)])
def test_bytes_after_the_last_record_are_refused(folder, extra):
    with (folder / "test").open("ab") as file:
        file.write(extra)
    with pytest.raises(VIMHError, match=f"test: .* after 2 records, found {len(extra)} bytes"):
        read_vimh(folder)


def test_records_after_the_last_one_are_refused(folder):
    content = (folder / "test").read_bytes()
    (folder / "test").write_bytes(content + content[:BYTES])
    with pytest.raises(VIMHError, match="test: record 2 is too many: expected 2 records"):
        read_vimh(folder)


@pytest.mark.parametrize("size", [5, BYTES - 1])
def test_without_counts_a_cut_record_is_still_found(folder, edit, size):
    edit(train_samples=None, test_samples=None, total_samples=None, n_samples=None)
    whole = (folder / "train").read_bytes()
    (folder / "train").write_bytes(whole[: 3 * BYTES + size])
    with pytest.raises(VIMHError, match="train, record 3 is cut off"):
        read_vimh(folder)


def test_the_total_counts_where_parts_are_not_counted(folder, edit):
    edit(train_samples=None, test_samples=None)
    whole = (folder / "train").read_bytes()
    (folder / "train").write_bytes(whole[: 3 * BYTES])
    with pytest.raises(VIMHError, match="'total_samples' is 10, and train and test have 5"):
        read_vimh(folder)


@pytest.mark.parametrize("record", [0, 4, 7])
def test_a_record_with_fewer_labels_is_named(folder, small, record):
    """All that follows it has moved."""
    records = [r.tobytes() for r in small.train.records]
    other = make_records(
        small.train.images[[record]], small.train.codes[[record], :2], small.train.scale[[record]]
    )
    records[record] = other.tobytes()
    (folder / "train").write_bytes(b"".join(records))
    with pytest.raises(VIMHError, match=f"train, record {record}: number of labels N should be 3"):
        read_vimh(folder)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (dict(format="CIFAR"), "'format' should be 'VIMH', found 'CIFAR'"),
        (dict(version="1.0"), "'version' should be '2.1', found '1.0'"),
        (dict(height=8), r"train, record 0: .* should be \[8, 6, 2\] .*, found \[4, 6, 2\]"),
        (dict(height=-4), "'height' should be a whole number"),
        (dict(height="4"), "'height' should be a whole number .*found '4'"),
        (dict(width=6.0), "'width' should be a whole number"),
        (dict(channels=True), "'channels' should be a whole number"),
        (dict(channel_labels=["Gray"]), "'channel_labels' should be a list of 2 names"),
        (dict(image_size="6x4x2"), "records from 0 on are 4x6x2.*'image_size' should be '4x6x2'"),
        (dict(varying_parameters=2), "N = 3.*'varying_parameters' should be 3, found 2"),
        (dict(parameter_names=["tone", "tone", "level"]), "'parameter_names' should be a list"),
        (dict(parameter_names="tone"), "json: 'parameter_names' should be a list"),
        (dict(parameter_names=["cutoff", "level", "depth"]), "'parameter_mappings.depth' should"),
        (dict(parameter_mappings=[1]), "'parameter_mappings' should be an object"),
        (dict(parameter_mappings__tone=3), "'parameter_mappings' should be an object"),
        (dict(parameter_mappings__tone__min=2.0), "'parameter_mappings.tone' should be min < max"),
        (dict(parameter_mappings__tone__max="1"), r"'parameter_mappings.tone.max' should be a fin"),
        (dict(parameter_mappings__tone__min=None), r"tone.min' should be .* found nothing"),
        (dict(parameter_mappings__tone__max=float("nan")), "tone.max' should be a finite number"),
        (dict(parameter_mappings__tone__step=0), "tone.step' should be a positive number"),
        (dict(parameter_mappings__tone__step=-0.3), "tone.step' should be a positive number"),
        (dict(parameter_mappings__tone__num_classes=5), "tone.num_classes' should be 4, found 5"),
        (dict(parameter_mappings__note__max=61.0), "note' should be min = max"),
        (dict(fixed_parameters__tone={"value": 1}), "tone' should be a parameter that does not"),
        (dict(fixed_parameters__note__value=61.0), "note.value' should be 60.0, found 61.0"),
        (dict(train_samples=9), "train: record 8 is missing: expected 9 records"),
        (dict(parameter_names=["tone"]), "train, record 0: number of labels N should be 1"),
        (dict(test_samples=-2), "'test_samples' should be a whole number >= 0"),
        (dict(total_samples=11), "should agree"),
        (dict(n_samples=9), "should agree"),
        (dict(sample_rate=0), "'sample_rate' should be a positive number"),
        (dict(sample_rate=44100), "'spectrogram_config.sample_rate' should be 44100"),
        (dict(duration=2.0), "'dataset_name': .* says duration 1.5, .* says 2.0"),
        (dict(spectrogram_config__n_bins=5), "'spectrogram_config.n_bins' should be 4"),
        (dict(label_encoding__metadata_bytes=6), "'label_encoding.metadata_bytes' should be 14"),
        (dict(output_format="zip"), "'output_format' should be 'binary' or 'both', found 'zip'"),
        (
            dict(dataset_name="vimh-4x6x1_8000Hz_1p5s_10dss_simple_3p"),
            "'dataset_name': .* says chan",
        ),
    ],
)
def test_a_contradictory_json_file_is_refused(folder, edit, entries, message):
    edit(**entries)
    with pytest.raises(VIMHError, match=message):
        read_vimh(folder)


def test_a_json_file_of_another_set_is_found_out_by_the_records(folder, edit):
    edit(height=6, width=4, image_size="6x4x2", spectrogram_config__n_bins=6, dataset_name="mine")
    message = r"train, record 0: height, width, channels should be \[6, 4, 2\].*\[4, 6, 2\]"
    with pytest.raises(VIMHError, match=message):
        read_vimh(folder.rename(folder.with_name("copy")))


def test_an_image_beyond_all_memory_is_refused(folder, edit):
    edit(height=60000, width=60000, image_size="60000x60000x2", dataset_name="mine")
    edit(spectrogram_config__n_bins=60000)
    with pytest.raises(VIMHError, match="height x width x channels"):
        read_vimh(folder)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"[1]", b"null"])
def test_what_is_no_json_object_is_refused(folder, text):
    (folder / INFO).write_bytes(text)
    with pytest.raises(VIMHError, match=INFO):
        read_vimh(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vimh-4x8x2_8000Hz_1p5s_10dss_simple_3p", "says width 8, .* says 6"),
        ("vimh-4x6x2_4000Hz_1p5s_10dss_simple_3p", "says sample_rate 4000, .* says 8000"),
        ("vimh-4x6x2_8000Hz_1p0s_10dss_simple_3p", "says duration 1, .* says 1.5"),
        ("vimh-4x6x2_8000Hz_1p5s_16384dss_simple_3p", "says total_samples 16384, .* says 10"),
        ("vimh-4x6x2_8000Hz_1p5s_10dss_saw_wah_2p_shuffled", "says varying_parameters 2, .* 3"),
        ("vimh-4x6x2_8000Hz_1p5s_10dss_simple_3p_envelopes", "promises 3 channels"),
        ("vimh-8x6x2-copy", "says height 8, .* says 4"),
    ],
)
def test_a_lying_folder_name_is_refused(folder, name, message):
    with pytest.raises(VIMHError, match=message):
        read_vimh(folder.rename(folder.with_name(name)))


class Malicious:
    """Asks to be made by a call."""

    def __reduce__(self):
        return eval, ("__import__('pathlib').Path('executed').touch()",)


def content(folder):
    return pickle.loads((folder / "train_batch").read_bytes())


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (dict(height=5), "'height' should be 4"),
        (dict(image_size=4), "'image_size' should be 48"),
        (dict(data=np.zeros((8, 47), np.uint8)), "'data' should be uint8"),
        (dict(data=np.zeros((8, 48))), "'data' should be uint8"),
        (dict(data=[1, 2]), "'data' should be uint8"),
        (dict(scale_factors=np.zeros((7, 2), np.float32)), "'scale_factors' should be float32"),
        (dict(scale_factors=np.full((8, 2), np.nan, np.float32)), "record 0: spec_min"),
        (dict(vimh_labels=5), "'vimh_labels' should be a list"),
        (dict(vimh_labels=[[3, 0, 1, 1, 1, 2, 1]] * 7), "record 0 and all others: 'data' should"),
        (dict(vimh_labels=[[3, 0, 1, 1, 1, 2, 1]] * 7 + [[2, 0, 1, 1, 1]]), "record 7: its label"),
        (dict(vimh_labels=[[3, 0, 1, 1, 1, 2, 256]] * 8), "record 0: its label"),
        (dict(vimh_labels=[[3, 0, 1, 1, 1, 2, 0.5]] * 8), "record 0: its label"),
        (dict(vimh_labels=["abcdefg"] * 8), "record 0: its label"),
        (dict(vimh_labels=[[3, 0, 1, 1, 1, 9, 1]] * 8), "record 0: parameter ids"),
        (dict(vimh_labels=[[2, 0, 1, 1, 1, 2, 1]] * 8), "record 0: number of labels N"),
        (dict(extra=Malicious()), "asks for 'builtins.eval'"),
    ],
)
def test_a_wrong_pickle_is_refused(folder, entries, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = content(folder) | entries
    (folder / "train").unlink()
    (folder / "train_batch").write_bytes(pickle.dumps(wrong, 4))
    with pytest.raises(VIMHError, match=rf"train_batch.*{message}"):
        read_vimh(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("kept", [0, 10, -1])
def test_a_truncated_pickle_is_refused(folder, kept):
    whole = (folder / "train_batch").read_bytes()
    (folder / "train").unlink()
    (folder / "train_batch").write_bytes(whole[:kept])
    with pytest.raises(VIMHError, match="train_batch cannot be read"):
        read_vimh(folder)


def test_a_pickle_with_too_few_samples_is_refused(folder):
    fewer = content(folder)
    for key in ("data", "vimh_labels", "scale_factors"):
        fewer[key] = fewer[key][:6]
    (folder / "train").unlink()
    (folder / "train_batch").write_bytes(pickle.dumps(fewer, 4))
    with pytest.raises(VIMHError, match="train_batch: record 6 is missing: expected 8"):
        read_vimh(folder)


def test_a_pickle_of_something_else_is_refused(folder):
    (folder / "train").unlink()
    (folder / "train_batch").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(VIMHError, match="expected a dictionary, found list"):
        read_vimh(folder)
