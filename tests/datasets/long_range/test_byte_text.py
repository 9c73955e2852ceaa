"""Own texts as bytes: read as documented, refused with file and line, leaks reported."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from utils.datasets.long_range import read_byte_text
from utils.datasets.long_range.byte_text import BETWEEN, NUM_TOKENS


def write(folder, train="good\ta b\nbad\tcé\n", test="bad\tx\n", validation=None):
    for name, text in (("train", train), ("test", test), ("validation", validation)):
        if text is not None:
            (folder / f"{name}.tsv").write_text(text, encoding="utf-8")
    return folder


def bytes_of(row: np.ndarray) -> bytes:
    return bytes(int(token) - 1 for token in row if token)


def test_texts_are_bytes_with_padding_before_them(tmp_path):
    sets = read_byte_text(write(tmp_path, validation="good\tlonger\n"))
    assert sets.class_names == ("bad", "good")
    assert sets.train.labels.tolist() == [1, 0]
    assert sets.train.inputs.shape == (2, 6)
    assert sets.train.inputs.max() < sets.num_tokens == NUM_TOKENS
    assert [bytes_of(row) for row in sets.train.inputs] == [b"a b", "cé".encode()]
    assert bytes_of(sets.validation.inputs[0]) == b"longer"
    assert sets.test.inputs[0].tolist() == [0, 0, 0, 0, 0, ord("x") + 1]


def test_two_texts_have_a_token_between_them_and_long_ones_keep_their_beginning(tmp_path):
    write(tmp_path, "yes\tabcdef\tgh\nno\ta\tb\n", "no\t\tz\n", "yes\tc\td\n")
    sets = read_byte_text(tmp_path, max_bytes=4)
    first = [byte + 1 for byte in b"abcd"] + [BETWEEN] + [byte + 1 for byte in b"gh"]
    assert sets.train.inputs[0].tolist() == first
    assert sets.test.inputs[0].tolist() == [0] * 5 + [BETWEEN, ord("z") + 1]


def test_equal_texts_are_not_on_both_sides_of_the_validation(tmp_path, caplog):
    lines = [f"{number % 2}\ttext {number % 30}" for number in range(120)]
    write(tmp_path, "\n".join(lines), "0\tnew\n1\ttext 3\n")
    with caplog.at_level(logging.WARNING):
        sets = read_byte_text(tmp_path, validation_fraction=0.3)
    assert "1 of 2 test texts are training texts" in caplog.text
    train, held = ({row.tobytes() for row in p.inputs} for p in (sets.train, sets.validation))
    assert len(train | held) == 30
    assert not train & held


BROKEN = {
    "none": ("", "train.tsv line 1 has 1 columns; expected a class, a tab and a text"),
    "names": ("a\tb\tc\td\n", "train.tsv line 1 has 4 columns"),
    "ragged": ("a\tb\na\tb\tc\n", "train.tsv line 2 has 3 columns, train.tsv has 2"),
    "class": ("good\ta\n", "test.tsv line 1 has the class 'bad'; train.tsv has good"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_files_are_named_with_their_line(tmp_path, fault):
    train, message = BROKEN[fault]
    with pytest.raises(ValueError, match=message):
        read_byte_text(write(tmp_path, train))


def test_missing_and_binary_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*train\.tsv; expected lines of a class"):
        read_byte_text(tmp_path)
    (write(tmp_path) / "test.tsv").write_bytes(b"a\t\xff")
    with pytest.raises(ValueError, match=r"test\.tsv is no text in UTF-8"):
        read_byte_text(tmp_path)
