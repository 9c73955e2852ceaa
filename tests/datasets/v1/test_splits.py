"""Trials to train, validate and test on, by type of stimulus."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from utils.config import ConfigError
from utils.datasets.v1 import HELD_OUT, V1DatasetConfig
from utils.datasets.v1.splits import split_trials
from utils.splits import TEST, TRAIN, UNUSED, VALIDATION

TYPES = ["backimage"] * 40 + ["gratings"] * 20 + ["fixrsvp"] * 3 + ["stabilised"] * 5


def labels_of(trial_types=TYPES, **settings):
    config = V1DatasetConfig(name="a", path="a.h5", cell_ids=[0], **settings)
    return split_trials(trial_types, config)


def counts(labels, name, types=TYPES):
    return Counter(labels[np.array(types) == name].tolist())


def test_each_type_is_shared_out_by_itself():
    labels = labels_of()
    assert counts(labels, "backimage") == {TRAIN: 28, VALIDATION: 6, TEST: 6}
    assert counts(labels, "gratings") == {TRAIN: 14, VALIDATION: 3, TEST: 3}
    assert counts(labels, "fixrsvp") == {TRAIN: 1, VALIDATION: 1, TEST: 1}
    assert counts(labels, "stabilised") == {TRAIN: 3, VALIDATION: 1, TEST: 1}


def test_types_can_be_held_out_or_left_out():
    labels = labels_of(types=["backimage", "stabilised"], held_out_types=["stabilised"])
    assert counts(labels, "stabilised") == {HELD_OUT: 5}
    assert counts(labels, "gratings") == {UNUSED: 20}


def test_the_choice_depends_on_the_seed_and_on_no_other_type():
    labels = labels_of()
    np.testing.assert_array_equal(labels, labels_of())
    assert (labels != labels_of(seed=1)).any()
    np.testing.assert_array_equal(labels[:40], labels_of(TYPES[:40]))
    assert (np.diff(labels[:40]) != 0).sum() > 6  # no blocks in time


@pytest.mark.parametrize(
    ("n", "expected"), [(1, [1, 0, 0]), (2, [2, 0, 0]), (3, [1, 1, 1]), (4, [2, 1, 1])]
)
def test_few_trials_are_first_of_all_for_training(n, expected):
    labels = labels_of(["movie"] * n)
    assert [(labels == label).sum() for label in (TRAIN, VALIDATION, TEST)] == expected


def test_a_split_without_a_share_gets_nothing():
    assert set(labels_of(fractions=[0.5, 0.5, 0]).tolist()) == {TRAIN, VALIDATION}


@pytest.mark.parametrize("key", ["types", "held_out_types"])
def test_an_unknown_type_is_named(key):
    with pytest.raises(
        ConfigError, match="'a': no trial has the type 'stabilized'; did you mean st"
    ):
        labels_of(**{key: ["stabilized"]})
