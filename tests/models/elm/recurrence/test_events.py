"""Spikes as lists: there and back, and lists that do not belong together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from utils.models.elm.recurrence.events import Events, events_from_dense

TYPES = [torch.bool, torch.int8, torch.uint8, torch.int16, torch.int64]
TYPES += [torch.bfloat16, torch.float32, torch.float64]


def sparse(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(sum(shape))
    return ((torch.rand(shape) < 0.1) * torch.randint(1, 100, shape)).to(dtype)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("n_inputs", [1, 7, 8, 9, 40])
def test_there_and_back(n_inputs: int, dtype: torch.dtype) -> None:
    dense = sparse(3, 50, n_inputs, dtype=dtype)
    events = events_from_dense(dense)
    events.check(n_inputs)
    assert events.val.dtype == dtype
    assert len(events.idx) == dense.count_nonzero()
    assert_close(events.dense(n_inputs), dense.float(), check_dtype=False)


@pytest.mark.parametrize("shape", [(0, 3, 5), (1, 1, 5), (2, 3, 5)])
def test_nothing(shape: tuple[int, int, int]) -> None:
    idx, ptr, val = events_from_dense(torch.zeros(shape))
    assert len(idx) == len(val) == 0
    assert_close(ptr, torch.zeros(shape[0], shape[1] + 1, dtype=torch.int64))


def test_every_entry_and_strides() -> None:
    full = torch.arange(1.0, 121).view(4, 5, 6)
    assert_close(events_from_dense(full).dense(6), full)
    turned = sparse(20, 8, 3).permute(2, 0, 1)
    assert_close(events_from_dense(turned).dense(8), turned)


def test_nan_is_an_event() -> None:
    dense = torch.zeros(2, 3, 9)
    dense[1, 2, 8] = torch.nan
    idx, ptr, val = events_from_dense(dense)
    assert (idx.tolist(), ptr.tolist()) == ([8], [[0, 0, 0, 0], [0, 0, 0, 1]])
    assert val.isnan().all()


def test_zeros_with_a_sign_are_no_events() -> None:
    assert not events_from_dense(-torch.zeros(2, 3, 9)).idx.numel()
    smallest = torch.full((1, 1, 9), -128, dtype=torch.int8)  # of its bits only the first is set
    assert_close(events_from_dense(smallest).dense(9), smallest.float())


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_share_above_which_there_are_no_lists(n_threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        dense = torch.zeros(2, 10, 50)
        dense[1, 4:6] = 1  # 100 of 1000, in one place
        assert events_from_dense(dense, densest=0.0999) is None
        assert len(events_from_dense(dense, densest=0.1).idx) == 100
    finally:
        torch.set_num_threads(before)


def test_equal_inputs_add_up() -> None:
    events = Events(torch.tensor([2, 2, 0]), torch.tensor([[0, 2, 3]]), torch.tensor([1, -3, 5]))
    assert events.dense(3).tolist() == [[[0, 0, -2], [5, 0, 0]]]
    assert events._replace(val=None).dense(3).tolist() == [[[0, 0, 2], [1, 0, 0]]]


@pytest.mark.parametrize(
    ("idx", "ptr", "val", "message"),
    [
        ([0.5], [[0, 1]], None, "idx must be .*integers"),
        ([0], [0, 1], None, "ptr must be"),
        ([0], [[0]], None, "ptr must be"),
        ([0, 1], [[0, 1]], [1.0], "val must have the shape"),
        ([0, 1], [[0, 2, 1]], None, "ptr must rise"),
        ([0, 1], [[0, 1, 3]], None, "ptr must rise"),
        ([0, 5], [[0, 1, 2]], None, "num_input - 1 = 4, found 0 to 5"),
        ([-1, 0], [[0, 1, 2]], None, "found -1 to 0"),
    ],
)
def test_lists_that_do_not_belong_together(idx, ptr, val, message) -> None:
    events = Events(
        torch.tensor(idx), torch.tensor(ptr), None if val is None else torch.tensor(val)
    )
    with pytest.raises(ValueError, match=message):
        events.check(5)
