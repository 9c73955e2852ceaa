"""Heads against the distributions they name, and trained on data whose distribution is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from tests.models.forecasting.conftest import QUICK, quick
from utils.models.forecasting.heads import (
    N_QUANTILES,
    Forecast,
    GaussianHead,
    PointHead,
    QuantileHead,
    StudentTHead,
    make_head,
)
from utils.models.forecasting.losses import SCALE_RANGE, scale_penalty

LEVELS = [0.05, 0.5, 0.9]
UNIT = torch.tensor(2.0)


def forecast(outputs, base=0.5, scale=2.0):
    outputs = torch.as_tensor(outputs, dtype=torch.float32).expand(1, 1, 1, -1)
    return Forecast(torch.full((1, 1, 1), base), torch.tensor(scale), outputs)


def future(value):
    return torch.full((1, 1, 1), float(value))


@pytest.mark.parametrize(
    ("loss", "expected"), [("squared", 2.25), ("absolute", 1.5), ("huber", 1.0)]
)
def test_point_losses_are_in_units_of_the_recording(loss, expected):
    head = PointHead(loss)
    found = head.losses(forecast([1.0]), future(-0.5), UNIT)  # 2.5 against -0.5
    assert found.item() == pytest.approx(expected)
    assert head.point(forecast([1.0])).item() == 2.5


def test_gaussian_is_the_normal_density_and_its_quantiles():
    head, said = GaussianHead(), forecast([0.3, np.log(0.7)])
    truth = stats.norm(0.5 + 2 * 0.3, 2 * 0.7)
    # the density in the units of the outputs lacks the factor of the scale
    assert head.losses(said, future(1.7), UNIT).item() == pytest.approx(
        -truth.logpdf(1.7) - np.log(2.0), rel=1e-5
    )
    np.testing.assert_allclose(head.quantiles(said, LEVELS)[0, 0, 0], truth.ppf(LEVELS), rtol=1e-5)
    assert head.point(said).item() == pytest.approx(truth.mean())


@pytest.mark.parametrize("raw", [-3.0, 0.0, 40.0])
def test_student_t_is_the_density_and_its_quantiles(raw):
    head, said = StudentTHead(), forecast([0.3, np.log(0.7), raw])
    freedom = 2 + np.log1p(np.exp(raw + 1))
    truth = stats.t(freedom, 0.5 + 2 * 0.3, 2 * 0.7)
    assert head.losses(said, future(1.7), UNIT).item() == pytest.approx(
        -truth.logpdf(1.7) - np.log(2.0), rel=1e-4
    )
    np.testing.assert_allclose(head.quantiles(said, LEVELS)[0, 0, 0], truth.ppf(LEVELS), rtol=2e-3)


def test_quantile_head_interpolates_orders_and_averages():
    levels = (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES
    z = stats.norm.ppf(levels)
    wanted = 2 * z + 0.1
    said = forecast(wanted[::-1] - z)  # outputs are about a normal distribution; not yet ordered
    found = QuantileHead().quantiles(said, LEVELS)[0, 0, 0]
    np.testing.assert_allclose(found, 0.5 + 2 * np.interp(LEVELS, levels, wanted), rtol=1e-5)
    assert QuantileHead().point(said).item() == pytest.approx(0.5 + 2 * 0.1, abs=1e-6)
    extremes = QuantileHead().quantiles(said, [1e-6, 1 - 1e-6])[0, 0, 0]
    np.testing.assert_allclose(extremes, 0.5 + 2 * wanted[[0, -1]], rtol=1e-5)


def test_pinball_loss_is_smallest_at_the_true_quantiles():
    values = torch.randn(20_000, 1, 1, generator=torch.Generator().manual_seed(0))
    levels = (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES
    true = torch.as_tensor(stats.norm.ppf(levels), dtype=torch.float32)

    def loss(quantiles):
        said = Forecast(
            torch.zeros_like(values), torch.ones(1), (quantiles - true).expand(20_000, 1, 1, -1)
        )
        return QuantileHead().losses(said, values, UNIT).mean().item()

    assert loss(true) < loss(true + 0.1)
    assert loss(true) < loss(true * 1.2)


@pytest.mark.parametrize("kind", ["gaussian", "student_t", "quantile"])
def test_fitted_distribution_covers_what_it_says_on_the_scale_of_the_data(world, kind):
    trainer = {**QUICK, "max_epochs": 3, "stride": 1, "learning_rate": 1e-3, "weight_decay": 1e-4}
    small = {"d_model": 16, "n_heads": 2, "ffn_dim": 16, "encoder_layers": 1}
    model = quick("informer", head=kind, trainer=trainer, **small).fit(world)
    batch = world.test.batch(torch.arange(0, len(world.test), 3))
    low, middle, high = model.predict_quantiles(batch.past, [0.1, 0.5, 0.9]).unbind(-1)
    active = [n for n in range(10) if n != 3]
    inside = ((batch.future > low) & (batch.future < high))[:, :, active].float().mean()
    assert 0.7 < inside < 0.9
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert isinstance(model.predict_quantiles(batch.past.numpy(), [0.5]), np.ndarray)
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.predict_quantiles(batch.past, [0.0])


def test_point_head_has_no_quantiles(world):
    model = quick("informer", d_model=8, n_heads=2).fit(world)
    with pytest.raises(ValueError, match="head='gaussian'"):
        model.predict_quantiles(world.test.batch([0]).past, [0.5])


@pytest.mark.parametrize("kind", ["gaussian", "student_t"])
def test_likelihood_alone_shrinks_the_scale_of_a_silent_neuron_and_the_penalty_stops_it(kind):
    head = make_head(kind, "squared")

    def fitted(weight):
        outputs = torch.zeros(1, 1, 1, head.n_outputs, requires_grad=True)
        optimizer = torch.optim.SGD([outputs], lr=0.05)
        for _ in range(400):
            optimizer.zero_grad()
            said = Forecast(torch.zeros(1, 1, 1), torch.ones(1), outputs)
            loss = head.losses(said, torch.zeros(1, 1, 1), UNIT)
            (loss + weight * scale_penalty(outputs[..., 1])).sum().backward()
            optimizer.step()
        return outputs[..., 1].exp().item()

    assert fitted(0.0) < 1e-6
    assert SCALE_RANGE[0] / 3 < fitted(1.0) < SCALE_RANGE[1]
