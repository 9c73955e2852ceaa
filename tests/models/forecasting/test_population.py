"""Population ridge against an explicit design matrix, and what it takes from the population."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import behaviour_world, shared_world
from utils.config import ConfigError
from utils.evaluation import score_forecasts
from utils.models.forecasting import DataMismatchError, build_forecaster, load_model
from utils.models.forecasting import lag_grams as grams_module
from utils.models.forecasting import population as population_module
from utils.models.forecasting.lag_grams import neuron_groups
from utils.models.forecasting.moments import MomentSource
from utils.models.forecasting.population import Choice
from utils.models.forecasting.ridge import Maps, penalised_basis, ridge_maps, squared_error
from utils.models.forecasting.shared_series import NO_COVARIATES, leading_components
from utils.models.forecasting.simple import train_moments
from utils.windows import window_data

OWN, SHARED, COMPONENTS, HORIZON = 5, 7, 3, 6  # of the small explicit problem


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


def rows_of(values, block, columns, lags):
    """Windows of a block, the last lags before the horizon: (window, lag * column)."""
    data = block.data
    at = block.starts[:, None] + torch.arange(data.context - lags, data.context)
    return values[at][..., columns].flatten(1)


def test_covariates_stand_beside_components_with_a_penalty_of_their_own():
    data = behaviour_world()
    one = {"components": [2], "own_ridge": [0.02], "shared_ridge": [0.5], "covariate_ridge": [0.1]}
    model = build_forecaster(
        "population_ridge", own_lags=3, shared_lags=4, covariates=True, **one
    ).fit(data)
    assert model.chosen.covariate_ridge == 0.1
    components = leading_components(data, *train_moments(data), 2)
    mean, deviation = train_moments(data, data.covariates)
    scale = torch.where(deviation > 1e-6, 1 / deviation, 0.0)
    behaviour = ((data.covariates.double() - mean) * scale).nan_to_num(0.0)
    shared = torch.cat([components(data.activity.double()), behaviour], dim=1)
    windows = data.activity[data.train.starts[:, None] + torch.arange(data.window)].double()
    y = windows[:, data.context :, 1]
    parts = [
        rows_of(values, data.train, columns, lags)
        for values, columns, lags in (
            (data.activity.double(), [1], 3), (shared, [0, 1], 4), (shared, [2, 3, 4], 4),
        )
    ]  # fmt: skip
    x = torch.cat(parts, dim=1)
    penalty = torch.cat(
        [
            torch.full((part.shape[1],), ridge * part.var(dim=0, correction=0).mean().item())
            for part, ridge in zip(parts, (0.02, 0.5, 0.1))
        ]
    )
    xc = x - x.mean(dim=0)
    weight = torch.linalg.solve(
        xc.T @ xc / len(x) + penalty.double().diag(), xc.T @ (y - y.mean(dim=0)) / len(x)
    )
    found = torch.cat(
        [
            model.own[1],
            model.shared[1].flatten(1),
            model.covariate_map[1].flatten(1),
        ],
        dim=1,
    )
    torch.testing.assert_close(found.T, weight.float(), rtol=1e-3, atol=1e-4)
    expected = xc @ weight + y.mean(dim=0)
    past = torch.nan_to_num(windows[:, : data.context]).float()
    behaviour = data.covariates[data.train.starts[:, None] + torch.arange(data.context)]
    forecast = model.predict(past, behaviour)[:, :, 1]
    complete = windows[:, : data.context].isfinite().flatten(1).all(dim=1)
    torch.testing.assert_close(forecast[complete], expected[complete].float(), rtol=1e-3, atol=1e-3)


def test_validation_drops_covariates_that_tell_nothing():
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((1500, 3))
    data = shared_world()
    lost = window_data(data.activity[:1500], np.arange(1500) / 5, 20, 5, covariates=noise)
    weak = {"covariates": True, "covariate_ridge": [1e-3]}
    model = build_forecaster("population_ridge", **weak).fit(lost)
    assert model.chosen.covariate_ridge is None
    past = lost.test.batch([0, 5]).past
    without = build_forecaster("population_ridge").fit(lost)
    torch.testing.assert_close(model.predict(past), without.predict(past))


@pytest.mark.parametrize("name", ["population_ridge", "linear", "ar16"])
def test_models_with_covariates_ask_for_those_they_were_fitted_on(name, tmp_path):
    data = behaviour_world()
    model = build_forecaster(name, covariates=True).fit(data)
    past = data.test.batch([0]).past
    with pytest.raises(DataMismatchError, match=f"'{name}' was fitted with covariates"):
        model.predict(past)
    with pytest.raises(DataMismatchError, match="3 covariates, found 2"):
        model.predict(past, torch.zeros(1, 12, 2))
    behaviour = torch.randn(1, 12, 3)
    behaviour[0, 4, 1] = torch.nan
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model").predict(past, behaviour)
    assert torch.isfinite(again).all()
    torch.testing.assert_close(again, model.predict(past, behaviour), rtol=0, atol=0)
    other = window_data(data.activity, data.timestamps, 12, 4, covariates=data.covariates)
    with pytest.raises(DataMismatchError, match=r"wheel, pupil, light.*covariate"):
        model.check_data(other)
    build_forecaster(name).fit(data).check_data(other)


def test_full_rank_is_the_ridge_and_rank_two_is_enough_for_two_latents():
    data = shared_world()
    one = {"components": [4], "own_ridge": [0.1], "shared_ridge": [0.1], "shared_lags": 4}
    full = build_forecaster("population_ridge", **one).fit(data)
    problem = population_module._Problem(
        data, full.config, leading_components(data, *train_moments(data), 4), NO_COVARIATES
    )
    whole = problem.solve(full.chosen._replace(rank=16))
    torch.testing.assert_close(whole.own.float(), full.own, rtol=1e-4, atol=1e-6)
    shared = whole.shared.unflatten(2, (4, 4)).float()
    torch.testing.assert_close(shared, full.shared, rtol=1e-4, atol=1e-6)
    low = problem.solve(full.chosen._replace(rank=2)).shared
    assert torch.linalg.matrix_rank(low.flatten(0, 1)) == 2
    lost = (low - whole.shared).square().sum() / whole.shared.square().sum()
    assert lost < 0.1


def test_rank_directions_are_those_of_the_ridge_forecasts():
    """Without own lags that matter: singular vectors of whitened maps, by brute force."""
    data = shared_world()
    config = build_forecaster("population_ridge", own_lags=1, shared_lags=3).config
    components = leading_components(data, *train_moments(data), 3)
    problem = population_module._Problem(data, config, components, NO_COVARIATES)
    choice = Choice(3, 1e9, 0.1)  # own lags are penalised away
    full, low = (problem.solve(choice._replace(rank=rank)).shared for rank in (None, 2))
    (group,) = problem.groups
    features = problem.train.features(group)
    penalised = features.covariance + 0.1 * features.covariance.diagonal().mean() * torch.eye(9)
    root = torch.linalg.cholesky(penalised)
    left, values, right = torch.linalg.svd(root.T @ full.flatten(0, 1).T, full_matrices=False)
    expected = torch.linalg.solve(root.T, left[:, :2] * values[:2] @ right[:2]).T
    torch.testing.assert_close(low.flatten(0, 1), expected, rtol=1e-4, atol=1e-7)


def test_rank_is_chosen_on_validation(monkeypatch):
    data = shared_world()
    model = build_forecaster("population_ridge", rank=[1, 2, 4]).fit(data)
    block = data.validation.batch(torch.arange(len(data.validation)))
    errors = {}
    for rank in (None, 1, 2, 4):
        fixed = model.chosen._replace(rank=rank)
        alone = build_forecaster("population_ridge")
        monkeypatch.setattr(alone, "_choose", lambda problem, choice=fixed: choice)
        errors[rank] = (alone.fit(data).predict(block.past) - block.future).square().mean().item()
    assert model.chosen.rank == min(errors, key=errors.get)


def test_one_neuron_one_frame_and_a_short_context():
    activity = np.random.default_rng(0).standard_normal((600, 1)).astype(np.float32)
    for context, horizon in [(1, 1), (4, 1), (20, 3)]:
        data = window_data(activity, np.arange(600) / 5, context, horizon)
        model = build_forecaster("population_ridge", components=[1]).fit(data)
        assert model.own.shape == (1, horizon, min(16, context))
        assert torch.isfinite(model.predict(torch.zeros(2, context, 1))).all()
