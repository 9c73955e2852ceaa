"""Simulated text whose entropy is known: what no model can do better than."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONSONANTS, VOWELS = "bdklmnrt", "aeiou"


@dataclass(frozen=True, eq=False)
class MarkovGrammar:
    """A language whose next word depends on the word before it alone.

    Each word is spelt out and followed by a blank, so words and characters say the same: bits per
    character are bits per word over the mean length of words and blanks. To predict characters,
    a model has to remember the word before, and what of the present one it has read.
    """

    words: tuple[str, ...]
    transition: NDArray[np.float64]  # (word, next word) probability

    @property
    def entropy_rate(self) -> float:
        """Bits per character of an endless text."""
        return float(self.frequency @ self._bits_of_next() / (self.frequency @ self._lengths()))

    @property
    def frequency(self) -> NDArray[np.float64]:
        """(word,) share of the words of an endless text."""
        n_words = len(self.words)
        equations = np.vstack([self.transition.T - np.eye(n_words), np.ones(n_words)])
        return np.linalg.lstsq(equations, np.r_[np.zeros(n_words), 1.0])[0]

    def text(self, n_words: int, seed: int = 0) -> str:
        """A text of ``n_words`` words."""
        rng = np.random.default_rng(seed)
        steps = self.transition.cumsum(axis=1)
        word = rng.choice(len(self.words), p=self.frequency)
        spelt = []
        for chance in rng.random(n_words):
            spelt.append(self.words[word])
            word = min(int(steps[word].searchsorted(chance, "right")), len(self.words) - 1)
        return " ".join(spelt) + " "

    def bits_per_character(self, text: str) -> float:
        """What the true probabilities need for a text, from its second whole word on."""
        place = {word: number for number, word in enumerate(self.words)}
        words = [place[word] for word in text.split(" ")[1:-1]]  # those at the ends may be cut
        chances = self.transition[words[:-1], words[1:]]
        return float(-np.log2(chances).sum() / self._lengths()[words[1:]].sum())

    def _lengths(self) -> NDArray[np.int64]:
        return np.array([len(word) + 1 for word in self.words])

    def _bits_of_next(self) -> NDArray[np.float64]:
        """(word,) entropy of the word after it."""
        chances = np.where(self.transition > 0, self.transition, 1.0)
        return -(chances * np.log2(chances)).sum(axis=1)


def draw_grammar(n_words: int = 24, n_followers: int = 4, seed: int = 0) -> MarkovGrammar:
    """Draw words of one to three syllables, and which ones follow each, how often.

    Parameters
    ----------
    n_words : at most 1640.
    n_followers : words that can follow a word.
    """
    rng = np.random.default_rng(seed)
    words: dict[str, None] = {}  # in the order of drawing
    while len(words) < n_words:
        n_syllables = rng.integers(1, 4)
        letters = zip(rng.choice([*CONSONANTS], n_syllables), rng.choice([*VOWELS], n_syllables))
        words["".join(consonant + vowel for consonant, vowel in letters)] = None
    transition = np.zeros((n_words, n_words))
    circle = rng.permutation(n_words)  # by which every word is reached from every other one
    for word, follower in zip(circle, np.roll(circle, 1)):
        others = rng.choice(np.delete(np.arange(n_words), follower), n_followers - 1, False)
        transition[word, [follower, *others]] = rng.dirichlet(np.full(n_followers, 2.0))
    return MarkovGrammar(tuple(words), transition)
