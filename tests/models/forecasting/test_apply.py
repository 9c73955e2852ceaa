"""Forecasts of a whole recording, streamed and as a file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from utils.models.forecasting import DataMismatchError, apply, build_forecaster, write_predictions
from utils.windows import window_data


@pytest.fixture(scope="module")
def model(world):
    return build_forecaster("ar16").fit(world)


def test_each_batch_is_the_forecast_of_its_windows(world, model):
    batches = list(apply(model, world, splits=["test"], stride=1))
    assert np.concatenate([b.starts for b in batches]).tolist() == world.test.starts.tolist()
    batch = world.test.batch(torch.arange(5))
    expected = model.predict(batch.past.numpy(), mask=batch.past_mask)
    np.testing.assert_allclose(batches[0].predictions[:5], expected, rtol=1e-4, atol=1e-5)


def test_all_blocks_by_default(world, model):
    names = dict.fromkeys(batch.split for batch in apply(model, world))
    assert list(names) == ["train", "validation", "test"]
    with pytest.raises(ValueError, match=r"no windows in \['passive'\]"):
        list(apply(model, world, splits=["passive"]))


def test_file_of_predictions(world, model, tmp_path):
    path = write_predictions(tmp_path / "out" / "p.h5", model, world)
    with h5py.File(path) as file:
        assert file["predictions"].shape[1:] == (6, 10)
        starts = file["starts"][:]
        assert (np.diff(starts) >= 6).all()
        np.testing.assert_allclose(file["start_times"], world.timestamps[starts + 24])
        assert file["neuron_ids"].asstr()[:].tolist() == [str(i) for i in range(10)]
        assert set(file["split"].asstr()[:]) == {"train", "validation", "test"}
        assert file.attrs["simulated"]
        assert file.attrs["model"] == "ar16"
        assert np.isfinite(file["predictions"][:]).all()
    assert [p.name for p in path.parent.iterdir()] == ["p.h5"]


def test_another_session_is_refused_before_anything_is_written(world, model, tmp_path):
    other = window_data(np.random.default_rng(0).random((900, 4)), np.arange(900) / 5, 24, 6)
    with pytest.raises(DataMismatchError, match="another session"):
        write_predictions(tmp_path / "p.h5", model, other)
    assert not list(tmp_path.iterdir())


def test_failure_on_the_way_leaves_no_file(world, model, tmp_path):
    with pytest.raises(ValueError, match="no windows in"):
        write_predictions(tmp_path / "p.h5", model, world, splits=["train", "passive"])
    assert not list(tmp_path.iterdir())


def test_same_neurons_in_another_order_are_refused(world, model):
    swapped = world.neurons.iloc[::-1].reset_index(drop=True)
    other = window_data(world.activity, world.timestamps, 24, 6, neurons=swapped)
    with pytest.raises(DataMismatchError, match="another session"):
        apply(model, other)


def test_other_windows_are_refused(world, model):
    other = window_data(world.activity, world.timestamps, 24, 8)
    with pytest.raises(DataMismatchError, match="24 -> 6 frames, these are 24 -> 8"):
        apply(model, other)
