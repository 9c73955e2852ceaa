"""Few minutes of a new session: all forecasters see the same ones, the test block stays."""

from __future__ import annotations

import numpy as np
import pytest

from utils.evaluation import few_minutes
from utils.models.forecasting import build_forecaster
from utils.simulation.population import simulate_calcium_population
from utils.windows import window_data

QUICK = {
    "max_steps": 10, "stride": 2, "validation_stride": 4, "device": "cpu", "progress": False,
}  # fmt: skip


def session(seed, n_neurons):
    population = simulate_calcium_population(n_neurons, 3000, n_latents=4, seed=seed)
    return window_data(population.activity, population.timestamps, 24, 6, source="simulated")


def test_table_has_each_forecaster_at_each_number_of_minutes():
    first, new = session(0, 12), session(1, 10)
    small = {"latents": 4, "memories": 4, "hidden": 8}
    model = build_forecaster("population_network", trainer=QUICK, **small).fit(first)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    table = few_minutes(model, new, [1.0], baselines=["ar16", "train_mean"], stride=8)
    names = ["frozen core", "all weights", "from scratch", "ar16", "train_mean"]
    assert table["forecaster"].tolist() == names
    assert table["minutes"].tolist() == [1.0] * 5
    scores = table.set_index("forecaster")
    assert scores.loc["ar16", "over_ar16_skill"] == pytest.approx(0.0, abs=1e-9)
    assert scores.loc["train_mean", "r2"] == pytest.approx(0.0, abs=1e-9)
    expected = 1 - scores["mse"] / scores.loc["ar16", "mse"]
    np.testing.assert_allclose(scores["over_ar16_skill"], expected, rtol=1e-4, atol=1e-6)
    assert all((model.network.state_dict()[name] == value).all() for name, value in before.items())
    with pytest.raises(ValueError, match="fitted on this session"):
        few_minutes(model, first, [1.0])


def test_minutes_are_those_that_there_are():
    model = build_forecaster("population_network", trainer=QUICK).fit(session(0, 12))
    new = session(1, 5)
    table = few_minutes(model, new, [1000.0], baselines=["train_mean"], stride=50)
    assert table["minutes"].tolist() == [new.train.minutes] * 4
