"""The baselines, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.models.forecasting import DataMismatchError, NotFittedError, build_forecaster
from utils.models.forecasting.simple import train_moments
from utils.windows import window_data


@pytest.fixture
def data():
    activity = np.random.default_rng(0).standard_normal((600, 2)).astype(np.float32)
    activity[50:60, 1] = np.nan
    return window_data(activity, np.arange(600) / 5, 4, 3)


PAST = torch.tensor([[[1.0, 2.0], [3.0, torch.nan], [5.0, 6.0], [7.0, torch.nan]]])


def test_persistence_repeats_the_last_observed_value(data):
    found = build_forecaster("persistence").fit(data).predict(PAST)
    torch.testing.assert_close(found, torch.tensor([7.0, 6.0]).expand(1, 3, 2))


def test_mean_averages_what_was_observed(data):
    found = build_forecaster("mean").fit(data).predict(PAST)
    torch.testing.assert_close(found, torch.tensor([4.0, 4.0]).expand(1, 3, 2))


@pytest.mark.parametrize("name", ["persistence", "mean"])
def test_a_neuron_that_was_not_observed_is_at_the_mean_of_the_training_block(name):
    activity = np.random.default_rng(0).standard_normal((600, 2)) + [10.0, 20.0]
    model = build_forecaster(name).fit(window_data(activity, np.arange(600) / 5, 4, 3))
    past = torch.ones(1, 4, 3)  # other neurons
    past[:, :, 1] = torch.nan
    found = model.predict(past)
    torch.testing.assert_close(found[..., 1], torch.full((1, 3), 15.0), rtol=0, atol=0.2)
    assert (found[..., [0, 2]] == 1).all()


def test_train_mean_is_that_of_the_training_frames(data):
    rows = np.concatenate([data.activity[a:b].double() for a, b in data.train.segments])
    found = build_forecaster("train_mean").fit(data).predict(PAST)
    np.testing.assert_allclose(found[0, 0], np.nanmean(rows, axis=0), rtol=1e-5)
    _, deviation = train_moments(data)
    np.testing.assert_allclose(deviation, np.nanstd(rows, axis=0), rtol=1e-6)


def test_baselines_without_weights_transfer(data):
    fitted = build_forecaster("mean").fit(data)
    assert fitted.predict(torch.rand(2, 4, 9)).shape == (2, 3, 9)
    with pytest.raises(DataMismatchError, match=r"expects a past of shape \(batch, 4, 2\)"):
        build_forecaster("train_mean").fit(data).predict(torch.rand(2, 4, 9))


def test_wrong_use_is_explained(data):
    with pytest.raises(NotFittedError, match="call fit"):
        build_forecaster("mean").predict(PAST)
    with pytest.raises(DataMismatchError, match=r"found \(1, 3, 2\)"):
        build_forecaster("mean").fit(data).predict(PAST[:, :3])


@pytest.mark.parametrize(
    "beside",
    [{"mask": torch.ones(1, 3, 2, dtype=torch.bool)}, {"covariates": torch.ones(2, 4, 1)}],
    ids=["mask", "covariates"],
)
def test_mask_and_covariates_of_other_windows_are_refused(data, beside):
    name = next(iter(beside))
    with pytest.raises(DataMismatchError, match=f"expects {name} of shape .1, 4, "):
        build_forecaster("mean").fit(data).predict(PAST, **beside)


def test_no_windows_give_no_forecasts(data):
    assert build_forecaster("ar16").fit(data).predict(np.empty((0, 4, 2), np.float32)).shape == (
        0,
        3,
        2,
    )


def test_arrays_are_no_windows(data):
    activity = np.zeros((600, 2), np.float32)
    with pytest.raises(TypeError, match="expects WindowData, found ndarray; make it with window_d"):
        build_forecaster("mean").fit(activity)
    with pytest.raises(TypeError, match="expects WindowData"):
        build_forecaster("mean").fit(data).check_data(activity)


def test_a_list_of_windows_gives_numpy(data):
    found = build_forecaster("mean").fit(data).predict(PAST.tolist())
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found[0, 0], [4, 4])
