"""Fast windows: each is one run of memory of a (time, neuron) tensor, copied as a whole.

Frames of a window lie next to each other, so a batch takes one memcpy per window and no more: one
thread fills the memory's bandwidth, a second one only slows it down. Where values may be missing
there is work to do on each, which is shared out between threads window by window: a thread that
gets no processor, on a busy machine, holds nothing up (the parallel loops of torch wait for their
slowest thread).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils.windows.memory import BatchMemory

CHUNK_VALUES = 4_000_000  # 16 MB of float32: bounds the memory of a pass over a mapped file
SHARED_VALUES = 2**18  # masking a batch from 1 MB on is shared out between threads
MOST_THREADS = 4  # more do not help: memory is the limit


def gather_windows(
    values: Tensor,
    starts: Tensor,
    context: int,
    horizon: int,
    memory: BatchMemory,
    has_missing: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Past and future of windows, and where they were measured, in memory of their own.

    (time, column), (batch,) -> (batch, context, column), (batch, horizon, column) float32 and,
    when values may be missing, bool of the same shapes; what is missing becomes 0.
    """
    shapes = [(len(starts), length, values.shape[1]) for length in (context, horizon)]
    sizes = [int(np.prod(shape)) for shape in shapes]
    parts = memory.take(sum(sizes)).split(sizes)
    masks: tuple[Tensor, ...] = ()
    if has_missing:
        masks = memory.take(-(-sum(sizes) // 4)).view(torch.bool)[: sum(sizes)].split(sizes)
    tensors = [part.view(shape) for part, shape in zip((*parts, *masks), shapes * 2)]
    _share_out(values.numpy(), starts, [tensor.numpy() for tensor in tensors])
    past, future, past_mask, future_mask = (*tensors, None, None)[:4]
    return past, future, past_mask, future_mask


def has_nan(values: Tensor, segments: NDArray[np.int64]) -> bool:
    """Whether a value in the given (n, 2) runs of frames is missing."""
    for start, stop in segments:
        for chunk in _chunks(values[start:stop]):
            if not torch.isfinite(chunk.sum(dim=1)).all() and chunk.isnan().any():
                return True
    return False


def frames_with_values(values: Tensor, name: str) -> NDArray[np.bool_]:
    """(time,) bool, False where all columns are NaN; infinite values are an error.

    Row sums, which are not finite where a value is not, keep this to one cheap pass.
    """
    suspects = [~torch.isfinite(chunk.sum(dim=1)) for chunk in _chunks(values)]
    frames = torch.cat([torch.empty(0, dtype=torch.bool), *suspects]).nonzero()[:, 0]
    good = np.ones(len(values), bool)
    for some in frames.split(max(1, CHUNK_VALUES // values.shape[1])):
        rows = values[some]
        if rows.isinf().any():
            frame, column = (int(i) for i in rows.isinf().nonzero()[0])
            raise ValueError(
                f"{name} is infinite at frame {int(some[frame])}, column {column}; "
                f"write NaN where a value is missing"
            )
        good[some.numpy()] = (~rows.isnan().all(dim=1)).numpy()
    return good


def _chunks(values: Tensor) -> tuple[Tensor, ...]:
    return values.split(max(1, CHUNK_VALUES // values.shape[1]))


def _share_out(values: NDArray, starts: Tensor, out: list[NDArray]) -> None:
    """Copy all windows; helping threads where masks are made too."""
    todo = iter(list(enumerate(starts.tolist())))  # threads take turns: each window once
    helpers = []
    masking = len(out) > 2
    if masking and out[0].size + out[1].size >= SHARED_VALUES:
        n_helpers = min(torch.get_num_threads(), MOST_THREADS) - 1
        helpers = [_pool().submit(_copy, todo, values, out) for _ in range(n_helpers)]
    _copy(todo, values, out)
    for helper in helpers:
        if not helper.cancel():  # one that never started has nothing left to do
            helper.result()


def _copy(todo: Iterator[tuple[int, int]], values: NDArray, out: list[NDArray]) -> None:
    """Fill past and future, and their masks where asked for; numpy works outside the GIL."""
    past, future, *masks = out
    for i, first in todo:
        middle = first + past.shape[1]
        past[i] = values[first:middle]
        future[i] = values[middle : middle + future.shape[1]]
        for part, mask in zip((past[i], future[i]), (mask[i] for mask in masks)):
            np.equal(part, part, out=mask)  # False for NaN alone
            np.copyto(part, 0.0, where=~mask)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="windows")
