"""Scalers against numbers known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from utils.preprocessing.config import ScalingConfig
from utils.preprocessing.scaling import ScaledRows, fit_scaler


@pytest.fixture
def train() -> np.ndarray:
    ramp = np.arange(1001, dtype=np.float32)
    values = np.stack([ramp, 5 - 2 * ramp, np.full(1001, 7)], axis=1)
    values = np.random.default_rng(0).permuted(values, axis=0)
    return values


@pytest.mark.parametrize(
    ("method", "offset", "scale"),
    [
        ("percentile", [0, -1995, 7], [995, 1990, 0]),
        ("zscore", [500, -995, 7], [288.964, 577.927, 0]),
        ("robust", [500, -995, 7], [500 / 1.349, 1000 / 1.349, 0]),
        ("none", [0, 0, 0], [1, 1, 1]),
    ],
)
def test_offset_and_scale(train, method, offset, scale):
    found = fit_scaler(train, ScalingConfig(method=method))
    np.testing.assert_allclose(found[0], offset, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found[1], scale, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("method", ["percentile", "zscore", "robust"])
def test_missing_values_are_left_out(train, method):
    config = ScalingConfig(method=method)
    holes = np.insert(train, [100, 500], np.nan, axis=0)
    np.testing.assert_allclose(fit_scaler(holes, config), fit_scaler(train, config), rtol=1e-6)


def test_neuron_without_any_value_has_no_scale():
    offset, scale = fit_scaler(np.full((5, 1), np.nan), ScalingConfig())
    assert not scale > 0
    assert not fit_scaler(np.full((5, 1), np.nan), ScalingConfig(method="zscore"))[1] > 0
    assert np.isnan(offset)


def test_scaled_rows_are_the_scaled_matrix(train):
    kept = np.array([True, True, False])
    offset, scale = fit_scaler(train, ScalingConfig())
    rows = ScaledRows(train, kept, offset[kept], scale[kept])
    before = train.copy()
    assert rows.shape == (1001, 2)
    expected = (train[:, :2] - offset[:2]) / scale[:2]
    np.testing.assert_allclose(rows[10:20], expected[10:20], rtol=1e-5)
    np.testing.assert_array_equal(train, before)
