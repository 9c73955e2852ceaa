"""Errors against the truth are those of a calculation by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from utils.evaluation.v1_twin.recovery import (
    kernel_correlation,
    recovery_summary,
    recovery_table,
    true_kernels,
    truth_table,
)


@pytest.fixture
def truth():
    return SimpleNamespace(
        centre=np.array([[0.0, 0.0], [0.2, -0.1], [0.1, 0.1]]),
        ori=np.array([2.0, 90.0, 45.0]),
        sf=np.array([2.0, 4.0, 6.0]),
        f1_f0=np.array([0.0, 1.0, 1.5]),
        is_complex=np.array([True, False, False]),
        saccade_weight=np.array([1.0, 2.0, -1.0]),
        saccade_lags=np.array([0.0, 0.1, 0.2]),
        saccade_kernel=np.array([-0.2, 0.4, 0.0]),
    )


@pytest.fixture
def estimate():
    return pd.DataFrame(
        {
            "azimuth": [0.03, 0.2, np.nan],
            "elevation": [0.04, -0.1, np.nan],
            "ori": [178.0, 100.0, np.nan],
            "sf": [1.0, 4.0, np.nan],
            "f1_f0": [0.1, 0.9, np.nan],
        }
    )


def test_errors_are_those_of_a_hand_calculation(truth, estimate):
    table = truth_table(truth)
    np.testing.assert_allclose(table["f1_f0"], [0, 1, 3 / 2.5])
    errors = recovery_table(table, estimate)
    np.testing.assert_allclose(errors["centre_error"], [0.05, 0, np.nan], atol=1e-12)
    np.testing.assert_allclose(errors["ori_error"], [4, 10, np.nan])
    np.testing.assert_allclose(errors["sf_ratio"], [0.5, 1, np.nan])
    np.testing.assert_allclose(errors["f1_f0_error"], [0.1, -0.1, np.nan])


def test_the_summary_counts_cells_with_an_estimate(truth, estimate):
    summary = recovery_summary(recovery_table(truth_table(truth), estimate))
    assert summary["n_cells"].tolist() == [2, 2, 2, 2]
    np.testing.assert_allclose(summary["median"], [0.025, 7, 0.75, 0.1])
    np.testing.assert_allclose(summary.loc["ori_error", ["q25", "q75"]].astype(float), [5.5, 8.5])


def test_only_what_is_estimated_is_compared(truth, estimate):
    errors = recovery_table(truth_table(truth), estimate[["ori"]])
    assert list(errors) == ["ori_error"]
    with pytest.raises(ValueError, match="3 cells in truth, 2 estimated"):
        recovery_table(truth_table(truth), estimate[:2])


def test_kernels_are_compared_lag_by_lag(truth, estimate):
    lags = np.array([-0.1, 0.0, 0.05, 0.1, 0.3])
    kernels = true_kernels(truth, lags)
    np.testing.assert_allclose(kernels[:, 0], [0, -0.2, 0.1, 0.4, 0])
    np.testing.assert_allclose(kernels[:, 1], 2 * kernels[:, 0])
    other = np.column_stack([3 * kernels[:, 0] + 1, -kernels[:, 1], np.ones(5)])
    np.testing.assert_allclose(kernel_correlation(kernels, other), [1, -1, np.nan])
    errors = recovery_table(truth_table(truth), estimate, (kernels, other))
    np.testing.assert_allclose(errors["kernel_r"], [1, -1, np.nan])
