"""Fast windows: each is one run of memory of a (time, neuron) tensor, copied as a whole.

Frames of a window lie next to each other, so a batch takes one memcpy per window and no more.
The copies are shared out between threads window by window: a thread that gets no processor, on
a busy machine, holds nothing up (the parallel loops of torch wait for their slowest thread).
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
SHARED_VALUES = 2**18  # a batch from 1 MB on is shared out between threads
MOST_THREADS = 4  # more do not help: memory is the limit


def gather_windows(
    values: Tensor, starts: Tensor, context: int, horizon: int, memory: BatchMemory
) -> tuple[Tensor, Tensor]:
    """Past and future of windows, contiguous, in memory of their own.

    (time, column), (batch,) -> (batch, context, column), (batch, horizon, column)
    """
    n_windows, n_columns = len(starts), values.shape[1]
    sizes = [n_windows * length * n_columns for length in (context, horizon)]
    parts = memory.take(sum(sizes)).split(sizes)
    past = parts[0].view(n_windows, context, n_columns)
    future = parts[1].view(n_windows, horizon, n_columns)
    arrays = values.numpy(), past.numpy(), future.numpy()
    todo = iter(list(enumerate(starts.tolist())))  # threads take turns: each window is taken once
    helpers = []
    if sum(sizes) >= SHARED_VALUES:
        n_threads = min(torch.get_num_threads(), MOST_THREADS)
        helpers = [_pool().submit(_copy, todo, *arrays) for _ in range(n_threads - 1)]
    _copy(todo, *arrays)
    for helper in helpers:
        if not helper.cancel():  # one that never started has nothing left to do
            helper.result()
    return past, future


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


def _copy(
    todo: Iterator[tuple[int, int]],
    values: NDArray[np.float32],
    past: NDArray[np.float32],
    future: NDArray[np.float32],
) -> None:
    context, window = past.shape[1], past.shape[1] + future.shape[1]
    for i, start in todo:  # numpy lets other threads run while it copies
        past[i] = values[start : start + context]
        future[i] = values[start + context : start + window]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="windows")
