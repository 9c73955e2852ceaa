"""Population ridge against an explicit design matrix, and what it takes from the population."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.config import ConfigError
from utils.evaluation import score_forecasts
from utils.models.forecasting import build_forecaster, load_model
from utils.models.forecasting import lag_grams as grams_module
from utils.models.forecasting.lag_grams import neuron_groups
from utils.models.forecasting.moments import MomentSource
from utils.models.forecasting.ridge import Maps, penalised_basis, ridge_maps, squared_error
from utils.models.forecasting.shared_series import leading_components
from utils.models.forecasting.simple import train_moments
from utils.windows import window_data

OWN, SHARED, COMPONENTS, HORIZON = 5, 7, 3, 6  # of the small explicit problem


def shared_world(shift: int = 0):
    """Twelve noisy views of two latents; with ``shift``, each cell in a time of its own."""
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((4500, 2))
    for frame in range(1, 4500):
        latents[frame] += 0.9 * latents[frame - 1]
    activity = latents @ rng.standard_normal((2, 12)) + 3 * rng.standard_normal((4500, 12))
    for cell in range(12):
        activity[:, cell] = np.roll(activity[:, cell], shift * cell)
    return window_data(activity.astype(np.float32), np.arange(4500) / 5, 20, 5)


def overall_skill(data, **settings):
    model = build_forecaster("population_ridge", **settings).fit(data)
    return score_forecasts(model, data, baselines=["ar16"]).overall["ar16"].skill[0]


@pytest.fixture(scope="module")
def projection(world):
    return leading_components(world, *train_moments(world), COMPONENTS)


def streamed(world, split, projection):
    """Moments of all neurons, group after group."""
    source = MomentSource(world, split, projection.centre, OWN, projection.series(world), SHARED)
    for group in neuron_groups(world, (split,)):
        yield source.moments(group, group.neurons, source.features(group))


def explicit(world, split, projection, neuron):
    """Inputs and targets of all complete windows of a neuron."""
    values = world.activity.double() - projection.centre
    series = projection(world.activity.double())
    rows = [slice(start, start + world.window) for start in split.starts.tolist()]
    own = torch.stack([values[row, neuron] for row in rows])
    shared = torch.stack([series[row][24 - SHARED : 24].flatten() for row in rows])
    complete = own.isfinite().all(dim=1)
    return torch.cat([own[:, 24 - OWN : 24], shared], dim=1)[complete], own[complete, 24:]


def normal_equations(x, y, own_ridge, shared_ridge):
    xc, yc = x - x.mean(dim=0), y - y.mean(dim=0)
    variance = xc.square().mean(dim=0)
    own = own_ridge * variance[:OWN].mean().expand(OWN)
    shared = shared_ridge * variance[OWN:].mean().expand(SHARED * COMPONENTS)
    penalty = torch.cat([own, shared]).diag()
    weight = torch.linalg.solve(xc.T @ xc / len(x) + penalty, xc.T @ yc / len(x))
    return weight, y.mean(dim=0) - x.mean(dim=0) @ weight


@pytest.mark.parametrize("neuron", [0, 5])
def test_equals_normal_equations_of_an_explicit_design_matrix(world, projection, neuron):
    """Neuron 5 misses frames: its complete windows alone count."""
    x, y = explicit(world, world.train, projection, neuron)
    (moments,) = (m for m in streamed(world, world.train, projection) if neuron in m.neurons)
    assert moments.count == len(x)
    place = moments.neurons.tolist().index(neuron)
    variance = moments.features.covariance.diagonal().mean()
    penalty = variance.expand(SHARED * COMPONENTS)
    eigenvalues, basis = penalised_basis(moments.features, penalty)
    for ridge in [0.05, 3.0]:
        maps = ridge_maps(moments.rotated(basis), 0.02, 1 / (eigenvalues + ridge))
        weight, bias = normal_equations(x, y, 0.02, ridge)
        joined = torch.cat([maps.own[place], maps.shared[place] @ basis.T], dim=1).T
        torch.testing.assert_close(joined, weight, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(maps.bias[place], bias, rtol=1e-6, atol=1e-9)


def test_squared_error_equals_the_sum_over_windows(world, projection):
    rng = torch.Generator().manual_seed(0)
    maps = [
        torch.randn(10, HORIZON, *rest, generator=rng, dtype=torch.float64)
        for rest in ([OWN], [SHARED * COMPONENTS], [])
    ]
    expected = 0.0
    for neuron in range(10):
        x, y = explicit(world, world.validation, projection, neuron)
        weight = torch.cat([maps[0][neuron], maps[1][neuron]], dim=1)
        expected += (x @ weight.T + maps[2][neuron] - y).square().sum().item()
    found = sum(
        squared_error(moments, Maps(*(part[moments.neurons] for part in maps)))
        for moments in streamed(world, world.validation, projection)
    )
    assert found == pytest.approx(expected, 1e-9)


def test_forecast_uses_the_maps_and_the_components(world):
    """The model as a whole against its explicit design matrix, on windows without holes."""
    settings = {"components": [3], "own_ridge": [0.02], "shared_ridge": [0.05]}
    model = build_forecaster("population_ridge", own_lags=OWN, shared_lags=SHARED, **settings).fit(
        world
    )
    projection = leading_components(world, *train_moments(world), 3)
    weight, bias = normal_equations(*explicit(world, world.train, projection, 1), 0.02, 0.05)
    x, _ = explicit(world, world.test, projection, 1)
    batch = world.test.batch(torch.arange(len(world.test)))
    expected = (x @ weight + bias + projection.centre[1]).float()
    torch.testing.assert_close(model.predict(batch.past)[:, :, 1], expected, rtol=1e-4, atol=1e-4)


def test_components_are_the_principal_axes_of_the_training_block():
    data = shared_world()
    mean, deviation = train_moments(data)
    found = leading_components(data, mean, deviation, 2).weights * deviation[:, None]
    rows = torch.cat([data.activity[a:b] for a, b in data.train.segments.tolist()]).double()
    expected = torch.linalg.svd((rows - mean) / deviation, full_matrices=False).Vh[:2].T
    overlap = (expected.T @ found).abs()
    torch.testing.assert_close(overlap, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-5)


def test_population_helps_unless_its_cells_are_shifted_against_each_other():
    """Forced to use the population, it gains nothing; free to choose, it does not lose either."""
    assert overall_skill(shared_world()) > 0.02
    shifted = shared_world(shift=290)
    assert overall_skill(shifted, components=[2]) < 0.003
    assert abs(overall_skill(shifted)) < 0.005


def test_without_population_it_is_the_autoregression(world):
    alone = build_forecaster("population_ridge", components=[0]).fit(world)
    ar16 = build_forecaster("ar16").fit(world)
    past = world.test.batch([0, 9, 40]).past
    assert alone.chosen.own_ridge == ar16.chosen.ridge
    torch.testing.assert_close(alone.predict(past), ar16.predict(past), rtol=1e-4, atol=1e-4)


def test_validation_drops_a_population_that_tells_nothing(tmp_path):
    noise = np.random.default_rng(0).standard_normal((1500, 8)).astype(np.float32)
    data = window_data(noise, np.arange(1500) / 5, 20, 5)
    model = build_forecaster("population_ridge", shared_ridge=[1e-3]).fit(data)
    assert model.chosen.components == 0
    model.save(tmp_path / "model")
    past = data.test.batch([0, 3]).past
    assert torch.equal(load_model(tmp_path / "model").predict(past), model.predict(past))


def test_chooses_what_is_best_on_validation():
    data = shared_world()
    block = data.validation.batch(torch.arange(len(data.validation)))
    errors = {}
    for components, ridge in [(0, 0.01), (1, 0.01), (1, 10.0), (2, 0.01), (2, 10.0)]:
        one = {"components": [components], "shared_ridge": [ridge], "own_ridge": [0.1]}
        model = build_forecaster("population_ridge", **one).fit(data)
        errors[components, ridge] = (model.predict(block.past) - block.future).square().mean()
    both = {"components": [0, 1, 2], "shared_ridge": [0.01, 10.0], "own_ridge": [0.1]}
    chosen = build_forecaster("population_ridge", **both).fit(data).chosen
    assert (chosen.components, chosen.shared_ridge) == min(errors, key=errors.get)


def test_chunks_of_neurons_change_nothing(world, monkeypatch):
    whole = build_forecaster("population_ridge").fit(world)
    monkeypatch.setattr(grams_module, "NEURONS_AT_ONCE", 3)
    parts = build_forecaster("population_ridge").fit(world)
    assert parts.chosen == whole.chosen
    for name in ("own", "shared", "bias"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


def test_silent_and_never_observed_neurons_get_their_mean(monkeypatch):
    monkeypatch.setattr(grams_module, "NEURONS_AT_ONCE", 1)  # a chunk without any window
    activity = np.random.default_rng(0).standard_normal((900, 4)).astype(np.float32)
    activity[:, 1], activity[:, 2] = 0.25, np.nan
    data = window_data(activity, np.arange(900) / 5, 8, 4)
    model = build_forecaster("population_ridge", components=[2]).fit(data)
    forecast = model.predict(torch.randn(5, 8, 4))
    torch.testing.assert_close(forecast[:, :, 1], torch.full((5, 4), 0.25))
    torch.testing.assert_close(forecast[:, :, 2], torch.zeros(5, 4))


@pytest.mark.parametrize("wrong", [{"components": [-1]}, {"shared_ridge": [0.0]}, {"own_lags": 0}])
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        build_forecaster("population_ridge", **wrong)
