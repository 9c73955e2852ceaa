"""Language models: what is logged, carried on and truncated."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils.data import DataLoader

from utils.models.elm import ELMNetwork
from utils.models.elm.language import LanguageModelTask, parallel_streams
from utils.training import TrainerConfig, fit_task

CONFIG = TrainerConfig(
    max_epochs=3, learning_rate=2e-2, schedule="constant", device="cpu", progress=False
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    layer = {"num_output": 3, "num_memory": 8, "memory_tau_max": 20.0, "tau_b_value": 1.0}
    return ELMNetwork(3, [layer], "embedding", 4)


@pytest.fixture
def text():
    """Of period 5; each letter follows from the two before it."""
    return torch.tensor([0, 1, 2, 0, 1], dtype=torch.uint8).repeat(80)


def test_losses_have_their_closed_form(network, text):
    task = LanguageModelTask(network, CONFIG, characters_per_token=4.0)
    batch = text[:22].view(2, 11)
    values, size = task.losses(batch)
    chances = network(batch[:, :-1]).softmax(dim=2)
    right = chances.gather(2, batch[:, 1:, None].long())
    torch.testing.assert_close(values["loss"], -right.log().mean())
    torch.testing.assert_close(values["bits_per_character"], -right.log2().mean() / 4)
    assert size == 20


def test_a_text_is_learnt_and_its_perplexity_logged(network, text):
    batches = parallel_streams(text, n_streams=2, length=20)
    before = LanguageModelTask(network, CONFIG).losses(batches[0])[0]["loss"]
    assert before > 0.9
    task = LanguageModelTask(network, CONFIG, carry_state=True)
    loader = DataLoader(batches, batch_size=None)
    curves = fit_task(task, loader, loader, CONFIG).curves
    last = curves.iloc[-1]
    assert last["validation_loss"] < 0.5
    for stage in ("train", "validation"):
        bits = last[f"{stage}_bits_per_character"]
        assert last[f"{stage}_loss"] == pytest.approx(bits * math.log(2), rel=1e-5)
        assert last[f"{stage}_perplexity"] == pytest.approx(2**bits, rel=1e-5)


def test_carried_batches_equal_one_long_text_in_value_but_not_in_gradient(network, text):
    whole = LanguageModelTask(network, CONFIG).losses(text[None, :41])[0]["loss"]
    task = LanguageModelTask(network, CONFIG, carry_state=True)
    first, second = (task.losses(text[None, start : start + 21])[0]["loss"] for start in (0, 20))
    torch.testing.assert_close((first + second) / 2, whole)
    (through,) = torch.autograd.grad(whole, network.front.weight)
    (cut,) = torch.autograd.grad((first + second) / 2, network.front.weight)
    assert not torch.allclose(through, cut)


def test_every_epoch_starts_at_rest_and_validation_leaves_training_alone(network, text):
    task, batch = LanguageModelTask(network, CONFIG, carry_state=True), text[None, :21]

    def loss():
        return task.losses(batch)[0]["loss"].item()

    at_rest, carried = loss(), loss()
    assert at_rest != carried
    task.eval()
    task.on_validation_epoch_start()
    assert loss() == at_rest
    task.train()
    assert loss() not in (at_rest, carried)  # goes on from the second batch
    task.on_train_epoch_start()
    assert [loss(), loss()] == [at_rest, carried]


def test_batches_that_do_not_go_on_start_at_rest(network, text):
    task = LanguageModelTask(network, CONFIG)
    first, second = (task.losses(text[None, :21])[0]["loss"] for _ in range(2))
    assert first == second
    task.losses(text[:44].view(4, 11))  # of any size


def test_parallel_streams():
    batches = parallel_streams(torch.arange(24), n_streams=2, length=5)
    assert batches.tolist() == [
        [[0, 1, 2, 3, 4, 5], [10, 11, 12, 13, 14, 15]],
        [[5, 6, 7, 8, 9, 10], [15, 16, 17, 18, 19, 20]],
    ]
    assert parallel_streams(torch.arange(11), 2, 5).shape == (1, 2, 6)
    with pytest.raises(ValueError, match="2 streams of 5 steps need 11 tokens, found 10"):
        parallel_streams(torch.arange(10), 2, 5)
