"""Callbacks write what they promise, for any task with an ELM neuron, and never touch training."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import NamedTuple

import lightning
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from utils.models.elm import ELMv1, ELMv2
from utils.models.elm.callbacks import (
    MemoryDynamics,
    PredictionPictures,
    StateRecorder,
    memory_summary,
)
from utils.models.elm.classification import SequenceClassificationTask
from utils.models.elm.recurrence import Events
from utils.models.elm.watching import watch
from utils.plots import elm as plots
from utils.training import TrainerConfig, TrainingError, TrainingTask, fit_task

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other
N_TIME, N_INPUT = 12, 6


class SpikeBatch(NamedTuple):
    """As batches of NeuronIO."""

    idx: Tensor
    ptr: Tensor
    val: Tensor
    spikes: Tensor
    soma: Tensor


class LabelBatch(NamedTuple):
    """As batches of spoken digits."""

    idx: Tensor
    ptr: Tensor
    val: Tensor
    labels: Tensor


class Batches(list):
    """Lightning takes a plain list for several loaders."""


class SpikeTask(TrainingTask):
    """Predicts spikes and voltage, from events or dense inputs."""

    def losses(self, batch):
        if hasattr(batch, "ptr"):
            outputs, targets = self.network.forward_events(*batch[:3]), batch[3:]
        else:
            outputs, targets = self.network(batch[0]), batch[1]
        spikes, soma = (target.flatten(1) for target in targets)
        loss = binary_cross_entropy_with_logits(outputs[..., 0], spikes)
        return {"loss": loss + mse_loss(outputs[..., 1], soma)}, len(spikes)


class ValueTask(TrainingTask):
    """Predicts numbers; every loss takes a random number."""

    def losses(self, batch):
        inputs, values = batch
        loss = mse_loss(self.network(inputs), values)
        return {"loss": (1 + 0.1 * torch.rand(())) * loss}, len(inputs)


class Embedded(nn.Module):
    """A neuron behind an embedding with dropout."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Sequential(nn.Linear(N_INPUT, 4), nn.Dropout(0.5))
        self.frozen = nn.Dropout(0.5)
        self.neuron = ELMv1(4, 3, num_memory=5, backend="reference", learn_memory_tau=True)
        self.second = ELMv2(3, 2, num_memory=2, backend="reference")

    def forward(self, X):
        return self.second(self.neuron(self.frozen(self.embedding(X))))


def neuron():
    torch.manual_seed(0)
    routed = {"num_branch": 3, "num_synapse_per_branch": 4}
    routed["input_to_synapse_routing"] = "neuronio_routing"  # leaves synapses unconnected
    return ELMv2(N_INPUT, 2, num_memory=5, **routed, backend="reference", learn_memory_tau=True)


def settings(**changes):
    fast = {"device": "cpu", "progress": False, "patience": 100, "learning_rate": 0.01}
    return TrainerConfig(**{**fast, "max_epochs": 2, **changes})


def spike_inputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    signs = torch.tensor([1.0, 1, 1, -1, -1, -1])
    return (torch.rand(6, N_TIME, N_INPUT, generator=generator) < 0.2) * signs


def events(X):
    counts = (X != 0).sum(dim=2).flatten().cumsum(0)
    ptr = nn.functional.pad(counts, (1, 0)).unfold(0, N_TIME + 1, N_TIME)
    where = X.nonzero()
    return where[:, 2], ptr, X[tuple(where.T)].to(torch.int8)


