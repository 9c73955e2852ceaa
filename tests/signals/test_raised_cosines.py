"""Raised cosines: heights, order, widths, and the smallest bases."""

from __future__ import annotations

import numpy as np
import pytest

from utils.signals import raised_cosines


def test_bumps_are_one_high_and_stand_in_order_of_their_lags():
    basis = raised_cosines(1000, 6)
    np.testing.assert_allclose(basis.max(axis=1), 1, atol=0.05)
    assert (np.diff(basis.argmax(axis=1)) > 0).all()
    widths = (basis > 0.5).sum(axis=1)
    assert (np.diff(widths[:-1]) >= 0).all()  # the last is cut off at the end


def test_a_large_offset_makes_widths_alike():
    def inner(offset):
        return (raised_cosines(300, 6, offset) > 0.5).sum(axis=1)[1:-1]

    assert np.ptp(inner(1e6)) <= 1 < np.ptp(inner(1.0))


@pytest.mark.parametrize(("n_lags", "n_bumps"), [(1, 1), (1, 3), (8, 1)])
def test_the_smallest_bases_are_finite_and_start_at_one(n_lags, n_bumps):
    basis = raised_cosines(n_lags, n_bumps)
    assert basis.shape == (n_bumps, n_lags)
    assert np.isfinite(basis).all()
    assert basis[0, 0] == 1
