"""Memory for batches, used again once nobody holds the batch it was given to.

A batch is tens of megabytes: fresh memory of that size comes from the system page by page, which
costs more than filling it. A buffer returns here when the last tensor (or view, or array made of
it) that uses it is gone, so a batch that is kept stays as it is.
"""

from __future__ import annotations

import weakref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SMALLEST = 2**18  # values; what is smaller costs next to nothing to allocate
FREE_BUFFERS = 2  # of a size: one batch in use, the next one being made
SIZES = 4  # whole and last batches, activity and covariates


class BatchMemory:
    """Float32 buffers by size; at most a few free ones are kept."""

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.float32]]] = {}

    def take(self, n_values: int) -> Tensor:
        """(n_values,) float32, not initialised; pinned when there is a GPU."""
        if torch.cuda.is_available():
            return torch.empty(n_values, pin_memory=True)  # torch recycles pinned memory itself
        if n_values < SMALLEST:
            return torch.empty(n_values)
        free = self._buffers(n_values)
        try:
            buffer = free.pop()
        except IndexError:
            buffer = np.empty(n_values, np.float32)
        lent = buffer.view()  # kept alive by the storage of the tensor, and by nothing else
        weakref.finalize(lent, _give_back, free, buffer).atexit = False
        return torch.from_numpy(lent)

    def _buffers(self, n_values: int) -> list[NDArray[np.float32]]:
        if n_values not in self._free and len(self._free) == SIZES:
            del self._free[next(iter(self._free))]  # the size that came first
        return self._free.setdefault(n_values, [])


def _give_back(free: list[NDArray[np.float32]], buffer: NDArray[np.float32]) -> None:
    if len(free) < FREE_BUFFERS:
        free.append(buffer)
