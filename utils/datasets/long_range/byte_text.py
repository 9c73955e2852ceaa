"""Own texts as bytes: to name one (classification), or to say how two are related (retrieval).

A folder holds ``train.tsv``, ``test.tsv`` and, where there is one, ``validation.tsv``, in UTF-8.
A line is ``class<TAB>text``, or ``class<TAB>text<TAB>text`` for two; there is no line of names.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utils.datasets.examples import Examples, ExampleSets, count_repeated, hold_out, pad_left

logger = logging.getLogger(__name__)

BETWEEN = 257  # token between two texts; byte b is token b + 1, 0 is padding
NUM_TOKENS = 258


def read_byte_text(
    folder: str | Path, max_bytes: int = 4000, *, validation_fraction: float = 0.1, seed: int = 0
) -> ExampleSets:
    """Read texts as tokens (time,), with padding before them.

    Test texts that occur among the training texts, too, are reported in the log.

    Parameters
    ----------
    max_bytes : of each text; the beginning of longer ones is used.
    validation_fraction : of the training lines, drawn at random with ``seed``; equal ones stay
        together. Where there is a ``validation.tsv``, that is used.

    Raises
    ------
    FileNotFoundError
        ``train.tsv`` or ``test.tsv`` is missing.
    ValueError
        A file is empty or no UTF-8, or a line has another number of columns than the first one, or
        a class that the training lines do not have; the message names file and line.
    """
    folder = Path(folder)
    names = ["train", "test", *(["validation"] * (folder / "validation.tsv").is_file())]
    lines = [_lines(folder / f"{name}.tsv") for name in names]
    classes = sorted({label for label, *_ in lines[0]})
    sequences = [[_tokens(texts, max_bytes) for _, *texts in part] for part in lines]
    longest = max(len(sequence) for part in sequences for sequence in part)
    parts = {}
    for name, part, own in zip(names, lines, sequences):
        labels = _labels(folder / f"{name}.tsv", part, classes, n_columns=len(lines[0][0]))
        parts[name] = Examples(pad_left(own, longest), labels)
    if n_repeated := count_repeated(parts["test"], parts["train"]):
        n_test = len(lines[1])
        logger.warning("%s: %d of %d test texts are training texts", folder, n_repeated, n_test)
    if "validation" not in parts:
        parts["train"], parts["validation"] = hold_out(parts["train"], validation_fraction, seed)
    return ExampleSets(**parts, class_names=tuple(classes), source="own", num_tokens=NUM_TOKENS)


def _lines(path: Path) -> list[list[str]]:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; expected lines of a class, a tab and a text")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from None
    lines = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    n_columns = len(lines[0])
    if n_columns not in (2, 3):
        raise ValueError(
            f"{path} line 1 has {n_columns} columns; expected a class, a tab and a text (or two)"
        )
    return lines


def _labels(
    path: Path, lines: list[list[str]], classes: list[str], n_columns: int
) -> NDArray[np.int64]:
    for number, (label, *texts) in enumerate(lines, 1):
        if len(texts) + 1 != n_columns:
            raise ValueError(
                f"{path} line {number} has {len(texts) + 1} columns, train.tsv has {n_columns}"
            )
        if label not in classes:
            raise ValueError(
                f"{path} line {number} has the class '{label}'; train.tsv has {', '.join(classes)}"
            )
    return np.array([classes.index(label) for label, *_ in lines], np.int64)


def _tokens(texts: list[str], max_bytes: int) -> NDArray[np.int16]:
    """One text, or two with a token between them."""
    parts = [
        np.frombuffer(text.encode()[:max_bytes], np.uint8).astype(np.int16) + 1 for text in texts
    ]
    between = [np.array([BETWEEN], np.int16)] * (len(parts) - 1)
    return np.concatenate([parts[0], *between, *parts[1:]])
