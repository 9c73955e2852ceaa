"""Heads: from the parameters of a data set, and what their outputs mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.models.spectral import Head
from utils.models.spectral.heads import n_outputs, read_head

HEAD = Head(name="velocity", minimum=100.0, maximum=127.0, step=5.0, n_classes=6)


def test_heads_come_from_the_data_set(heads, saw):
    assert [head.name for head in heads] == ["note_velocity", "log10_decay_time"]
    assert [head.n_classes for head in heads] == [3, 24]
    for head, parameter in zip(heads, saw.parameters):
        assert np.array_equal(head.class_values, parameter.class_values)
    assert heads[1].distance == pytest.approx(0.1)


def test_distance_is_range_by_steps_between_classes():
    assert HEAD.distance == pytest.approx(27 / 5)
    assert HEAD.class_values.tolist() == [100, 105, 110, 115, 120, 125]


def test_classes_have_values_and_probabilities():
    outputs = torch.tensor([[0.0, 3.0, 0.0, 0.0, 0.0, 0.0]])
    said = read_head(HEAD, "soft", outputs)
    assert said.classes.tolist() == [1]
    assert said.values.tolist() == [105.0]
    assert said.probabilities.sum() == pytest.approx(1)


def test_quantised_outputs_are_places_between_classes():
    said = read_head(HEAD, "quantised", torch.tensor([[1.6], [-3.0], [7.0]]))
    assert said.values == pytest.approx([108.0, 100.0, 125.0])
    assert said.classes.tolist() == [2, 0, 5]
    assert said.probabilities is None


def test_regression_outputs_are_shares_of_the_range():
    said = read_head(HEAD, "regression", torch.tensor([[0.0], [50.0], [-50.0]]))
    assert said.values == pytest.approx([113.5, 127.0, 100.0])
    assert said.classes.tolist() == [3, 5, 0]


@pytest.mark.parametrize(
    ("loss", "n"), [("cross_entropy", 6), ("soft", 6), ("quantised", 1), ("regression", 1)]
)
def test_outputs_follow_the_loss(loss, n):
    assert n_outputs(HEAD, loss) == n


@pytest.mark.parametrize("wrong", [dict(maximum=100.0), dict(n_classes=1), dict(step=0.0)])
def test_heads_without_extent_are_refused(wrong):
    with pytest.raises(ValueError, match=r"2 classes or more|greater than 0"):
        Head(**HEAD.model_dump() | wrong)
