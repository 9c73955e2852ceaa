"""Fast windows: whole rows gathered from a strided view of one (time, neuron) tensor.

Frames of a window lie next to each other in memory, so a window is one contiguous run of
``length x neurons`` values. A strided view with one (overlapping) row per possible start turns
a batch into a single ``index_select``: one copy, no Python loop.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK_VALUES = 4_000_000  # 16 MB of float32: bounds the memory of a pass over a mapped file


def gather_rows(values: Tensor, starts: Tensor, length: int) -> Tensor:
    """Windows of ``length`` frames: (time, column), (batch,) -> (batch, length, column)."""
    n_frames, n_columns = values.shape
    windows = values.as_strided((n_frames - length + 1, length * n_columns), (n_columns, 1))
    return windows.index_select(0, starts).view(len(starts), length, n_columns)


def has_nan(values: Tensor, segments: NDArray[np.int64]) -> bool:
    """Whether a value in the given (n, 2) runs of frames is missing."""
    for start, stop in segments:
        for chunk in _chunks(values[start:stop]):
            if not torch.isfinite(chunk.sum(dim=1)).all() and chunk.isnan().any():
                return True
    return False


def frames_with_values(values: Tensor) -> NDArray[np.bool_]:
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
                f"activity is infinite at frame {int(some[frame])}, neuron {column}; "
                f"write NaN where a value is missing"
            )
        good[some.numpy()] = (~rows.isnan().all(dim=1)).numpy()
    return good


def _chunks(values: Tensor) -> tuple[Tensor, ...]:
    return values.split(max(1, CHUNK_VALUES // values.shape[1]))