def example(kind, config=None):
    """A task and its only batch."""
    config, X = config or settings(), spike_inputs()
    spikes = (X.sum(dim=2) > 1).float()
    soma = X.sum(dim=2).cumsum(1) / 10
    labels = torch.arange(6) % 2
    if kind == "embedded":
        torch.manual_seed(0)
        return ValueTask(Embedded(), config), (X + 0.5, torch.stack([soma, spikes], dim=2))
    tasks = {
        "spikes, events": (SpikeTask, SpikeBatch(*events(X), spikes, soma)),
        "spikes, dense": (SpikeTask, (X, (spikes, soma))),
        "spikes, one channel each": (SpikeTask, (X, (spikes[..., None], soma[..., None]))),
        "labels, events": (SequenceClassificationTask, LabelBatch(*events(X), labels)),
        "labels, dense": (SequenceClassificationTask, (X, labels)),
    }
    task, batch = tasks[kind]
    return task(neuron(), config), batch


KINDS = [
    *("spikes, events", "spikes, dense", "spikes, one channel each"),
    *("labels, events", "labels, dense", "embedded"),
]


def train(kind, folder, callbacks, resume=False, **changes):
    config = settings(**changes)
    task, batch = example(kind, config)
    batches = Batches([batch])
    fit_task(task, batches, batches, config, folder=folder, resume=resume, callbacks=callbacks)
    return task, batch


def all_callbacks(folder=None):
    return [StateRecorder(folder), PredictionPictures(folder), MemoryDynamics(folder)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("kind", "n"), [(kind, 1 + (kind == "embedded")) for kind in KINDS])
def test_every_promised_file_is_written_in_every_epoch_and_logged(tmp_path, kind, n):
    train(kind, tmp_path, all_callbacks(), max_epochs=n)
    epochs = [f"epoch_000{epoch}" for epoch in range(n)]
    assert names(tmp_path / "states") == [f"{epoch}.npz" for epoch in epochs]
    assert names(tmp_path / "pictures") == [
        f"{what}_{epoch}.png" for what in ("memory_dynamics", "predictions") for epoch in epochs
    ]
    for picture in (tmp_path / "pictures").iterdir():
        assert plt.imread(picture)[..., :3].std() > 0.05, "an empty picture"
    assert pd.read_csv(tmp_path / "memory_dynamics.csv")["epoch"].tolist() == [*range(n)]
    logged = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(logged.Tags()["images"]) == ["memory_dynamics", "predictions"]
    for tag in logged.Tags()["images"]:
        images = logged.Images(tag)
        assert [image.step for image in images] == [*range(n)]
        assert all(image.encoded_image_string.startswith(b"\x89PNG") for image in images)


