"""Fast windows: runs of frames gathered from a strided view of one (time, neuron) tensor.

Frames of a window lie next to each other in memory, so a window is one contiguous run of
``length x neurons`` values. A strided view with one (overlapping) row per possible start turns
a batch into a single ``index_select``: one copy, no Python loop.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils.windows.memory import BatchMemory

CHUNK_VALUES = 4_000_000  # 16 MB of float32: bounds the memory of a pass over a mapped file
# torch shares the rows of an index_select out between threads when they are shorter than this
# (at::internal::GRAIN_SIZE); it splits longer ones, and waits for all threads after each.
SHARED_ROW = 32_768


def gather_windows(
    values: Tensor, starts: Tensor, context: int, horizon: int, memory: BatchMemory
) -> tuple[Tensor, Tensor]:
    """Past and future of windows, contiguous, in memory of their own.

    (time, column), (batch,) -> (batch, context, column), (batch, horizon, column)
    """
    n_columns = values.shape[1]
    sizes = [len(starts) * length * n_columns for length in (context, horizon)]
    past, future = memory.take(sum(sizes)).split(sizes)
    _gather(values, starts, context, out=past)
    _gather(values, starts + context, horizon, out=future)
    return past.view(len(starts), context, n_columns), future.view(len(starts), horizon, n_columns)


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


def _gather(values: Tensor, starts: Tensor, length: int, out: Tensor) -> None:
    n_frames, n_columns = values.shape
    run = _frames_per_row(length, n_columns)
    rows = values.as_strided((n_frames - run + 1, run * n_columns), (n_columns, 1))
    first = starts[:, None] + torch.arange(0, length, run)  # (batch, runs of a window)
    torch.index_select(rows, 0, first.view(-1), out=out.view(-1, run * n_columns))


def _frames_per_row(length: int, n_columns: int) -> int:
    """The longest equal part of a window that threads share out; all of it if parts get tiny."""
    parts = [n for n in range(1, length + 1) if length % n == 0 and n * n_columns < SHARED_ROW]
    longest = max(parts, default=length)
    return longest if longest * n_columns >= SHARED_ROW / 16 else length
