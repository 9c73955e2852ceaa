"""Bits of n-grams: counted by hand, and the entropy of what they can know."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics.ngrams import PSEUDO_COUNT, ngram_bits


def test_pairs_are_counted():
    train, test = [0, 1, 0, 1, 0, 2], [0, 1, 2, 0]
    a = PSEUDO_COUNT
    chances = [
        (2 + a) / (3 + 3 * a),  # 1 after 0
        (0 + a) / (2 + 3 * a),  # 2 after 1
        a / (3 * a),  # 0 after 2, which nothing followed
    ]
    assert ngram_bits(train, test, 2, 3) == pytest.approx(-np.log2(chances).mean())
    alone = [(count + a) / (6 + 3 * a) for count in (3, 2, 1, 3)]
    assert ngram_bits(train, test, 1, 3) == pytest.approx(-np.log2(alone).mean())


def test_tokens_drawn_at_random_need_their_entropy_and_a_period_needs_nothing():
    rng = np.random.default_rng(0)
    chances = np.array([0.5, 0.25, 0.125, 0.125])
    tokens = rng.choice(4, 40_000, p=chances)
    for n in (1, 2, 3):
        assert ngram_bits(tokens[:30_000], tokens[30_000:], n, 4) == pytest.approx(1.75, abs=0.02)
    period = np.tile([0, 1, 0, 2, 3], 2000)
    assert ngram_bits(period, period, 3, 4) < 0.001 < ngram_bits(period, period, 2, 4)
