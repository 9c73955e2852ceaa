"""Training on NeuronIO: the official loss, both kinds of batches, settings that are checked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from utils.config import ConfigError, load_config
from utils.models.elm import ELMv1, ELMv2
from utils.models.elm.tasks import (
    NeuronIOExperiment,
    NeuronIOTask,
    neuronio_losses,
    start_at_rate,
)
from utils.training import TrainerConfig, fit_task

CONFIG = TrainerConfig(
    max_epochs=12, learning_rate=0.02, weight_decay=0, device="cpu", progress=False
)


class Batch(NamedTuple):
    idx: Tensor
    ptr: Tensor
    val: Tensor
    spikes: Tensor
    soma: Tensor


def make_batches(n=10):
    """Windows in which the second of five inputs makes spikes and raises the voltage."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for _ in range(n):
        inputs = (torch.rand(4, 40, 5, generator=generator) < 0.1).float()
        spikes = inputs[..., 1]
        batches.append((inputs, (spikes, 0.5 * spikes - 0.1)))
    return batches


def as_events(inputs, targets):
    rows, time, idx = inputs.nonzero(as_tuple=True)
    counts = torch.bincount(rows * 40 + time, minlength=4 * 40).cumsum(0)
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), counts]).unfold(0, 41, 40)
    return Batch(idx, ptr, torch.ones(len(idx)), *targets)


@pytest.fixture
def neuron():
    torch.manual_seed(0)
    return ELMv1(5, 2, num_memory=8, memory_tau_max=20.0)


def test_the_loss_is_the_official_one(reference):
    values = np.load(reference / "elm" / "neuronio_loss.npz")
    output, spikes, soma = (torch.from_numpy(values[name]) for name in ("output", "spike", "soma"))
    losses = neuronio_losses(output, spikes, soma)
    assert losses["loss"].item() == pytest.approx(float(values["loss"]), rel=0, abs=1e-6)
    assert losses["loss"] == (losses["bce"] + losses["mse"]) / 2


def test_the_burn_in_does_not_count():
    output, spikes, soma = torch.randn(2, 9, 2), torch.zeros(2, 9), torch.randn(2, 9)
    late = neuronio_losses(output[:, 4:], spikes[:, 4:], soma[:, 4:])
    assert neuronio_losses(output, spikes, soma, burn_in=4) == late
    for burn_in in (9, -1):
        with pytest.raises(ValueError, match="less than the 9 ms of a window; found"):
            neuronio_losses(output, spikes, soma, burn_in)


def test_events_and_arrays_give_the_same_losses(neuron):
    task = NeuronIOTask(neuron, CONFIG, burn_in=3)
    for batch in make_batches(3):
        dense, size = task.losses(batch)
        events, same_size = task.losses(as_events(*batch))
        assert size == same_size == 4
        for name in ("loss", "bce", "mse"):
            torch.testing.assert_close(events[name], dense[name])


def test_training_lowers_and_logs_all_losses(neuron):
    batches = [as_events(*batch) for batch in make_batches()]
    train, validation = (DataLoader(part, None) for part in (batches[:8], batches[8:]))
    result = fit_task(NeuronIOTask(neuron, CONFIG), train, validation, CONFIG)
    for stage in ("train", "validation"):
        for name in ("loss", "bce", "mse"):
            curve = result.curves[f"{stage}_{name}"]
            assert curve.iloc[-1] < 0.5 * curve.iloc[0]


def test_the_published_settings_build_a_neuron():
    experiment = load_config("elm/neuronio", schema=NeuronIOExperiment)
    neuron = experiment.build_neuron()
    assert isinstance(neuron, ELMv1)
    assert (neuron.num_input, neuron.num_memory, neuron.num_branch) == (1278, 20, 45)
    assert sum(p.numel() for p in neuron.parameters()) == 8002  # as published
    assert experiment.trainer.learning_rate == 5e-4
    assert experiment.windows.model_dump() == {
        "window": 500,
        "burn_in": 500,
        "batches_per_epoch": 10_000,
        "validation_fraction": 0.1,
    }
    other = load_config("elm/neuronio", ["version=v2", "neuron.num_memory=3"], NeuronIOExperiment)
    assert isinstance(other.build_neuron(), ELMv2)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+neuron.num_memry=3", "no argument 'num_memry'; did you mean num_memory"),
        ("neuron.num_memory=-3", "num_memory must be"),
        ("version=v3", "'version' = 'v3'"),
        ("windows.window=0", "'windows.window' = 0"),
        ("+windows.seed=0", "unknown key 'windows.seed'"),
        ("loss_burn_in=-1", "'loss_burn_in' = -1"),
    ],
)
def test_wrong_settings_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_config("elm/neuronio", [override], NeuronIOExperiment)


@pytest.mark.parametrize(("rate", "predicted"), [(0.001, 0.001), (0.0, 1e-6), (1.0, 1 - 1e-6)])
def test_a_fresh_neuron_at_rest_predicts_the_rate(rate, predicted):
    neuron = ELMv2(5, 2, num_memory=3)
    torch.nn.init.zeros_(neuron.w_y.weight)
    start_at_rate(neuron, rate)
    probability = neuron.neuronio_eval_forward(torch.zeros(1, 2, 5))[..., 0]
    assert probability.detach().numpy() == pytest.approx(predicted, rel=1e-4)
