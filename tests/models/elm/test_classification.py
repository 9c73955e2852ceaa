"""Naming sequences: which outputs are read, spikes and dense inputs alike, and that it learns."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from utils.config import ConfigError
from utils.datasets.shd import SHDAddingDataModule, SHDDataModule, write_shd_like
from utils.models.elm import ELMv2
from utils.models.elm.classification import (
    READOUTS,
    SequenceClassificationTask,
    class_scores,
    classify,
)
from utils.training import TrainerConfig, fit_task

OUTPUTS = torch.tensor([[[4.0, 0.0], [4.0, 0.0], [0.0, 1.0]], [[0.0, 3.0], [0.0, 3.0], [4.0, 0.0]]])


class Echo(nn.Module):
    """Its inputs are the class scores."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, X):
        return self.gain * X


class Spikes(NamedTuple):
    idx: Tensor
    ptr: Tensor
    val: Tensor | None
    labels: Tensor


def losses(batch, readout):
    values, size = SequenceClassificationTask(Echo(), TrainerConfig(), readout).losses(batch)
    return values["loss"], float(values["accuracy"]), size


def test_the_readout_says_which_outputs_are_scores():
    labels = torch.tensor([0, 1])
    for readout, scores, accuracy in (
        ("last", OUTPUTS[:, 2], 0.0),
        ("mean", OUTPUTS.mean(1), 1.0),
    ):
        loss, found, size = losses((OUTPUTS, labels), readout)
        torch.testing.assert_close(loss, cross_entropy(scores, labels))
        assert (found, size) == (accuracy, 2)
    loss, accuracy, size = losses((OUTPUTS, labels), "every")
    torch.testing.assert_close(
        loss, cross_entropy(OUTPUTS.reshape(6, 2), labels.repeat_interleave(3))
    )
    assert accuracy == pytest.approx(4 / 6)
    assert size == 6


def test_steps_may_have_labels_of_their_own():
    labels = torch.tensor([[0, 0, 1], [1, 1, 0]])
    loss, accuracy, _ = losses((OUTPUTS, labels), "every")
    torch.testing.assert_close(loss, cross_entropy(OUTPUTS.reshape(6, 2), labels.flatten()))
    assert accuracy == 1.0


def test_an_unknown_readout_is_named():
    with pytest.raises(ConfigError, match=r"unknown readout 'laste'.*expected one of last, mean"):
        SequenceClassificationTask(Echo(), TrainerConfig(), "laste")


@pytest.mark.parametrize("with_values", [True, False])
@pytest.mark.parametrize("readout", READOUTS)
def test_spikes_and_dense_inputs_give_the_same_scores(readout, with_values):
    torch.manual_seed(0)
    network = ELMv2(4, 3, num_memory=5).double()
    idx = torch.tensor([0, 3, 3, 1])
    ptr = torch.tensor([[0, 1, 1, 2], [2, 3, 4, 4]])
    val = torch.tensor([2.0, 1.0, 1.0, 3.0]) if with_values else None
    dense = torch.zeros(2, 3, 4, dtype=torch.float64)
    steps = torch.tensor([[0, 0], [0, 2], [1, 0], [1, 1]])
    dense[steps[:, 0], steps[:, 1], idx] = torch.ones(4).double() if val is None else val.double()
    labels = torch.tensor([2, 0])
    from_spikes = class_scores(network, Spikes(idx, ptr, val, labels), readout)
    from_dense = class_scores(network, (dense, labels), readout)
    torch.testing.assert_close(from_spikes, from_dense)


class Total(Echo):
    """Scores are the sum of all inputs, for either kind of batch."""

    def forward(self, X):
        return self.gain * X.sum(2, keepdim=True)

    def forward_events(self, idx, ptr, val):
        return self.gain * (torch.ones(len(idx)) if val is None else val).sum().view(1, 1, 1)


@pytest.mark.parametrize("val", [None, torch.ones(10_000, dtype=torch.int64)])
def test_inputs_are_left_out_in_training_alone_and_the_others_make_up_for_them(val):
    torch.manual_seed(0)
    idx, ptr = torch.zeros(10_000, dtype=torch.int64), torch.tensor([[0, 10_000]])
    spikes = Spikes(idx, ptr, val, torch.zeros(1, dtype=torch.int64))
    for batch in (spikes, (torch.ones(1, 1, 10_000, dtype=torch.int8), spikes.labels)):
        kept, _ = class_scores(Total(), batch, "last", input_dropout=0.5)
        assert kept != 10_000
        assert kept.item() == pytest.approx(10_000, rel=0.1)
    task = SequenceClassificationTask(Total(), TrainerConfig(), input_dropout=0.5)
    seen = []
    task.network.register_forward_hook(lambda module, inputs, output: seen.append(output.item()))
    for training in (True, False):
        task.train(training).losses((torch.ones(1, 1, 10_000), spikes.labels))
    assert seen[0] != 10_000
    assert seen[1] == 10_000


def test_classifying_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Dropout(0.9), Echo())
    batches = [(OUTPUTS, torch.tensor([0, 1])), (OUTPUTS[:1], torch.tensor([1]))]
    truth, predicted = classify(network, batches, "mean")
    assert truth.tolist() == [0, 1, 1]
    assert predicted.tolist() == [0, 1, 0]  # nothing is dropped while classifying
    assert network.training
    assert not truth.requires_grad


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_shd_like(tmp_path_factory.mktemp("shd"), n_train=400, n_test=200)


def fitted(network, module, epochs, **options):
    config = TrainerConfig(
        max_epochs=epochs, patience=epochs, learning_rate=1e-2, device="cpu", progress=False
    )
    task = SequenceClassificationTask(network, config, **options)
    return fit_task(task, module.train_dataloader(), module.val_dataloader(), config)


def test_a_small_elm_names_simulated_words_that_no_count_of_spikes_can(folder):
    torch.manual_seed(0)
    module = SHDDataModule(folder, bin_ms=100)
    network = ELMv2(700, module.n_classes, num_memory=30, memory_tau_max=500.0, delta_t=100.0)
    result = fitted(network, module, epochs=20, input_dropout=0.5)
    assert {"train_accuracy", "validation_accuracy"} <= set(result.curves)
    truth, predicted = classify(network, module.test_dataloader())
    assert len(truth) == 200
    assert (truth == predicted).float().mean() > 0.6  # counts tell digits, not languages: 0.5


@pytest.mark.parametrize("dense", [True, False])
def test_sums_of_two_digits_train_with_spikes_and_with_dense_counts(folder, dense):
    torch.manual_seed(0)
    sizes = dict(train_pairs=48, validation_pairs=16, test_pairs=20)
    module = SHDAddingDataModule(folder, bin_ms=100, dense=dense, **sizes)
    network = ELMv2(700, module.n_classes, num_memory=10, delta_t=100.0)
    result = fitted(network, module, epochs=2)
    assert result.steps == 4
    truth, predicted = classify(network, module.test_dataloader())
    assert len(truth) == len(predicted) == 20
    assert int(truth.max()) <= 18
