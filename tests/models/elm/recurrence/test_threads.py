"""Compiled kernels on several threads: same results, and no harm from forks and company."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils.data import DataLoader, Dataset

from utils.models.elm import ELMv1
from utils.models.elm.recurrence import filter_dense, threads
from utils.models.elm.recurrence.threads import kernel, over_threads


@pytest.fixture(params=["PyTorch's threads", "own threads"])
def set_threads(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], None]]:
    if request.param == "own threads":
        monkeypatch.setattr(threads, "_openmp", [])
    elif not threads._openmp:
        pytest.skip("PyTorch is not built on GNU OpenMP")
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def train() -> Callable[[], list[Tensor]]:
    """Output and gradients of a neuron with spikes."""
    torch.manual_seed(0)
    sizes = {"num_input": 100, "num_output": 2, "num_memory": 9}
    branches = {"num_branch": 5, "num_synapse_per_branch": 20}
    neuron = ELMv1(**sizes, **branches, input_to_synapse_routing="random_routing")
    spikes = (torch.rand(7, 40, 100) < 0.02).to(torch.int8)

    def step() -> list[Tensor]:
        output = neuron(spikes)
        return [output, *torch.autograd.grad(output.square().sum(), list(neuron.parameters()))]

    return step


def filtered() -> Tensor:
    drive = (torch.arange(540.0) % 7 - 3).view(6, 30, 3)
    return filter_dense(drive, torch.tensor([0.1, 0.5, 0.9]), drive[:, 0], "numba")


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_ranges_make_up_the_whole_in_order(n_threads, n, set_threads):
    set_threads(n_threads)
    ranges = over_threads(lambda first, last, name: list(range(first, last)), n, "x")
    assert [i for found in ranges for i in found] == list(range(n))
    assert len(ranges) == max(1, min(n, n_threads))


def test_any_number_of_threads_gives_the_same_bits(train, set_threads):
    # products of matrices are PyTorch's: small ones, which it computes on one thread
    set_threads(1)
    expected = train()
    for n_threads in (2, 3, 8):
        set_threads(n_threads)
        assert_close(train(), expected, rtol=0, atol=0)


def test_several_threads_at_once(train, set_threads):
    set_threads(2)
    expected = train()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: train(), range(16)):
            assert_close(found, expected, rtol=0, atol=0)


def test_calls_within_calls_do_not_wait_for_each_other(set_threads):
    set_threads(8)  # more than the pool has on most machines

    def nested(first: int, last: int, depth: int) -> Tensor:
        return filtered() if depth == 0 else over_threads(nested, 4, depth - 1)[0]

    expected = filtered()
    assert_close(over_threads(nested, 8, 2), [expected] * 8, rtol=0, atol=0)


def test_an_error_in_a_thread_is_raised_and_the_next_call_works(set_threads):
    set_threads(2)

    def fail(first: int, last: int) -> None:
        if first:
            raise ValueError("second half")

    with pytest.raises(ValueError, match="second half"):
        over_threads(fail, 2)
    assert over_threads(lambda first, last: first, 2) == [0, 1]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_after_a_fork(set_threads):
    set_threads(2)
    expected = filtered()
    with multiprocessing.get_context("fork").Pool(1) as child:
        found = child.apply_async(filtered).get(timeout=60)
    assert_close(found, expected, rtol=0, atol=0)


class Filtered(Dataset):
    """A data set that filters in its workers."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, item: int) -> Tensor:
        return filtered()


@pytest.mark.skipif(sys.platform == "win32", reason="workers are not forked")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_in_the_workers_of_a_loader(set_threads):
    set_threads(2)
    expected = filtered()
    for found in DataLoader(Filtered(), batch_size=None, num_workers=2, timeout=60):
        assert_close(found, expected, rtol=0, atol=0)


def test_no_place_for_machine_code_is_no_error():
    source = "def double(first, last):\n    return 2 * last"  # of no file
    scope: dict[str, Callable] = {}
    exec(source, scope)
    assert over_threads(kernel(scope["double"]), 1) == [2]
