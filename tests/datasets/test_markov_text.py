"""Text of known entropy: checked against counting, and against a language that is known."""

from __future__ import annotations

import numpy as np
import pytest

from utils.datasets.markov_text import MarkovGrammar, draw_grammar
from utils.datasets.text import TextParts, tokenise
from utils.metrics.ngrams import ngram_bits


def test_the_entropy_rate_of_a_language_worked_out_by_hand():
    """ "a" is followed by itself or by "bcd" with equal chances, "bcd" always by "a"."""
    grammar = MarkovGrammar(("a", "bcd"), np.array([[0.5, 0.5], [1.0, 0.0]]))
    assert np.allclose(grammar.frequency, [2 / 3, 1 / 3])
    assert grammar.entropy_rate == pytest.approx((2 / 3) / (2 / 3 * 2 + 1 / 3 * 4))
    text = "xx a bcd a a bc"  # from a: bcd, a and a, two choices and a certainty
    assert grammar.bits_per_character(text) == pytest.approx(2 / (4 + 2 + 2))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_text_has_the_words_chances_and_entropy_of_its_grammar(seed):
    grammar = draw_grammar(n_words=12, n_followers=3, seed=seed)
    text = grammar.text(30_000, seed)
    assert len(set(grammar.words)) == 12
    assert ((grammar.transition > 0).sum(axis=1) == 3).all()
    assert np.allclose(grammar.transition.sum(axis=1), 1)
    assert np.allclose(grammar.frequency @ grammar.transition, grammar.frequency)
    words = text.split()
    share = np.array([words.count(word) for word in grammar.words]) / len(words)
    assert np.allclose(share, grammar.frequency, atol=0.01)
    assert grammar.bits_per_character(text) == pytest.approx(grammar.entropy_rate, rel=0.02)
    pairs = ngram_bits([grammar.words.index(w) for w in words[:25_000]],
                       [grammar.words.index(w) for w in words[25_000:]], 2, 12)  # fmt: skip
    assert pairs * len(words) / len(text) == pytest.approx(grammar.entropy_rate, rel=0.03)


def test_characters_come_near_the_entropy_rate_from_above():
    """Pairs of characters know little; six in a row nearly all that can be known."""
    grammar = draw_grammar(n_words=12, n_followers=3)
    text = grammar.text(40_000)
    tokens = tokenise(TextParts(text[:150_000], "b", text[150_000:]))
    bits = [ngram_bits(tokens.train.ids, tokens.test.ids, n, tokens.num_tokens) for n in (1, 2, 7)]
    truth = grammar.bits_per_character(text[150_000:])
    assert bits[0] > bits[1] > bits[2] > truth
    assert bits[1] > 2 * truth
    assert bits[2] < 1.15 * truth


def test_texts_depend_on_their_seeds():
    assert draw_grammar(seed=1).words == draw_grammar(seed=1).words != draw_grammar(seed=2).words
    grammar = draw_grammar()
    assert grammar.text(50, seed=1) == grammar.text(50, seed=1) != grammar.text(50, seed=2)
