"""Nothing beats who knows the truth, and the truth is found for the right frames and neurons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from utils.evaluation import (
    calcium_oracle,
    fitted_baseline,
    kalman_oracle,
    open_oracle,
    oracle_session,
    score_forecasts,
    session_oracle,
)
from utils.load_meso_session import open_session
from utils.preprocessing import preprocess
from utils.simulation import simulate_calcium_population
from utils.simulation.population_oracle import expected_calcium, oracle_r2
from utils.windows import load_windows, window_data

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

BASELINES = ("persistence", "mean", "train_mean", "ar16", "population_ridge")


def all_of(split):
    return split.batch(torch.arange(len(split)))


def errors_of(forecast, batch):
    """Mean squared error for each frame ahead, (horizon,)."""
    squared = np.square(np.asarray(forecast) - batch.future.numpy())
    observed = np.ones(squared.shape) if batch.future_mask is None else batch.future_mask.numpy()
    return (squared * observed).sum(axis=(0, 2)) / observed.sum(axis=(0, 2))


def errors_of_baseline(name, data, batch):
    return errors_of(fitted_baseline(name, data).predict(batch.past, mask=batch.past_mask), batch)


@pytest.fixture(scope="module")
def world():
    return simulate_calcium_population(60, 8000)


@pytest.fixture(scope="module")
def data(world):
    return window_data(world.activity, world.timestamps, 24, 12, scale="zscore")


@pytest.fixture(scope="module")
def batch(data):
    return all_of(data.test)


def test_forecast_is_the_expectation_on_the_scale_of_the_data(world, data):
    origins = np.array([500, 90, 90])
    expected = expected_calcium(world, world.latents[origins - 1], world.calcium[origins - 1], 12)
    expected = (expected - data.scaler["offset"]) / data.scaler["scale"]
    forecast = calcium_oracle(world, data)(origins)
    assert forecast.dtype == np.float32
    np.testing.assert_allclose(forecast, expected, rtol=1e-5, atol=1e-6)
    assert calcium_oracle(world, data)(origins[:0]).shape == (0, 12, 60)


def test_r2_on_windows_is_the_closed_form(world, data, batch):
    errors = errors_of(calcium_oracle(world, data)(batch.starts + data.context), batch)
    r2 = 1 - errors / errors_of_baseline("train_mean", data, batch)
    np.testing.assert_allclose(r2, oracle_r2(world, 12), atol=0.03)


@pytest.mark.parametrize("oracle", [calcium_oracle, kalman_oracle])
def test_no_baseline_beats_the_oracles_of_a_population(world, data, batch, oracle):
    errors = errors_of(oracle(world, data)(batch.starts + data.context), batch)
    for name in BASELINES:
        assert (errors < errors_of_baseline(name, data, batch)).all(), name


def test_the_observed_past_tells_less_than_the_true_state(world, data, batch):
    origins = batch.starts + data.context
    true, observed = (
        errors_of(oracle(world, data)(origins), batch) for oracle in (calcium_oracle, kalman_oracle)
    )
    assert (true < observed).all()


def test_scores_are_a_part_of_the_way_to_the_oracle(world, data):
    ridge = fitted_baseline("population_ridge", data)
    scores = score_forecasts(ridge, data, oracle=calcium_oracle(world, data), stride=4)
    assert 0.3 < scores.of_oracle().skill[0] < 1
    assert scores.overall["oracle"].skill[0] < 0


@pytest.mark.parametrize("oracle", [calcium_oracle, kalman_oracle])
def test_the_future_changes_nothing(world, data, oracle):
    changed = simulate_calcium_population(60, 8000)
    for values in (changed.activity, changed.calcium, changed.latents):
        values[4000:] += 5.0
    forecasts = [
        oracle(w, window_data(w.activity, w.timestamps, 24, 12))([3000, 4000])
        for w in (world, changed)
    ]
    np.testing.assert_allclose(*forecasts, atol=1e-6)


def test_part_of_the_frames_and_neurons(world, data):
    rows, columns = slice(1000, 5000), [7, 3, 40]
    part = window_data(
        world.activity[rows][:, columns],
        world.timestamps[rows],
        24,
        12,
        neurons=pd.DataFrame({"uuid": [str(c) for c in columns]}),
    )
    whole = window_data(world.activity, world.timestamps, 24, 12)
    expected = calcium_oracle(world, whole)([1500, 2600])[:, :, columns]
    np.testing.assert_allclose(calcium_oracle(world, part)([500, 1600]), expected, rtol=1e-6)


def test_other_data_are_refused(world):
    activity, times = world.activity, world.timestamps
    with pytest.raises(ValueError, match="timestamps"):
        calcium_oracle(world, window_data(activity, times + 0.05, 24, 12))
    with pytest.raises(ValueError, match="column 0 of the data differs"):
        calcium_oracle(world, window_data(activity[:, 1:], times, 24, 12))
    with pytest.raises(ValueError, match="differs"):  # scaled by hand: the scale is not known
        calcium_oracle(world, window_data(2 * activity, times, 24, 12))
    named = pd.DataFrame({"uuid": [f"cell {i}" for i in range(60)]})
    with pytest.raises(ValueError, match="uuid 'cell 0' is no column"):
        calcium_oracle(world, window_data(activity, times, 24, 12, neurons=named))


@pytest.mark.parametrize("origins", [[23], [7989], [30.0], [[30]], [True]])
def test_origins_without_a_window_are_refused(world, data, origins):
    with pytest.raises(ValueError, match="origins"):
        calcium_oracle(world, data)(origins)


@pytest.fixture(scope="module")
def session(tiny_session):
    from one.api import ONE

    root, eid = tiny_session
    return open_session(eid, one=ONE(cache_dir=root, mode="local"))


@pytest.fixture(scope="module")
def recording(session, tmp_path_factory):
    path = tmp_path_factory.mktemp("session") / "session.h5"
    return load_windows(preprocess(session, output=path, progress=False), 24, 8)


@pytest.fixture(scope="module")
def oracle(session, recording):
    return session_oracle(recording, session.session_path)


@pytest.mark.parametrize("name", BASELINES)
def test_no_baseline_beats_the_oracle_of_a_session(oracle, recording, name):
    for split in (recording.test, recording.passive):
        batch = all_of(split)
        errors = errors_of(oracle(batch.starts + recording.context), batch)
        assert (errors < errors_of_baseline(name, recording, batch)).all(), split.name


def test_cells_are_found_by_field_of_view_and_roi(oracle, session, recording):
    """With the truth of other cells the forecast gets worse."""
    other = load_like(recording, recording.neurons.iloc[::-1].reset_index(drop=True))
    batch = all_of(recording.test)
    origins = batch.starts + recording.context
    wrong = session_oracle(other, session.session_path)
    assert errors_of(oracle(origins), batch).mean() < errors_of(wrong(origins), batch).mean()


def load_like(recording, neurons):
    """The same windows with another table of neurons."""
    names = ("activity", "timestamps", "split", "frame_mask", "context", "horizon", "source")
    return type(recording)(**{n: getattr(recording, n) for n in names}, neurons=neurons)


def test_forecasts_of_a_session_do_not_depend_on_the_batch(oracle, recording, monkeypatch):
    origins = all_of(recording.test).starts.numpy()[:50] + recording.context
    together = oracle(origins)
    monkeypatch.setattr(oracle_session, "BATCH_VALUES", 20_000)
    apart = oracle(origins[::-1])[::-1]
    assert together.shape == (50, 8, recording.n_neurons)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_oracle_is_opened_where_there_is_a_truth(session, recording, tmp_path):
    origins = [recording.test.starts[0].item() + recording.context]
    first, second = (open_oracle(s, recording) for s in (session, str(session.session_path)))
    np.testing.assert_array_equal(first(origins), second(origins))
    assert open_oracle(tmp_path, recording) is None
    with pytest.raises(FileNotFoundError, match="not a simulated session"):
        session_oracle(recording, tmp_path)


def test_session_oracle_says_what_it_misses(session, recording):
    nameless = load_like(recording, recording.neurons[["uuid"]])
    with pytest.raises(ValueError, match="no column fov and roi"):
        session_oracle(nameless, session.session_path)
    later = load_like(recording, recording.neurons)
    later.timestamps = recording.timestamps + 600
    with pytest.raises(ValueError, match="not of one session"):
        session_oracle(later, session.session_path)
