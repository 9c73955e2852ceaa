"""Text as tokens: parts in order, a vocabulary of the training part alone, and what comes back."""

from __future__ import annotations

import datasets
import pytest
import torch

from utils.config import ConfigError
from utils.datasets.markov_text import draw_grammar
from utils.datasets.text import (
    TOKENISERS,
    UNKNOWN,
    TextParts,
    fetch_wikitext,
    read_text,
    tokenise,
)
from utils.models.elm.language import parallel_streams
from utils.paths import data_dir


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("".join(chr(0x100 + k) for k in range(100)), encoding="utf-8")
    return path


def test_parts_follow_one_another(file):
    parts = read_text(file)
    assert "".join(parts) == file.read_text(encoding="utf-8")
    assert [len(part) for part in parts] == [80, 10, 10]
    assert [len(part) for part in read_text(file, (0.5, 0.2, 0.3))] == [50, 20, 30]


def test_a_folder_holds_three_parts(tmp_path):
    for part in ("train", "validation", "test"):
        (tmp_path / f"{part}.txt").write_text(f"{part}\n")
    assert read_text(tmp_path) == ("train\n", "validation\n", "test\n")
    (tmp_path / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"test\.txt.*fetch_wikitext"):
        read_text(tmp_path)


def test_what_is_no_text_is_refused(file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*absent\.txt"):
        read_text(tmp_path / "absent.txt")
    with pytest.raises(ValueError, match=r"3 positive numbers of sum 1, found \(0.8, 0.1, 0.2\)"):
        read_text(file, (0.8, 0.1, 0.2))
    file.write_text("ab")
    with pytest.raises(ValueError, match=r"own\.txt: the validation part is empty"):
        read_text(file)
    file.write_bytes(b"\xff\xfea")
    with pytest.raises(ValueError, match=r"own\.txt is no text in UTF-8"):
        read_text(file)


def test_characters_of_the_training_part_are_the_vocabulary():
    text = tokenise(TextParts("baab c\n", "abd", "é c"))
    assert text.tokeniser.vocabulary == (UNKNOWN, "\n", " ", "a", "b", "c")
    assert text.train.ids.tolist() == [4, 3, 3, 4, 2, 5, 1]
    assert text.validation.ids.tolist() == [3, 4, 0]
    assert text.test.ids.tolist() == [0, 2, 5]
    assert text.test.unknown == pytest.approx(1 / 3)
    assert text.train.characters_per_token == 1
    assert text.train.ids.dtype == torch.uint8
    assert text.tokeniser.decode(text.train.ids.tolist()) == "baab c\n"


def test_words_of_the_training_part_by_frequency():
    parts = TextParts("the cat and the dog\nand the fish <unk>\n", "a dog\n", "the fish")
    text = tokenise(parts, "word", vocabulary_size=4)
    assert text.tokeniser.vocabulary == (UNKNOWN, "the", "and", "\n")
    assert text.train.ids.tolist() == [1, 0, 2, 1, 0, 3, 2, 1, 0, 0, 3]
    assert text.validation.ids.tolist() == [0, 0, 3]
    assert text.train.characters_per_token == len(parts.train) / 11
    assert text.tokeniser.decode([1, 0]) == "the <unk>"


def test_byte_pairs_spell_any_text_and_shorten_what_is_frequent():
    train = "low lower lowest\n" * 50
    parts = TextParts(train, "slow\nμ ∫ 字", "low lower")
    text = tokenise(parts, "bpe", vocabulary_size=300)
    assert 257 < text.num_tokens <= 300
    for part, original in zip((text.train, text.validation, text.test), parts):
        assert text.tokeniser.decode(part.ids.tolist()) == original
        assert part.unknown == 0
    assert text.train.characters_per_token > 4
    assert text.train.ids.dtype == torch.int32
    again = tokenise(parts, "bpe", vocabulary_size=300)
    assert again.tokeniser.vocabulary == text.tokeniser.vocabulary


@pytest.mark.parametrize("kind", TOKENISERS)
def test_later_parts_change_nothing_of_the_vocabulary(kind):
    text = draw_grammar().text(2000)
    parts = TextParts(text[:8000], text[8000:9000], text[9000:])
    one = tokenise(parts, kind, 320)
    other = tokenise(parts._replace(validation="Q" * 900, test="zz zz " * 900), kind, 320)
    assert one.tokeniser.vocabulary == other.tokeniser.vocabulary
    assert torch.equal(one.train.ids, other.train.ids)
    assert not any(set("Qz") & set(token) for token in one.tokeniser.vocabulary if len(token) > 1)


@pytest.mark.parametrize("kind", TOKENISERS)
def test_batches_go_on_where_the_one_before_ended(kind):
    text = tokenise(TextParts(draw_grammar().text(2000), "a", "b"), kind, 320)
    batches = parallel_streams(text.train.ids, n_streams=4, length=20)
    assert torch.equal(batches[1:, :, 0], batches[:-1, :, -1])
    assert batches.max() < text.num_tokens


def test_an_unknown_kind_of_tokens_is_explained():
    with pytest.raises(ConfigError, match=r"unknown kind of tokens 'words'.*character, word, bpe"):
        tokenise(TextParts("a", "b", "c"), "words")


def test_wikitext_is_kept_as_three_files(monkeypatch):
    lines = {"train": ["", " = A = \n"], "validation": ["b\n"], "test": ["c"]}
    asked = []

    def load_dataset(hub, config, cache_dir):
        asked.append((hub, config))
        return {part: {"text": text} for part, text in lines.items()}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    folder = fetch_wikitext("wikitext-103")
    assert fetch_wikitext("wikitext-103") == folder == data_dir() / "text" / "wikitext-103"
    assert asked == [("Salesforce/wikitext", "wikitext-103-raw-v1")]
    assert read_text(folder) == ("\n = A = \n", "b\n", "c\n")


def test_without_a_network_the_way_out_is_named(monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(ConnectionError, match=r"put its parts into .*wikitext-2 as train\.txt"):
        fetch_wikitext()
    with pytest.raises(ConfigError, match="unknown text 'wikitext2'; did you mean wikitext-2"):
        fetch_wikitext("wikitext2")
