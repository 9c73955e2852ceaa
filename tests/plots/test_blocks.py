from __future__ import annotations

import numpy as np
import pytest

from utils.plots.blocks import block_means


def brute_force(activity, order, n_rows, n_columns):
    image = np.full((n_rows, n_columns), np.nan)
    n_time = len(activity)
    row_of = np.arange(len(order)) * n_rows // len(order)
    column_of = np.arange(n_time) * n_columns // n_time
    for row in range(n_rows):
        for column in range(n_columns):
            block = activity[column_of == column][:, order[row_of == row]]
            if np.isfinite(block).any():
                image[row, column] = np.nanmean(block)
    return image


@pytest.mark.parametrize(
    ("n_time", "n_neurons"), [(10, 3), (103, 37), (50, 41), (1, 1), (40, 20), (7, 200)]
)
def test_equals_brute_force_with_missing_values_and_any_order(n_time, n_neurons):
    rng = np.random.default_rng(n_time)
    activity = rng.normal(size=(n_time, n_neurons)).astype(np.float32)
    activity[rng.random(activity.shape) < 0.3] = np.nan
    activity[n_time // 2 :, : n_neurons // 2] = np.nan
    order = rng.permutation(n_neurons)[: max(n_neurons * 2 // 3, 1)]
    image = block_means(activity, order, max_rows=20, max_columns=40)
    assert image.shape == (min(len(order), 20), min(n_time, 40))
    np.testing.assert_allclose(image, brute_force(activity, order, *image.shape), atol=1e-5)


def test_offset_and_scale_are_per_neuron():
    activity = np.array([[1.0, 10.0], [3.0, 30.0]], np.float32)
    image = block_means(activity, offset=np.array([1.0, 10]), scale=np.array([2.0, 20]))
    np.testing.assert_allclose(image, [[0, 1], [0, 1]])


def test_small_activity_is_not_enlarged_and_empty_stays_empty():
    activity = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(block_means(activity), activity.T)
    assert block_means(np.zeros((0, 4), np.float32)).shape == (4, 0)
    assert block_means(np.zeros((4, 3), np.float32), order=[]).shape == (0, 4)


def test_read_only_and_transposed_views_are_accepted():
    activity = np.arange(12, dtype=np.float32).reshape(3, 4)
    activity.flags.writeable = False
    np.testing.assert_array_equal(block_means(activity.T), activity)
