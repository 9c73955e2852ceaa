"""Cells as ELM neurons: nothing leaks, cells do not meddle, and what drives a cell is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import lfilter

from utils.models.elm import cells as cells_module
from utils.models.elm.cell_anatomy import branch_weights, cell_anatomy
from utils.models.elm.cell_network import BestOfEachCell
from utils.models.elm.cells import CellNeurons
from utils.models.folders import ModelFolderError
from utils.models.forecasting import DataMismatchError
from utils.models.forecasting.base import NotFittedError
from utils.splits import TEST
from utils.windows import window_data

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

QUICK = {"max_epochs": 2, "stride": 8, "device": "cpu", "progress": False}
AREAS = ["VISp", "VISp", "VISp", "MOs", "MOs", "MOs"]


def activity_of(frames=1500):
    """Cell 5 follows cells 0 and 1 (of VISp) by a frame, each above its mean; noise else."""
    rng = np.random.default_rng(0)
    values = lfilter([1], [1, -0.9], rng.standard_normal((frames, 6)), axis=0).astype(np.float32)
    causes = np.maximum(values[:-1, :2], 0).sum(axis=1)
    values[1:, 5] = causes + 1.5 * rng.standard_normal(frames - 1)
    return values


def data_of(activity, context=16, horizon=1, **extra):
    neurons = pd.DataFrame({"uuid": list("abcdef"), "region": AREAS})
    times = np.arange(len(activity)) / 5
    times[len(activity) // 3 :] += 60
    return window_data(
        activity, times, context, horizon, neurons=neurons, source="simulated", **extra
    )


def quick(cells, **settings):
    trainer = {**QUICK, **settings.pop("trainer", {})}
    return CellNeurons(cells, burn_in=4, memory=4, trainer=trainer, **settings)


@pytest.fixture(scope="module")
def data():
    return data_of(activity_of())


@pytest.fixture(scope="module")
def fitted(data):
    return quick([5, 2]).fit(data)


def test_forecasts_are_of_the_frame_after_each_window(data, fitted):
    for split in data.splits:
        forecast = fitted.forecast(split)
        assert np.array_equal(forecast.frames, split.starts.numpy() + data.context)
        assert forecast.activity.shape == forecast.probability.shape == (len(split), 2)
        assert np.isfinite(forecast.activity).all()
        assert ((forecast.probability > 0) & (forecast.probability < 1)).all()


def test_a_forecast_rests_on_earlier_frames_alone(data, fitted):
    before = fitted.forecast(data.test)
    frame = int(before.frames[40])
    changed = activity_of()
    changed[frame:] += 9.0
    after = fitted.forecast(data_of(changed).test)
    np.testing.assert_array_equal(before.activity[:41], after.activity[:41])
    assert (before.activity[41] != after.activity[41]).any()


def test_the_state_is_carried_through_a_segment_in_pieces(data, fitted, monkeypatch):
    whole = fitted.forecast(data.train)
    monkeypatch.setattr(cells_module, "FRAMES_AT_ONCE", 37)
    pieces = fitted.forecast(data.train)
    np.testing.assert_allclose(whole.activity, pieces.activity, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(whole.probability, pieces.probability, rtol=1e-4, atol=1e-5)


def test_a_segment_starts_from_rest(data, fitted):
    """What was before a hole in time is not heard behind it."""
    first, second = data.train.segments[:2]
    changed = activity_of()
    changed[: first[1]] += 9.0
    before, after = (fitted.forecast(each.train) for each in (data, data_of(changed)))
    behind = before.frames >= second[0]
    np.testing.assert_array_equal(before.activity[behind], after.activity[behind])


def test_the_test_block_teaches_nothing(data, fitted):
    changed = activity_of()
    changed[data.split == TEST] += 50.0
    again = quick([5, 2]).fit(data_of(changed))
    ours, theirs = (model.forecast(data.test).activity for model in (fitted, again))
    np.testing.assert_array_equal(ours, theirs)


def test_a_cell_is_the_same_whoever_is_beside_it(data, fitted):
    alone = quick([2]).fit(data).forecast(data.test)
    beside = fitted.forecast(data.test)
    np.testing.assert_array_equal(alone.activity[:, 0], beside.activity[:, 1])
    np.testing.assert_array_equal(alone.probability[:, 0], beside.probability[:, 1])


def test_the_own_past_can_be_left_out(data):
    model = quick([5, 2], own=False).fit(data)
    changed = activity_of()
    changed[:, 2] += 9.0
    before, after = (model.forecast(each.test).activity for each in (data, data_of(changed)))
    assert (before[:, 1] == after[:, 1]).all()
    assert (before[:, 0] != after[:, 0]).any()


def test_what_drives_a_cell_is_found(data):
    """Cell 5 is driven by VISp, and cell 2 by nothing but itself."""
    model = quick([5, 2], trainer={"max_epochs": 8, "stride": 2}).fit(data)
    forecast = model.forecast(data.test)
    truth = data.activity[torch.from_numpy(forecast.frames)][:, model.cells].numpy()
    left = ((truth - forecast.activity) ** 2).mean(axis=0) / truth.var(axis=0)
    assert left[0] < 0.5  # .42 is noise
    events = truth[:, 0] > np.quantile(truth[:, 0], 0.95)
    assert forecast.probability[events, 0].mean() > 3 * forecast.probability[~events, 0].mean()
    anatomy = cell_anatomy(model, data.validation)
    lost = anatomy.pivot(index="cell", columns="branch", values="r2_loss")
    assert lost.loc[5, "VISp"] > 0.5
    assert abs(lost.loc[5, ["MOs", "own"]]).max() < 0.1
    assert lost.loc[2, "own"] > 0.3
    assert abs(lost.loc[2, ["MOs", "VISp"]]).max() < 0.1
    assert set(anatomy["region"][anatomy["cell"] == 5]) == {"MOs"}


def test_anatomy_and_weights_name_every_branch(data, fitted):
    anatomy = cell_anatomy(fitted, data.validation).set_index(["cell", "branch"])
    assert anatomy["n_sources"].to_dict() == {
        **{(5, "MOs"): 2, (5, "VISp"): 3, (5, "own"): 1},
        **{(2, "MOs"): 3, (2, "VISp"): 2, (2, "own"): 1},
    }
    weights = branch_weights(fitted)
    assert list(weights.index) == [5, 2]
    assert set(weights.columns) == {"MOs", "VISp", "own"}
    for cell, neuron in zip(fitted.cells, fitted.neurons):
        total = neuron.w_s[neuron.valid_indices_mask].sum()
        assert weights.loc[cell].sum() == pytest.approx(float(total), rel=1e-5)


def test_missing_frames_are_at_the_mean_and_teach_nothing():
    activity, behaviour = activity_of(), np.zeros((1500, 2), np.float32)
    activity[100:140, 0] = activity[200:230, 5] = np.nan
    behaviour[50:80, 0] = np.nan
    behaviour[:, 1] = np.sin(np.arange(1500))
    extra = {"covariates": behaviour, "covariate_names": ["a", "b"]}
    data = data_of(activity, **extra)
    model = quick([5]).fit(data)
    assert np.isfinite(model.forecast(data.train).activity).all()
    filled = np.where(np.isnan(activity), model._network.activity.mean.numpy(), activity)
    frames = model.forecast(data.train).activity
    again = model.forecast(data_of(filled, **extra).train).activity
    np.testing.assert_allclose(frames, again, rtol=1e-4, atol=1e-5)


def test_only_the_first_frame_of_a_horizon_counts(data, fitted):
    """With longer horizons there are fewer windows, and the same forecasts of the same frames."""
    longer = data_of(activity_of(), horizon=3)
    short, long = fitted.forecast(data.test), fitted.forecast(longer.test)
    place = np.searchsorted(short.frames, long.frames[30:])  # the later start is forgotten
    assert np.array_equal(short.frames[place], long.frames[30:])
    np.testing.assert_allclose(short.activity[place], long.activity[30:], atol=0.05)


def test_each_cell_keeps_its_own_best_epoch(fitted, data):
    best = BestOfEachCell(2)
    neurons = fitted._network.neurons
    kept = [neurons[k].state_dict()["w_y.bias"].clone() for k in range(2)]

    class Task:
        network = fitted._network

    for losses in ([0.5, 0.2], [0.4, 0.3], [0.6, 0.1]):
        best.on_validation_epoch_start(None, Task)
        Task.seen = torch.tensor(losses)
        best.on_validation_batch_end(None, Task, None, range(4))
        with torch.no_grad():
            for neuron in neurons:
                neuron.w_y.bias += 1.0
        best.on_validation_epoch_end(None, Task)
    best.restore(fitted._network)
    for neuron, bias, epoch in zip(neurons, kept, (2, 3)):
        torch.testing.assert_close(neuron.w_y.bias.detach(), bias + epoch)
        neuron.w_y.bias.copy_(bias)


def test_saved_neurons_say_the_same(data, fitted, tmp_path):
    loaded = CellNeurons.load(fitted.save(tmp_path / "cells"))
    assert loaded.config == fitted.config
    assert loaded.branches == fitted.branches
    ours, theirs = (model.forecast(data.test) for model in (fitted, loaded))
    np.testing.assert_array_equal(ours.activity, theirs.activity)
    config = (tmp_path / "cells" / "config.json").read_text()
    (tmp_path / "cells" / "config.json").write_text(config.replace('"tau": 4.0', '"tua": 4.0'))
    with pytest.raises(ModelFolderError, match=r"is damaged: .*tua"):
        CellNeurons.load(tmp_path / "cells")
    (tmp_path / "cells" / "weights.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelFolderError, match="cut or not a safetensors file"):
        CellNeurons.load(tmp_path / "cells")


def test_what_cannot_be_fitted_or_forecast_is_refused(data, fitted):
    with pytest.raises(NotFittedError, match="not fitted"):
        quick([0]).forecast(data.test)
    with pytest.raises(ValueError, match=r"columns 0 to 5 of the activity.*found \[6\]"):
        quick([0, 6]).fit(data)
    with pytest.raises(ValueError, match="found none"):
        quick([]).fit(data)
    with pytest.raises(ValueError, match="leave nothing after a burn-in of 4"):
        quick([0]).fit(data_of(activity_of(), context=4))
    other = window_data(activity_of()[:, :4], np.arange(1500) / 5, 16, 1)
    with pytest.raises(DataMismatchError, match=r"hear 6 cells .* has 0 in their places"):
        fitted.forecast(other.test)
    swapped = data_of(activity_of())
    swapped.neurons.loc[[0, 1], "uuid"] = ["b", "a"]
    with pytest.raises(DataMismatchError, match="has 4 in their places"):
        fitted.forecast(swapped.test)
