"""Scores of heads, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics.heads import (
    calibration_error,
    just_noticeable_difference_score,
    mean_absolute_error,
    reliability_table,
)

PROBABILITIES = np.array([[0.95, 0.05], [0.95, 0.05], [0.4, 0.6], [0.35, 0.65]])


def test_the_mean_absolute_error_has_the_unit_of_the_values():
    assert mean_absolute_error([100.0, 250.0, 300.0], [100.0, 200.0, 310.0]) == pytest.approx(20)


def test_differences_that_cannot_be_noticed_count_by_their_size():
    # 1, 1 - 50/100, nothing beyond the tolerance
    score = just_noticeable_difference_score([100.0, 250.0, 900.0], [100.0, 200.0, 300.0], 100.0)
    assert score == pytest.approx(0.5)


def test_a_missing_truth_does_not_count():
    true = [1.0, np.nan]
    assert mean_absolute_error([1.5, 9.0], true) == 0.5
    assert just_noticeable_difference_score([1.5, 9.0], true, 1.0) == 0.5
    assert np.isnan(mean_absolute_error([9.0], [np.nan]))


def test_a_prediction_that_is_missing_is_seen():
    assert np.isnan(mean_absolute_error([np.nan, 1.0], [1.0, 1.0]))


def test_nothing_scores_nan():
    assert np.isnan(mean_absolute_error([], []))
    assert np.isnan(just_noticeable_difference_score([], [], 1.0))
    assert np.isnan(calibration_error(np.zeros((0, 3)), np.zeros(0, int)))
    assert reliability_table(np.zeros((0, 3)), np.zeros(0, int)).empty


@pytest.mark.parametrize("tolerance", [0.0, -1.0, np.nan, np.inf])
def test_a_tolerance_is_positive(tolerance):
    with pytest.raises(ValueError, match="tolerance must be positive"):
        just_noticeable_difference_score([1.0], [1.0], tolerance)


def test_values_belong_together():
    with pytest.raises(ValueError, match=r"found \(2,\) and \(3,\)"):
        mean_absolute_error([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"found \(2, 1\)"):
        mean_absolute_error(np.zeros((2, 1)), np.zeros((2, 1)))


def test_confidence_stands_beside_accuracy():
    # two answers at .95, one of them right; .6 and .65 share a bin, both right
    table = reliability_table(PROBABILITIES, [0, 1, 1, 1])
    assert table["confidence"].tolist() == pytest.approx([0.625, 0.95])
    assert table["accuracy"].tolist() == [1.0, 0.5]
    assert table["n"].tolist() == [2, 2]
    # (2 * |1 - .625| + 2 * |.5 - .95|) / 4
    assert calibration_error(PROBABILITIES, [0, 1, 1, 1]) == pytest.approx(0.4125)


def test_certainty_that_is_right_is_calibrated():
    assert calibration_error(np.eye(3), [0, 1, 2]) == 0
    assert calibration_error(np.eye(3), [1, 2, 0]) == 1


def test_more_bins_see_more():
    assert calibration_error(PROBABILITIES, [0, 0, 1, 1], 1) == pytest.approx(1 - 0.7875)
    # .05 and .05, and .4 and .35 in bins of their own
    assert calibration_error(PROBABILITIES, [0, 0, 1, 0], 40) == pytest.approx(
        (0.05 + 0.05 + 0.4 + 0.65) / 4
    )


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (PROBABILITIES, [0, 1], "expected probabilities"),
        (PROBABILITIES[0], [0, 1], "expected probabilities"),
        (PROBABILITIES * 2, [0, 1, 1, 1], "add up to 1"),
        ([[1.5, -0.5]], [0], "not be negative"),
        ([[np.nan, 1.0]], [0], "add up to 1"),
        (PROBABILITIES, [0, 1, 1, 2], r"classes 0 \.\. 1, found 0 \.\. 2"),
        (PROBABILITIES, [0, -1, 1, 1], r"found -1 \.\. 1"),
    ],
)
def test_what_is_no_probability_or_class_is_refused(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        calibration_error(probabilities, labels)


def test_bins_are_counted():
    with pytest.raises(ValueError, match="n_bins"):
        reliability_table(PROBABILITIES, [0, 1, 1, 1], 0)
