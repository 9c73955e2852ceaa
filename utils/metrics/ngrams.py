"""How well tokens are predicted from the few before them: what a language model is to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

PSEUDO_COUNT = 0.1  # of each token after each context, so that nothing is impossible


def ngram_bits(train: ArrayLike, test: ArrayLike, n: int, num_tokens: int) -> float:
    """Mean bits per token of ``test``, each predicted from the ``n - 1`` tokens before it.

    Probabilities are the frequencies in ``train``, with :data:`PSEUDO_COUNT`.

    Parameters
    ----------
    train, test : (token,) integers below ``num_tokens``; the first n - 1 of ``test`` are given.
    n : 1 for the frequency of tokens alone, 2 for pairs, ...
    """
    seen, asked = (_windows(tokens, n) for tokens in (train, test))
    place = num_tokens ** np.arange(n, dtype=np.int64)
    n_whole = _counts(seen @ place, asked @ place)
    n_context = _counts(seen[:, :-1] @ place[:-1], asked[:, :-1] @ place[:-1])
    chances = (n_whole + PSEUDO_COUNT) / (n_context + PSEUDO_COUNT * num_tokens)
    return float(-np.log2(chances).mean())


def _windows(tokens: ArrayLike, n: int) -> NDArray[np.int64]:
    """(window, n)"""
    return np.lib.stride_tricks.sliding_window_view(np.asarray(tokens, np.int64), n)


def _counts(seen: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each number that is asked for was seen."""
    numbers, counts = np.unique(seen, return_counts=True)
    place = numbers.searchsorted(asked).clip(max=len(numbers) - 1)
    return np.where(numbers[place] == asked, counts[place], 0)