@pytest.mark.parametrize("kind", ["spikes, events", "spikes, dense"])
def test_recorded_states_are_those_of_the_epochs_weights(tmp_path, kind):
    task, batch = train(kind, tmp_path, [StateRecorder(samples=3)])
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    task.load_state_dict(last["state_dict"])
    with torch.no_grad():
        trace = task.network.run(Events(*batch[:3]) if kind == "spikes, events" else batch[0])
    X = spike_inputs()[:3]
    expected = {
        "excitation": X.clamp(min=0).sum(dim=2),
        "inhibition": X.clamp(max=0).sum(dim=2),
        "branch": trace.branch[:3],
        "memory": trace.memory[:3],
        "output": trace.output[:3],
        "tau_m": task.network.tau_m.detach(),
    }
    with np.load(tmp_path / "states" / "epoch_0001.npz") as record:
        for name, values in expected.items():
            assert record[name].dtype == np.float32
            np.testing.assert_allclose(record[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
        connected = task.network.valid_indices_mask.reshape(3, 4)
        assert connected.logical_not().any()
        np.testing.assert_array_equal(np.isfinite(record["w_s"]), connected)


def test_states_inside_a_network_are_those_of_its_first_neuron(tmp_path):
    task, (inputs, _) = train("embedded", tmp_path, [StateRecorder(samples=2)], max_epochs=1)
    network = task.network.eval()
    with torch.no_grad():
        trace = network.neuron.run(network.embedding(inputs))
        outputs = network(inputs)
    with np.load(tmp_path / "states" / "epoch_0000.npz") as record:
        np.testing.assert_allclose(record["memory"], trace.memory[:2], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(record["output"], outputs[:2], rtol=1e-5, atol=1e-6)


def test_recorder_leaves_epochs_out(tmp_path):
    train("spikes, dense", tmp_path, [StateRecorder(every=2)], max_epochs=5)
    assert names(tmp_path / "states") == [f"epoch_000{epoch}.npz" for epoch in (0, 2, 4)]


class Spy(lightning.Callback):
    """Random numbers to come and modes of all modules at the end of epochs.

    One module stays in evaluation.
    """

    def __init__(self):
        self.seen = []

    def on_train_start(self, trainer, task):
        task.network.frozen.eval()

    def on_train_epoch_end(self, trainer, task):
        modes = [module.training for module in task.modules()]
        self.seen.append((torch.get_rng_state(), modes, torch.is_grad_enabled()))


def test_training_is_the_same_to_the_last_bit(tmp_path):
    alone, _ = train("embedded", tmp_path / "alone", [Spy()])
    before, after = Spy(), Spy()
    beside, _ = train("embedded", tmp_path / "watched", [before, *all_callbacks(), after])
    files = [tmp_path / name / "curves/version_0/metrics.csv" for name in ("alone", "watched")]
    pd.testing.assert_frame_equal(*map(pd.read_csv, files))
    weights = beside.state_dict()
    for name, values in alone.state_dict().items():
        assert torch.equal(values, weights[name]), name
    for (state, modes, grad), (state_after, modes_after, grad_after) in zip(
        before.seen, after.seen
    ):
        assert torch.equal(state, state_after)
        assert modes == modes_after
        assert set(modes) == {True, False}
        assert grad
        assert grad_after
    assert "run" not in vars(beside.network.neuron)
    assert "forward" not in vars(beside.network)


def test_figures_are_closed_and_the_style_is_put_back(tmp_path):
    mine = plt.figure()
    style = dict(mpl.rcParams)
    train("spikes, events", tmp_path, all_callbacks(), max_epochs=1)
    assert plt.get_fignums() == [mine.number]
    assert dict(mpl.rcParams) == style
    plt.close(mine)


@pytest.mark.parametrize("callback", [StateRecorder, PredictionPictures, MemoryDynamics])
def test_a_task_without_an_elm_neuron_is_refused_at_the_start(tmp_path, callback):
    task = ValueTask(nn.Linear(N_INPUT, 1), settings())
    batches = Batches([(spike_inputs(), spike_inputs()[..., :1])])
    with pytest.raises(TrainingError, match=f"{callback.__name__} found no ELM.*Linear"):
        fit_task(task, batches, batches, settings(), folder=tmp_path, callbacks=[callback()])
    assert not (tmp_path / "checkpoints").exists()


def warnings_of(caplog):
    return [r for r in caplog.records if r.name == "utils.models.elm.callbacks"]


def test_what_cannot_be_drawn_is_said_once_and_training_goes_on(tmp_path, monkeypatch, caplog):
    def fail(*_):
        plt.figure()
        raise ValueError("no colours left")

    monkeypatch.setattr(plots, "plot_prediction", fail)
    train("spikes, dense", tmp_path, [PredictionPictures(), StateRecorder()])
    (record,) = warnings_of(caplog)
    assert record.levelno == logging.WARNING
    assert "PredictionPictures cannot write pictures/predictions_epoch_*.png" in record.message
    assert "no colours left" in caplog.text
    assert len(names(tmp_path / "states")) == 2  # the others go on
    assert plt.get_fignums() == []


def test_losses_that_do_not_run_the_neuron_are_noticed(tmp_path, caplog):
    class Around(ValueTask):
        def losses(self, batch):
            return {"loss": self.network.w_y(torch.ones(1, 5)).square().sum()}, 1

    task, batches = Around(neuron(), settings()), Batches([(spike_inputs(), spike_inputs())])
    fit_task(task, batches, batches, settings(), folder=tmp_path, callbacks=[MemoryDynamics()])
    assert len(warnings_of(caplog)) == 1
    assert "Around.losses did not run its ELM neuron" in caplog.text


def test_resumed_training_goes_on_with_the_numbers(tmp_path):
    callbacks = [StateRecorder(), MemoryDynamics()]
    train("spikes, dense", tmp_path, callbacks, max_epochs=1)
    table = tmp_path / "memory_dynamics.csv"
    first = table.read_text()
    train("spikes, dense", tmp_path, callbacks, resume=True, max_epochs=3)
    assert names(tmp_path / "states") == [f"epoch_000{epoch}.npz" for epoch in range(3)]
    assert len(names(tmp_path / "pictures")) == 3
    assert pd.read_csv(table)["epoch"].tolist() == [0, 1, 2]
    assert table.read_text().startswith(first)


def test_a_new_training_replaces_the_files_of_the_one_before(tmp_path):
    callbacks = [StateRecorder(), MemoryDynamics()]
    train("spikes, dense", tmp_path, callbacks, max_epochs=2)
    (tmp_path / "states" / "mine.npz").touch()
    train("spikes, dense", tmp_path, callbacks, max_epochs=1)
    assert names(tmp_path / "states") == ["epoch_0000.npz", "mine.npz"]
    assert names(tmp_path / "pictures") == ["memory_dynamics_epoch_0000.png"]
    assert pd.read_csv(tmp_path / "memory_dynamics.csv")["epoch"].tolist() == [0]


def test_files_lie_where_they_are_wanted(tmp_path):
    train("spikes, dense", tmp_path / "training", all_callbacks(tmp_path / "here"), max_epochs=1)
    assert names(tmp_path / "here") == ["memory_dynamics.csv", "pictures", "states"]
    assert not (tmp_path / "training" / "states").exists()


def test_only_the_first_process_writes(tmp_path):
    task, batch = example("spikes, dense")
    trainer = SimpleNamespace(
        is_global_zero=False, logger=None, default_root_dir=tmp_path, current_epoch=0
    )
    for callback in all_callbacks():
        callback.setup(trainer, task, "fit")
        callback.on_train_start(trainer, task)
        callback.on_validation_batch_end(trainer, task, None, batch, 0)
        callback.on_train_epoch_end(trainer, task)
    assert names(tmp_path) == []


def summary(network):
    task = SpikeTask(network, settings())
    return memory_summary(watch(task, example("spikes, dense")[1]))


def test_dead_synapses_are_counted_among_the_connected_ones():
    network = neuron()
    connected = network.valid_indices_mask.nonzero().flatten()
    with torch.no_grad():
        network._proto_w_s[connected[:2]] = -0.1
        network._proto_w_s[~network.valid_indices_mask] = -0.1
    row = summary(network)
    assert row["n_synapses"] == len(connected)
    assert row["dead_synapses"] == pytest.approx(2 / len(connected))


@pytest.mark.parametrize("version", [ELMv1, ELMv2])
def test_saturation_is_that_of_the_tanh(version):
    """Three units whose update is constant: tanh(20/3), tanh(-2) and tanh(0.5)."""
    network = version(N_INPUT, 2, num_memory=3, backend="reference", memory_tau_max=500.0)
    with torch.no_grad():
        for parameter in network.mlp.parameters():
            parameter.zero_()
        network.mlp.layers()[-1][1].copy_(torch.tensor([10.0, -3.0, 0.75]))
        activity = network.run(spike_inputs()).memory.abs().mean(dim=(0, 1))
    row = summary(network)
    assert row["saturation_min"] == 0
    assert row["saturation_median"] == row["saturation_max"] == 1
    assert row["n_updates"] == 6 * (N_TIME - 1)
    assert row["tau_m_min"] == pytest.approx(float(network.tau_m.min()), rel=1e-6)
    assert row["tau_m_max"] == pytest.approx(float(network.tau_m.max()), rel=1e-6)
    assert row["activity_median"] == pytest.approx(float(activity.median()), rel=1e-5)
