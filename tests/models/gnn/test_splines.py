"""Natural splines: values, tails, mixtures and sums over columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from utils.models.gnn.splines import natural_splines, quantile_knots

KNOTS = np.array([-3.0, -1.0, 0.0, 0.5, 2.0, 4.0])
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


@pytest.fixture
def weights() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(len(KNOTS), 3)))


@pytest.mark.parametrize("device", DEVICES)
def test_mixtures_are_natural_cubic_splines_with_straight_tails(weights, device):
    curves = natural_splines(KNOTS, device).mix(weights.to(device))
    reference = CubicSpline(KNOTS, weights.numpy(), bc_type="natural")
    inside = np.linspace(-3, 4, 50)
    found = curves(torch.from_numpy(inside).to(device)).cpu().numpy()
    np.testing.assert_allclose(found, reference(inside), atol=1e-12)
    for end, outside in ((-3.0, -7.0), (4.0, 10.0)):
        straight = reference(end) + reference(end, 1) * (outside - end)
        found = curves(torch.tensor([outside], dtype=torch.float64, device=device))[0]
        np.testing.assert_allclose(found.cpu().numpy(), straight, atol=1e-12)


def test_span_holds_constants_and_lines():
    splines, u = natural_splines(KNOTS), torch.linspace(-9, 9, 31, dtype=torch.float64)
    values = splines(u)
    torch.testing.assert_close(values.sum(dim=1), torch.ones_like(u))
    torch.testing.assert_close(values @ torch.from_numpy(KNOTS), u)


@pytest.mark.parametrize("device", DEVICES)
def test_columns_take_the_curve_of_their_label(weights, device):
    curves = natural_splines(KNOTS, device).mix(weights.to(device))
    u = 3 * torch.randn(7, 4, dtype=torch.float64, device=device)
    labels = torch.tensor([2, 0, 1, 2], device=device)
    every = curves(u)  # (row, column, curve)
    expected = torch.stack([every[:, column, label] for column, label in enumerate(labels)], dim=1)
    torch.testing.assert_close(curves.of_columns(u, labels), expected)
    torch.testing.assert_close(curves.of_columns(u), every[..., 0])


@pytest.mark.parametrize("device", DEVICES)
def test_sums_over_columns(weights, device):
    curves = natural_splines(KNOTS, device).mix(weights.to(device))
    u, mixing = 4 * torch.randn(6, 5, device=device), torch.randn(5, 2, device=device)
    u, mixing = u.double(), mixing.double()
    expected = torch.einsum("tjk,js->tsk", curves(u), mixing)
    torch.testing.assert_close(curves.sums(u, mixing), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("knots", [[1.0], [0.0, 0.0, 1.0], [1.0, 0.0]])
def test_knots_must_ascend(knots):
    with pytest.raises(ValueError, match="ascending knots"):
        natural_splines(knots)


def test_knots_at_quantiles_are_distinct():
    knots = quantile_knots(np.random.default_rng(0).normal(size=5000), 9)
    assert len(knots) == 9
    assert abs(knots[4]) < 0.1
    assert len(quantile_knots(np.r_[np.zeros(900), np.ones(100)], 9)) == 2
    np.testing.assert_array_equal(quantile_knots(np.full(10, 3.0), 9), [2.5, 3.5])
