"""Text as tokens: an own file, or WikiText-2 and WikiText-103.

Parts to train, validate and test on are contiguous, and the vocabulary is that of the training
part. :func:`utils.models.elm.language.parallel_streams` makes batches that follow one another of
the tokens of a part.

WikiText is to be cited as Merity, Xiong, Bradbury & Socher, "Pointer Sentinel Mixture Models",
ICLR 2017 (CC BY-SA 3.0).
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils.config import ConfigError, near_matches
from utils.datasets.hub import load_from_hub
from utils.paths import data_dir

UNKNOWN = "<unk>"  # token 0: whatever the training part does not have
PARTS = ("train", "validation", "test")
WIKITEXT = {"wikitext-2": "wikitext-2-raw-v1", "wikitext-103": "wikitext-103-raw-v1"}


class TextParts(NamedTuple):
    """A text in three parts."""

    train: str
    validation: str
    test: str


@dataclass(frozen=True, eq=False)
class Tokens:
    """A part of a text as tokens."""

    ids: Tensor  # (token,) uint8 where that is enough, else int32
    n_characters: int  # that they stand for

    @property
    def characters_per_token(self) -> float:
        """Turns bits per token into bits per character."""
        return self.n_characters / len(self.ids)

    @property
    def unknown(self) -> float:
        """Share of the tokens that the training part does not have; they cost a model nothing to
        spell, so bits per character are too low where there are many."""
        return float((self.ids == 0).double().mean())


@dataclass(frozen=True, eq=False, repr=False)
class TokenisedText:
    """A text in three parts, as tokens of one vocabulary."""

    train: Tokens
    validation: Tokens
    test: Tokens
    tokeniser: Tokeniser

    @property
    def num_tokens(self) -> int:
        """Size of the vocabulary."""
        return len(self.tokeniser.vocabulary)


def read_text(path: str | Path, fractions: Sequence[float] = (0.8, 0.1, 0.1)) -> TextParts:
    """Read a text (UTF-8).

    Parameters
    ----------
    path : a file, which is cut into a training, a validation and a test part, in this order; or a
        folder with ``train.txt``, ``validation.txt`` and ``test.txt``, see :func:`fetch_wikitext`.
    fractions : of the characters of a file, for the three parts; a cut may part a word in two.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A file is no UTF-8, a part is empty, or fractions do not sum up to 1.
    """
    path = Path(path)
    if path.is_dir():
        parts = TextParts(*(_read(path / f"{part}.txt") for part in PARTS))
    else:
        if len(fractions) != 3 or min(fractions) <= 0 or not np.isclose(sum(fractions), 1):
            raise ValueError(f"fractions must be 3 positive numbers of sum 1, found {fractions}")
        text = _read(path)
        first, second = (round(share * len(text)) for share in np.cumsum(fractions)[:2])
        parts = TextParts(text[:first], text[first:second], text[second:])
    for part, text in zip(PARTS, parts):
        if not text:
            raise ValueError(f"{path}: the {part} part is empty")
    return parts


def tokenise(
    parts: TextParts, kind: str = "character", vocabulary_size: int = 10_000
) -> TokenisedText:
    """Make tokens of a text, with the vocabulary of its training part.

    Parameters
    ----------
    kind : ``"character"``; ``"word"``, what stands between blanks, with the end of a line as a
        word of its own; or ``"bpe"``, byte pairs, which spell any text.
    vocabulary_size : at most, of words (the most frequent ones) and byte pairs (at least 257).

    Raises
    ------
    ConfigError
        Unknown kind.
    """
    if kind not in TOKENISERS:
        raise ConfigError(
            f"unknown kind of tokens '{kind}'{near_matches(kind, TOKENISERS)}; expected one of "
            f"{', '.join(TOKENISERS)}"
        )
    tokeniser = TOKENISERS[kind](parts.train, vocabulary_size)
    dtype = np.uint8 if len(tokeniser.vocabulary) <= 256 else np.int32
    tokens = [
        Tokens(torch.from_numpy(tokeniser.encode(text).astype(dtype)), len(text)) for text in parts
    ]
    return TokenisedText(*tokens, tokeniser)


def fetch_wikitext(name: str = "wikitext-2") -> Path:
    """The folder ``DATA/text/<name>``; where it is not there, the text is downloaded into it.

    Parameters
    ----------
    name : ``"wikitext-2"`` (11 million characters) or ``"wikitext-103"`` (540 million).

    Raises
    ------
    ConfigError
        Unknown name.
    ConnectionError
        No network; the message says which files to put where.
    """
    if name not in WIKITEXT:
        raise ConfigError(f"unknown text '{name}'{near_matches(name, WIKITEXT)}")
    folder = data_dir() / "text" / name
    if not folder.is_dir():
        instead = f"put its parts into {folder} as train.txt, validation.txt and test.txt"
        splits = load_from_hub("Salesforce/wikitext", WIKITEXT[name], instead=instead)
        arriving = folder.with_suffix(".part")
        arriving.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            lines = (line.rstrip("\n") + "\n" for line in splits[part]["text"])
            (arriving / f"{part}.txt").write_text("".join(lines), encoding="utf-8")
        os.replace(arriving, folder)
    return folder


class Tokeniser(ABC):
    """Turns text into tokens and back; ``vocabulary[0]`` is :data:`UNKNOWN`."""

    vocabulary: tuple[str, ...]

    @abstractmethod
    def encode(self, text: str) -> NDArray[np.integer]:
        """(token,) of a text."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens."""


class Characters(Tokeniser):
    """Each character is a token, in the order of their code points."""

    def __init__(self, text: str, vocabulary_size: int) -> None:
        self.codes = np.unique(_code_points(text))
        self.vocabulary = (UNKNOWN, *map(chr, self.codes.tolist()))

    def encode(self, text: str) -> NDArray[np.integer]:
        codes = _code_points(text)
        place = self.codes.searchsorted(codes).clip(max=len(self.codes) - 1)
        return np.where(self.codes[place] == codes, place + 1, 0)

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.vocabulary[token] for token in ids)


class Words(Tokeniser):
    """The most frequent words of a text, in the order of their frequency."""

    def __init__(self, text: str, vocabulary_size: int) -> None:
        counts = Counter(_words(text))
        counts.pop(UNKNOWN, None)  # rare words of WikiText
        frequent = counts.most_common(vocabulary_size - 1)
        self.vocabulary = (UNKNOWN, *(word for word, _ in frequent))
        self.place = {word: token for token, word in enumerate(self.vocabulary)}

    def encode(self, text: str) -> NDArray[np.integer]:
        return np.array([self.place.get(word, 0) for word in _words(text)], np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.vocabulary[token] for token in ids)


class BytePairs(Tokeniser):
    """Bytes, and the pairs of tokens that were merged because they are frequent."""

    def __init__(self, text: str, vocabulary_size: int) -> None:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        self.tokenizer = Tokenizer(models.BPE())
        self.tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=[UNKNOWN],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        self.tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
        n_tokens = self.tokenizer.get_vocab_size()
        self.vocabulary = tuple(map(self.tokenizer.id_to_token, range(n_tokens)))

    def encode(self, text: str) -> NDArray[np.integer]:
        lines = self.tokenizer.encode_batch_fast(text.splitlines(keepends=True))
        return np.concatenate([np.array(line.ids, np.int64) for line in lines])

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids), skip_special_tokens=False)


TOKENISERS = {"character": Characters, "word": Words, "bpe": BytePairs}


def _read(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}; give a text file, or fetch_wikitext() for a folder of three parts"
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from None


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _words(text: str) -> list[str]:
    return re.findall(r"\n|\S+", text)
