"""Compiled kernels on several cores.

Numba's own parallel loops abort in a forked process and under concurrent calls, so kernels release
the interpreter's lock and work on a range of samples each. As many threads are used as PyTorch
uses, hence one in the workers of a DataLoader.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numba import njit

# rounding may differ by the order of sums; NaN and infinite values stay what they are
FAST = {"contract", "reassoc", "arcp", "nsz", "afn"}


def kernel(function: Callable) -> Callable:
    """Compile without the interpreter's lock, and keep the machine code where a folder for it
    can be written."""
    options = {"nogil": True, "error_model": "numpy", "fastmath": FAST}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside the source nor in the user's cache
        return njit(**options)(function)


def over_threads(compiled: Callable, n: int, *arguments: Any) -> list[Any]:
    """Run ``compiled(first, last, *arguments)`` over ranges that make up ``0 .. n``; the results
    in order. Kernels must not depend on how they are split."""
    n_ranges = max(1, min(torch.get_num_threads(), n))
    edges = np.linspace(0, n, n_ranges + 1).astype(int).tolist()
    own, *ranges = pairwise(edges)
    others = [_pool().submit(compiled, *range_, *arguments) for range_ in ranges]
    results = [compiled(*own, *arguments)]
    for range_, other in zip(ranges, others):
        # what no thread has begun is done here, so that nobody ever waits for a busy pool
        begun = not other.cancel()
        results.append(other.result() if begun else compiled(*range_, *arguments))
    return results


_pools: list[ThreadPoolExecutor] = []  # the one of this process, once it was needed


def _pool() -> ThreadPoolExecutor:
    if not _pools:
        _pools.append(ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="elm"))
    return _pools[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # threads do not outlive a fork
