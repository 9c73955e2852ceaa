"""Gates that every forecaster of the registry passes; a new model cannot enter without them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import (
    behaviour_world,
    make_world,
    quick,
    shared_world,
    world_activity,
)
from utils.evaluation import calcium_oracle
from utils.models.forecasting import (
    DataMismatchError,
    available_forecasters,
    forecaster_class,
    load_model,
)
from utils.simulation import simulate_calcium_population
from utils.splits import TEST, VALIDATION
from utils.training.task import past_covariates
from utils.windows import window_data

# The level from which the exact shared map does what a trained linear one does.
CLOSED_FORMS = {"dlinear": "none", "nlinear": "last", "rlinear": "mean"}
TRAINED = {"max_epochs": 40, "batch_size": 128, "learning_rate": 0.01, "patience": 10}

pytestmark = pytest.mark.parametrize("name", available_forecasters())


@pytest.fixture(scope="module")
def fitted(world):
    """Fitted forecasters by name, each fitted once."""
    models = {}

    def get(name):
        if name not in models:
            models[name] = quick(name).fit(world)
        return models[name]

    return get


def test_future_of_a_window_and_the_test_block_change_nothing(name, world, fitted):
    before = fitted(name)
    activity = world_activity()
    activity[world.split == TEST] += 50.0
    after = quick(name).fit(make_world(activity))
    past = world.test.batch([0, 7]).past
    torch.testing.assert_close(before.predict(past), after.predict(past), rtol=0, atol=0)


def test_validation_chooses_and_teaches_nothing(name, world):
    """Where nothing is left to choose, another validation block gives the same model."""
    activity = world_activity()
    activity[world.split == VALIDATION] = 50 - 3 * activity[world.split == VALIDATION]
    past = world.test.batch([0, 7]).past
    before, after = (
        one_choice(name).fit(data).predict(past) for data in (world, make_world(activity))
    )
    torch.testing.assert_close(before, after, rtol=0, atol=0)


def test_behaviour_of_the_test_block_changes_nothing(name):
    if "covariates" not in forecaster_class(name).Config.model_fields:
        pytest.skip("takes no covariates")
    data, changed = behaviour_world(), behaviour_world()
    changed.covariates[changed.split == TEST] += 50.0
    batch = data.test.batch([0, 7])
    before, after = (
        quick(name, covariates=True).fit(each).predict(batch.past, past_covariates(batch))
        for each in (data, changed)
    )
    torch.testing.assert_close(before, after, rtol=0, atol=0)


def test_batch_size_and_order_do_not_matter(name, world, fitted):
    past = world.test.batch(torch.arange(0, 40, 3)).past
    together = fitted(name).predict(past)
    alone = torch.cat([fitted(name).predict(row[None]) for row in past])
    backwards = fitted(name).predict(past.flip(0)).flip(0)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together, backwards, rtol=1e-4, atol=1e-4)


def test_nothing_is_learnt_from_activity_shuffled_in_time(name):
    order = np.random.default_rng(1).permutation(2400)
    data = make_world(np.nan_to_num(world_activity())[order])
    batch = data.test.batch(torch.arange(len(data.test)))
    model, mean = quick(name).fit(data), quick("train_mean").fit(data)
    errors = [(m.predict(batch.past) - batch.future).square().mean().item() for m in (model, mean)]
    assert 1 - errors[0] / errors[1] < 0.005


def test_saved_model_forecasts_the_same(name, world, fitted, tmp_path):
    batch = world.test.batch([0, 3, 9])
    fitted(name).save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.config == fitted(name).config
    assert loaded.fitted_on == fitted(name).fitted_on
    assert list(loaded.neurons["uuid"]) == list(world.neurons["uuid"])
    torch.testing.assert_close(
        loaded.predict(batch.past), fitted(name).predict(batch.past), rtol=0, atol=0
    )


def test_kind_of_array_is_kept(name, world, fitted):
    past = world.test.batch([0, 1]).past
    as_torch, as_numpy = fitted(name).predict(past), fitted(name).predict(past.numpy())
    assert isinstance(as_torch, torch.Tensor)
    assert isinstance(as_numpy, np.ndarray)
    assert as_numpy.dtype == np.float32
    assert as_numpy.shape == (2, world.horizon, world.n_neurons)
    np.testing.assert_array_equal(as_numpy, as_torch.numpy())


def test_forecasts_other_neurons_where_it_says_so_alone(name, world, fitted):
    model, past = fitted(name), world.test.batch([0, 7]).past
    if not model.transfers:
        with pytest.raises(DataMismatchError, match=name):
            model.predict(past[:, :, :3])
        return
    assert model.predict(past[:, :, :3]).shape == (2, world.horizon, 3)
    relabelled = model.predict(past.flip(2)).flip(2)
    torch.testing.assert_close(relabelled, model.predict(past), rtol=1e-4, atol=1e-4)


def test_missing_entries_do_not_leak_their_value(name, world, fitted):
    past = world.test.batch([0, 5]).past
    mask = torch.ones_like(past, dtype=torch.bool)
    mask[:, 10:15, 2] = mask[0, :, 4] = mask[1, -1, 0] = False
    with_nan = fitted(name).predict(torch.where(mask, past, torch.nan))
    with_mask = fitted(name).predict(torch.where(mask, past, 1e6), mask=mask)
    assert torch.isfinite(with_nan).all()
    torch.testing.assert_close(with_nan, with_mask, rtol=0, atol=0)


def test_says_whether_it_takes_from_the_population(name):
    """Change all neurons but one, each in turn: does the forecast of that one move?

    A model that mixes neurons and does not say so would escape the gate below.
    """
    data = shared_world()
    past = data.test.batch([3]).past.expand(data.n_neurons, -1, -1)
    own = torch.eye(data.n_neurons, dtype=torch.bool)[:, None]
    noise = torch.randn(past.shape, generator=torch.Generator().manual_seed(0))
    model = quick(name).fit(data)
    change = model.predict(torch.where(own, past, past + 10 * noise)) - model.predict(past)
    moved = change.diagonal(dim1=0, dim2=2).abs().max() > 1e-4
    assert bool(moved) == forecaster_class(name).uses_population


def test_a_shifted_population_removes_the_population_gain(name):
    """Each neuron in a time of its own: nothing is left to gain over AR16 from the others.

    Networks are trained for a moment only here, too short to gain in the first place.
    """
    if not forecaster_class(name).uses_population:
        pytest.skip("takes nothing from the population")
    gains = {}
    for shift in (0, 290):
        data = shared_world(shift)
        batch = data.test.batch(torch.arange(len(data.test)))
        errors = [
            (model.predict(batch.past) - batch.future).square().mean().item()
            for model in (quick(name).fit(data), quick("ar16").fit(data))
        ]
        gains[shift] = 1 - errors[0] / errors[1]
    assert gains[290] < 0.005
    if "trainer" not in forecaster_class(name).Config.model_fields:
        assert gains[0] > 0.02


def test_does_not_beat_who_knows_the_truth_of_a_simulation(name):
    population = simulate_calcium_population(12, 3000, n_latents=3)
    data = window_data(population.activity, population.timestamps, 24, 6, source="simulated")
    batch = data.test.batch(torch.arange(len(data.test)))
    forecasts = (
        quick(name).fit(data).predict(batch.past),
        torch.from_numpy(calcium_oracle(population, data)(batch.starts + data.context)),
    )
    own, best = ((each - batch.future).square().mean(dim=(0, 2)) for each in forecasts)
    assert (own > best).all()


def test_a_trained_linear_map_reaches_the_closed_form(name):
    """Within 2 % in squared error of the exact shared map."""
    if "trainer" not in forecaster_class(name).Config.model_fields:
        pytest.skip("is not trained by gradient")
    data = make_world(np.nan_to_num(world_activity()))
    model = quick(name).fit(data)
    if not is_affine(model.network):
        pytest.skip("is not linear")
    assert name in CLOSED_FORMS, f"add {name} to CLOSED_FORMS: which exact map must it reach?"
    trainer = {**TRAINED, "stride": 2, "validation_stride": 1}
    batch = data.test.batch(torch.arange(len(data.test)))
    errors = [
        (each.fit(data).predict(batch.past) - batch.future).square().mean()
        for each in (
            quick(name, trainer=trainer),
            quick("linear", shared=True, subtract=CLOSED_FORMS[name]),
        )
    ]
    assert errors[0] < 1.02 * errors[1]


def test_repr_says_what_it_was_fitted_on(name, fitted):
    assert "24 -> 6 frames, 10 neurons, fitted on simulated data" in repr(fitted(name))
    assert "not fitted" in repr(quick(name))


def one_choice(name):
    """A quick forecaster with one value, the last, for each setting that validation chooses.

    Closed forms below a network choose for themselves, so networks correct the mean instead.
    """
    fields = forecaster_class(name).Config.model_fields
    settings = {
        key: field.default[-1:] for key, field in fields.items() if type(field.default) is list
    }
    return quick(name, **settings, **({"skip": "mean"} if "skip" in fields else {}))


def is_affine(network):
    """Whether what a network does to its inputs is a linear map and a constant."""
    sizes = network.sizes
    shape = 8, sizes.context, sizes.n_neurons
    one, other = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        parts, whole = [network.core(each, None) for each in (one, other)], 3 * one - 2 * other
        distance = network.core(whole, None) - (3 * parts[0] - 2 * parts[1])
    return bool(distance.abs().max() < 1e-3 * (parts[0] - parts[1]).abs().max())
