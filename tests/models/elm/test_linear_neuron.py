"""The linear neuron finds the regression that made the data, and scores like an ELM neuron."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from utils.evaluation import evaluate_neuronio
from utils.models.elm.linear_neuron import LinearNeuron
from utils.models.elm.recurrence.events import events_from_dense


class Batch(NamedTuple):
    idx: Tensor
    ptr: Tensor
    val: Tensor
    spikes: Tensor
    soma: Tensor


def make_batch(seed: int = 0, n: int = 6, time: int = 400) -> tuple[Tensor, Batch]:
    """Voltage and spikes of a linear neuron: two branches, one of two time constants each."""
    generator = torch.Generator().manual_seed(seed)
    inputs = (torch.rand(n, time, 8, generator=generator) < 0.1).float()
    inputs[..., 4:] *= -1
    trace, rows = torch.zeros(n, 4), []
    kappa = torch.exp(-1 / torch.tensor([5.0, 20.0, 5.0, 20.0]))
    for frame in inputs.unbind(1):
        sums = frame.unflatten(1, (4, 2)).sum(dim=2)  # branches of excitation, of inhibition
        trace = kappa * trace + sums
        rows.append(trace)
    soma = torch.stack(rows, dim=1) @ torch.tensor([0.3, 0.1, 0.2, -0.1])
    drawn = torch.rand(n, time, generator=generator)
    spikes = (drawn < torch.sigmoid(2 * soma - 3)).float()
    idx, ptr, val = events_from_dense(inputs)
    return inputs, Batch(idx, ptr, val, spikes, soma)


@pytest.fixture(scope="module")
def fitted() -> LinearNeuron:
    return LinearNeuron(8, num_branch=2, taus=(5.0, 20.0)).fit([make_batch(s)[1] for s in range(8)])


def test_it_finds_the_voltage_that_is_a_linear_filter_of_its_inputs(fitted):
    inputs, batch = make_batch(seed=100)
    error = fitted(inputs)[..., 1] - batch.soma
    assert error.std() < 0.01 * batch.soma.std()


def test_spike_probabilities_are_those_that_made_the_spikes(fitted):
    inputs, batch = make_batch(seed=100)
    wanted = torch.sigmoid(2 * batch.soma - 3)
    assert (fitted(inputs)[..., 0].sigmoid() - wanted).abs().mean() < 0.03


def test_ms_without_spikes_are_counted_in_full(fitted):
    """Only a fifth of them is used; without weights predictions would be far too high."""
    inputs, batch = make_batch(seed=100)
    predicted = fitted(inputs)[..., 0].sigmoid().mean()
    assert predicted.item() == pytest.approx(batch.spikes.mean().item(), rel=0.15)


def test_events_and_dense_inputs_agree_and_are_scored(fitted):
    inputs, batch = make_batch(seed=100)
    by_events = fitted.forward_events(batch.idx, batch.ptr, batch.val)
    assert torch.allclose(by_events, fitted(inputs), atol=1e-5)
    arrays = inputs.repeat(1, 3, 1), batch.spikes.repeat(1, 3), batch.soma.repeat(1, 3) - 67.7
    with np.errstate(all="ignore"):
        scores = evaluate_neuronio(fitted, tuple(map(np.asarray, arrays)))
    assert set(scores) == {"auc", "rmse_mv", "explained_variance"}


def test_windows_without_a_spike_are_refused():
    _, batch = make_batch()
    silent = batch._replace(spikes=torch.zeros_like(batch.spikes))
    with pytest.raises(ValueError, match="no spike"):
        LinearNeuron(8, num_branch=2).fit([silent])
