"""Codes and classes: the formulas of the format, checked number by number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.datasets.vimh import Parameter, class_index, dequantise, quantise

RANGES = st.tuples(st.floats(-1e3, 1e3), st.floats(1e-2, 1e4)).map(lambda r: (r[0], r[0] + r[1]))


@given(ends=RANGES, share=st.floats(-0.5, 1.5))
def test_codes_are_those_of_the_formula(ends, share):
    low, high = ends
    value = low + share * (high - low)
    expected = max(0, min(int(255 * ((value - low) / (high - low))), 255))
    assert quantise([value], low, high).tolist() == [expected]


@given(ends=RANGES, code=st.integers(0, 255))
def test_values_are_those_of_the_formula(ends, code):
    low, high = ends
    assert dequantise([code], low, high).tolist() == [low + (code / 255) * (high - low)]


@given(ends=RANGES, code=st.integers(0, 255))
def test_a_code_loses_less_than_a_level(ends, code):
    low, high = ends
    again = int(quantise(dequantise(code, low, high), low, high))
    assert code - 1 <= again <= code  # truncation may lose one level to rounding errors


@given(ends=RANGES, code=st.integers(0, 255), n_steps=st.floats(1, 300))
def test_classes_are_those_of_the_formula(ends, code, n_steps):
    low, high = ends
    step = (high - low) / n_steps
    value = low + (code / 255) * (high - low)
    n_classes = 1 + round((high - low) / step)
    expected = max(0, min(round((value - low) / step), n_classes - 1))
    assert class_index([value], low, high, step).tolist() == [expected]
    assert Parameter("p", low, step, high).n_classes == n_classes


def test_halves_go_to_even_classes_and_ends_stay_within_them():
    values = [0.0, 0.5, 1.5, 2.5, 3.5, 4.0, -3.0, 9.0]
    assert class_index(values, 0.0, 4.0, 1.0).tolist() == [0, 0, 2, 2, 4, 4, 0, 4]


@pytest.mark.parametrize(
    ("ends", "step", "n_classes"),
    [
        ((126.0, 127.0), 0.5, 3),
        ((-2.0, 0.3), 0.1, 24),
        ((100.0, 127.0), 5.0, 6),  # 5.4 steps
        ((0.3, 0.85), 0.1, 7),  # 5.5 steps, and a little more in binary
        ((0.0, 5.0), 2.0, 3),  # 2.5 steps: half to even
    ],
)
def test_numbers_of_classes(ends, step, n_classes):
    assert Parameter("p", ends[0], step, ends[1]).n_classes == n_classes
    assert class_index(dequantise(255, *ends), *ends, step) == n_classes - 1


def test_a_missing_step_is_a_sixteenth_of_the_range():
    classes = class_index(dequantise(np.arange(256), -1.0, 3.0), -1.0, 3.0)
    assert classes.max() == 16
    assert np.unique(classes).size == 17


def test_class_values_are_classes_of_their_own():
    parameter = Parameter("p", -2.0, 0.1, 0.3)
    back = class_index(parameter.class_values, parameter.min, parameter.max, parameter.step)
    assert back.tolist() == list(range(24))


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
@pytest.mark.parametrize("formula", [quantise, dequantise, class_index])
def test_a_range_without_extent_is_refused(formula, ends):
    with pytest.raises(ValueError, match="min < max"):
        formula([1], *ends)


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_an_impossible_step_is_refused(step):
    with pytest.raises(ValueError, match="step must be positive"):
        class_index([0.5], 0.0, 1.0, step)


def test_values_that_are_no_numbers_have_no_code():
    with pytest.raises(ValueError, match="finite"):
        quantise([0.5, np.nan], 0.0, 1.0)


def test_no_values_are_no_codes():
    assert quantise([], 0.0, 1.0).shape == (0,)
    assert class_index(np.empty((0,)), 0.0, 1.0).shape == (0,)
