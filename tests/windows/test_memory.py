"""Memory of batches is used again, but never while anything still refers to it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from utils.windows import window_data
from utils.windows.memory import FREE_BUFFERS, SIZES, SMALLEST, BatchMemory

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="torch manages pinned memory")


def test_memory_is_used_again_when_the_tensor_is_gone():
    memory = BatchMemory()
    tensor = memory.take(SMALLEST)
    address = tensor.data_ptr()
    assert memory.take(SMALLEST).data_ptr() != address
    del tensor
    assert address in {memory.take(SMALLEST).data_ptr() for _ in range(3)}


@pytest.mark.parametrize(
    "keep",
    [
        lambda tensor: tensor[5:10],
        lambda tensor: tensor.view(2, -1).T,
        lambda tensor: tensor.numpy(),
        lambda tensor: tensor.numpy()[::2],
        lambda tensor: tensor.untyped_storage(),
        lambda tensor: torch.from_dlpack(tensor),
        lambda tensor: tensor.detach().requires_grad_(),
    ],
)
def test_whatever_refers_to_the_memory_keeps_it(keep):
    memory = BatchMemory()
    tensor = memory.take(SMALLEST)
    address = tensor.data_ptr()
    kept = keep(tensor)
    del tensor
    others = [memory.take(SMALLEST) for _ in range(4)]
    assert address not in {other.data_ptr() for other in others}
    del kept
    assert memory.take(SMALLEST).data_ptr() == address


def test_a_gradient_graph_keeps_what_it_needs():
    memory = BatchMemory()
    values = memory.take(SMALLEST).fill_(2.0)
    weight = torch.ones(SMALLEST, requires_grad=True)
    loss = (weight * values).sum()
    del values
    memory.take(SMALLEST).fill_(9.0)
    loss.backward()
    assert (weight.grad == 2).all()


def test_few_free_buffers_and_sizes_are_kept():
    memory = BatchMemory()
    for size in range(SMALLEST, SMALLEST + 3 * SIZES):
        tensors = [memory.take(size) for _ in range(5)]
        del tensors
    assert len(memory._free) == SIZES
    assert all(len(free) == FREE_BUFFERS for free in memory._free.values())
    assert memory.take(10).shape == (10,)
    assert 10 not in memory._free


def test_batches_that_are_kept_differ_and_later_ones_reuse_what_was_dropped():
    rng = np.random.default_rng(0)
    activity = rng.standard_normal((900, 300)).astype(np.float32)
    data = window_data(activity, np.arange(900.0), 24, 8)
    batches = list(data.train.batches(64))
    assert batches[0].past.numel() * 4 / 3 > SMALLEST
    for batch in batches:
        expected = np.stack([activity[s : s + 24] for s in batch.starts.tolist()])
        assert np.array_equal(batch.past, expected)
    addresses = {batch.past.data_ptr() for batch in batches}
    del batches, batch
    assert data.train.batch(range(64)).past.data_ptr() in addresses


def test_windows_can_be_pickled_while_batches_are_out():
    data = window_data(np.random.default_rng(0).random((900, 300)), np.arange(900.0), 24, 8)
    batch = data.train.batch(range(64))
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(copy.train.batch(range(64)).past, batch.past)
