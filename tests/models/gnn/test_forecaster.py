"""The connectivity model as a forecaster; what all forecasters do is in the gates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.config import ConfigError
from utils.models.forecasting import DataMismatchError, build_forecaster, load_model
from utils.windows import window_data

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

RATE = 5.0


def coupled_activity(frames: int = 6000, seed: int = 0) -> np.ndarray:
    """Six noisy traces of slow rates; 0 drives 1, 2 drives 3 against its sign, 4 and 5 are alone.

    Rates decay within 2 s, so a drive shows in the next seconds.
    """
    rng = np.random.default_rng(seed)
    weights = np.zeros((6, 6))
    weights[1, 0], weights[3, 2] = 1.5, -1.5
    rates = np.zeros((frames, 6))
    for t in range(1, frames):
        drift = -rates[t - 1] / 2 + weights @ np.tanh(rates[t - 1])
        rates[t] = rates[t - 1] + drift / RATE + 0.5 * rng.standard_normal(6)
    return (rates + rng.standard_normal(rates.shape)).astype(np.float32)


def windows(activity: np.ndarray, **more):
    return window_data(activity, np.arange(len(activity)) / RATE, 24, 8, **more)


@pytest.fixture(scope="module")
def coupled():
    return windows(coupled_activity())


@pytest.fixture(scope="module")
def fitted(coupled):
    return build_forecaster("gnn", indicator=[0.0]).fit(coupled)


def test_finds_who_drives_whom_and_with_which_sign(fitted):
    found = fitted.connectivity.numpy()
    strongest = np.abs(found).ravel().argsort()[::-1]
    assert {divmod(place, 6) for place in strongest[:2].tolist()} == {(1, 0), (3, 2)}
    assert found[1, 0] > 0 > found[3, 2]
    assert np.abs(found).ravel()[strongest[2]] < 0.35 * min(found[1, 0], -found[3, 2])
    assert (np.diagonal(found) == 0).all()


def test_direction_is_that_of_the_drive(fitted):
    found = fitted.connectivity.abs()
    assert found[1, 0] > 5 * found[0, 1]
    assert found[3, 2] > 5 * found[2, 3]


def test_rollouts_gain_by_the_others(fitted, coupled):
    batch = coupled.test.batch(torch.arange(len(coupled.test)))
    errors = {
        name: (model.predict(batch.past) - batch.future).square().mean(dim=(0, 1))
        for name, model in (("gnn", fitted), ("ar16", build_forecaster("ar16").fit(coupled)))
    }
    gain = 1 - errors["gnn"] / errors["ar16"]
    assert (gain[[1, 3]] > 0.01).all()
    assert (gain[[4, 5]] > -0.02).all()


def test_the_indicator_that_is_there_is_chosen():
    left = np.exp(-1 / (1.5 * RATE))
    drive, trace = coupled_activity(), np.zeros((6000, 6), np.float32)
    for t in range(1, len(trace)):
        trace[t] = left * trace[t - 1] + (1 - left) * drive[t]
    fitted = build_forecaster("gnn", indicator=[0.0, 1.5]).fit(windows(trace))
    assert fitted.chosen.indicator == 1.5


def test_drive_is_what_the_connectivity_was_solved_from(fitted, coupled):
    drive = fitted.drive(coupled)
    assert drive.inputs.shape == drive.messages.shape == (len(coupled.train), 6)
    explained = drive.messages @ fitted.connectivity.T + drive.messages * fitted.own_message
    left = 1 - (drive.inputs - explained).var(dim=0) / drive.inputs.var(dim=0)
    assert left[1] > 0.1
    assert left[4] < 0.05


def test_keeps_its_connectivity_in_a_folder(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    torch.testing.assert_close(loaded.connectivity, fitted.connectivity, rtol=0, atol=0)
    assert loaded.chosen == fitted.chosen


def test_behaviour_helps_where_it_drives():
    rng = np.random.default_rng(0)
    wheel, rates = np.zeros((5000, 1)), np.zeros((5000, 3))
    for t in range(1, len(wheel)):
        wheel[t] = 0.95 * wheel[t - 1] + rng.standard_normal(1)
        rates[t] = rates[t - 1] + (wheel[t - 1] - rates[t - 1]) / (2 * RATE)
    activity = (rates + rng.standard_normal((5000, 3))).astype(np.float32)
    data = windows(activity, covariates=wheel.astype(np.float32), covariate_names=("wheel",))
    batch = data.test.batch(torch.arange(len(data.test)))
    seeing, blind = (build_forecaster("gnn", covariates=use).fit(data) for use in (True, False))
    errors = [
        (model.predict(batch.past, given) - batch.future).square().mean()
        for model, given in ((seeing, batch.past_covariates), (blind, None))
    ]
    assert errors[0] < 0.99 * errors[1]
    with pytest.raises(DataMismatchError, match="fitted with covariates"):
        seeing.predict(batch.past)


def test_a_gap_and_missing_cells_do_not_spoil_the_fit(coupled):
    activity = coupled_activity()
    activity[2000:2040] = np.nan
    activity[:300, 1] = np.nan
    fitted = build_forecaster("gnn", indicator=[0.0]).fit(windows(activity))
    assert torch.isfinite(fitted.connectivity).all()
    assert fitted.connectivity.argmax() == 6  # [1, 0]


def test_one_neuron_has_no_others():
    data = windows(coupled_activity()[:, :1])
    fitted = build_forecaster("gnn").fit(data)
    assert fitted.connectivity.tolist() == [[0.0]]
    assert torch.isfinite(fitted.predict(data.test.batch([0]).past)).all()


@pytest.mark.parametrize(
    "setting", [{"ridge": []}, {"ridge": [-1.0]}, {"memories": 0}, {"step": 0}, {"bends": [1.0]}]
)
def test_names_wrong_settings(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        build_forecaster("gnn", **setting)
