"""ListOps: values checked by an own evaluator, expressions within bounds and all different."""

from __future__ import annotations

from itertools import takewhile

import numpy as np
import pytest
import torch

from utils.datasets.examples import without_common_padding
from utils.datasets.examples_module import ExamplesDataModule
from utils.datasets.long_range import draw_listops, listops_tokens
from utils.datasets.long_range.listops import VOCABULARY

SHORT = dict(length=(5, 40), max_depth=4, max_arguments=5)


def evaluate(words: list[str]) -> tuple[int, int]:
    """Value and largest depth, with a stack, from left to right."""
    stack, depth = [[]], 0
    for word in words:
        if word.startswith("["):
            stack.append([word[1:]])
            depth = max(depth, len(stack) - 1)
        elif word == "]":
            name, *values = stack.pop()
            assert len(values) >= 2
            ranked = sorted(values)
            middle = (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) // 2
            total = np.add.reduce(values) % 10
            value = {"MIN": ranked[0], "MAX": ranked[-1], "MED": middle, "SM": total}[name]
            stack[-1].append(int(value))
        else:
            stack[-1].append(int(word))
    assert len(stack) == len(stack[0]) == 1
    return stack[0][0], depth


def words_of(row: np.ndarray) -> list[str]:
    n_padding = len(list(takewhile(lambda token: token == 0, row)))
    assert row[n_padding:].all()  # padding stands at the beginning alone
    return [VOCABULARY[token] for token in row[n_padding:]]


@pytest.fixture(scope="module")
def sets():
    return draw_listops(2000, 300, 300, **SHORT)


def test_the_evaluator_knows_the_published_example():
    expression = "[MAX 2 9 [MIN 4 7 ] 0 ]"
    assert evaluate(expression.split()) == (9, 2)
    assert evaluate(["[MED", "1", "2", "5", "8", "]"])[0] == 3
    assert evaluate(["[SM", "9", "[MED", "3", "4", "]", "9", "]"])[0] == 1
    assert [VOCABULARY[token] for token in listops_tokens(expression)] == expression.split()


def test_every_value_is_right_and_every_expression_within_its_bounds(sets):
    depths, lengths = set(), set()
    for part in (sets.train, sets.validation, sets.test):
        for row, label in zip(part.inputs, part.labels):
            words = words_of(row)
            value, depth = evaluate(words)
            assert value == label
            depths.add(depth)
            lengths.add(len(words))
    assert depths == {1, 2, 3, 4}
    assert (min(lengths), max(lengths)) == (5, 40)


def test_long_expressions_are_right_too():
    train = draw_listops(20, 1, 1, length=(500, 1000)).train
    for row, label in zip(train.inputs, train.labels):
        words = words_of(row)
        assert 500 <= len(words) <= 1000
        value, depth = evaluate(words)
        assert value == label
        assert depth <= 10


def test_no_expression_is_drawn_twice(sets):
    rows = np.concatenate([part.inputs for part in (sets.train, sets.validation, sets.test)])
    assert len(np.unique(rows, axis=0)) == len(rows) == 2600
    assert set(sets.train.labels) == set(range(10))


def test_expressions_depend_on_the_seed_alone():
    one, same, other = (draw_listops(50, 5, 5, seed=seed, **SHORT).train for seed in (3, 3, 4))
    assert np.array_equal(one.inputs, same.inputs)
    assert one.inputs.shape != other.inputs.shape or not np.array_equal(one.inputs, other.inputs)


def test_too_few_expressions_are_reported():
    with pytest.raises(ValueError, match=r"after \d+ expressions, none of 4 to 4 tokens was new"):
        draw_listops(500, 1, 1, length=(4, 4))
    with pytest.raises(ValueError, match="after 0 expressions, none of 50 to 60"):
        draw_listops(1, 1, 1, length=(50, 60), max_depth=1)


def test_batches_end_with_the_last_bracket(sets):
    module = ExamplesDataModule(sets, without_common_padding, batch_size=50)
    for tokens, labels in module.val_dataloader():
        assert (tokens[:, -1] == VOCABULARY.index("]")).all()
        assert (tokens[:, 0] != 0).any()
        assert labels.dtype == torch.int64
    assert torch.equal(without_common_padding(torch.tensor([[0, 0, 1], [0, 2, 0]])),
                       torch.tensor([[0, 1], [2, 0]]))  # fmt: skip
