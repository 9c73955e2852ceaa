"""ListOps: the value of a nested list of operations on digits.

``[MAX 2 9 [MIN 4 7 ] 0 ]`` is 9. Nangia & Bowman, "ListOps: A Diagnostic Dataset for Latent Tree
Learning", NAACL 2018.
"""

from __future__ import annotations

import random
import statistics

import numpy as np
from tqdm.auto import tqdm

from utils.datasets.examples import Examples, ExampleSets, pad_left

OPERATORS = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: int(statistics.median(values)),  # rounded down
    "[SM": lambda values: sum(values) % 10,
}
DIGITS = tuple(str(digit) for digit in range(10))
VOCABULARY = ("<padding>", *DIGITS, *OPERATORS, "]")
OPERATOR_CHANCE = 0.25  # of an argument, instead of a digit
MAX_DRAWS = 100_000  # for one expression

_NUMBER = {token: number for number, token in enumerate(VOCABULARY)}


def draw_listops(
    n_train: int = 96_000,
    n_validation: int = 2_000,
    n_test: int = 2_000,
    *,
    length: tuple[int, int] = (500, 2000),
    max_depth: int = 10,
    max_arguments: int = 10,
    seed: int = 0,
) -> ExampleSets:
    """Draw expressions, no two of them equal; defaults are those of the Long Range Arena.

    Inputs are tokens (time,), places in :data:`VOCABULARY`, with padding before them; classes are
    the ten digits, which are not equally frequent.

    Parameters
    ----------
    length : fewest and most tokens of an expression; brackets count.
    max_depth : operators that lie within one another.
    max_arguments : of an operator; the fewest are two.

    Raises
    ------
    ValueError
        There are too few such expressions.
    """
    rng, drawn = random.Random(seed), {}
    counts = n_train, n_validation, n_test
    for _ in tqdm(range(sum(counts)), desc="ListOps", leave=False, delay=1):
        tokens, value = _new_expression(rng, drawn, length, max_depth, max_arguments)
        drawn[tokens] = value
    inputs = pad_left([np.frombuffer(tokens, np.uint8) for tokens in drawn])
    labels = np.array([*drawn.values()], np.int64)
    borders = np.cumsum(counts)[:2]
    parts = map(Examples, np.split(inputs, borders), np.split(labels, borders))
    return ExampleSets(*parts, DIGITS, "simulated", num_tokens=len(VOCABULARY))


def listops_tokens(expression: str) -> list[int]:
    """``"[MAX 2 9 ]"`` as tokens."""
    return [_NUMBER[word] for word in expression.split()]


class _TooLong(Exception):
    """An expression has more tokens than it may have."""


def _new_expression(
    rng: random.Random,
    known: dict[bytes, int],
    length: tuple[int, int],
    max_depth: int,
    max_arguments: int,
) -> tuple[bytes, int]:
    """Tokens and value of an expression of the right length that is not known yet."""
    shortest, longest = length
    for _ in range(MAX_DRAWS):
        tokens = bytearray()
        try:
            value = _draw_operation(rng, tokens, longest, max_depth, max_arguments)
        except _TooLong:
            continue
        if len(tokens) >= shortest and bytes(tokens) not in known:
            return bytes(tokens), value
    raise ValueError(
        f"after {len(known)} expressions, none of {shortest} to {longest} tokens was new in "
        f"{MAX_DRAWS:,} draws; allow other lengths, a larger depth than {max_depth}, or more "
        f"arguments than {max_arguments}"
    )


def _draw_operation(
    rng: random.Random, tokens: bytearray, longest: int, depth: int, max_arguments: int
) -> int:
    """Append an operator with its arguments to ``tokens``; its value."""
    if len(tokens) + 4 > longest:  # with two digits and the bracket
        raise _TooLong
    operator = rng.choice([*OPERATORS])
    tokens.append(_NUMBER[operator])
    values = []
    for _ in range(rng.randint(2, max_arguments)):
        if depth > 1 and rng.random() < OPERATOR_CHANCE:
            values.append(_draw_operation(rng, tokens, longest, depth - 1, max_arguments))
        else:
            values.append(rng.randrange(10))
            tokens.append(_NUMBER[DIGITS[values[-1]]])
    tokens.append(_NUMBER["]"])
    if len(tokens) > longest:
        raise _TooLong
    return OPERATORS[operator](values)
