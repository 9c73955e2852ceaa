"""Compiled kernels on several cores.

Numba's own parallel loops abort in a forked process and under concurrent calls, so kernels release
the interpreter's lock and work on a range of samples each. As many threads are used as PyTorch
uses, hence one in the workers of a DataLoader.

Where PyTorch is built on GNU OpenMP, kernels run in PyTorch's own threads: these do not sleep
between two products of matrices but wait busily, and would take half of a core from any others.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

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
    edges = [n * i // n_ranges for i in range(n_ranges + 1)]
    results: list[Any] = [None] * n_ranges
    waiting = iter(list(enumerate(pairwise(edges))))

    def work() -> None:
        for place, range_ in waiting:  # what no other thread has begun
            results[place] = compiled(*range_, *arguments)

    if n_ranges == 1:
        work()
    elif _openmp:
        _in_openmp_threads(work, n_ranges)
    else:
        _in_pool_threads(work, n_ranges)
    return results


def _in_openmp_threads(work: Callable[[], None], n_threads: int) -> None:
    errors = []

    def guarded(_: Any) -> None:
        try:
            work()
        except BaseException as error:  # cannot pass through a library that is not Python
            errors.append(error)

    _openmp[0].GOMP_parallel(_CALLBACK(guarded), None, n_threads, 0)
    if errors:
        raise errors[0]


def _in_pool_threads(work: Callable[[], None], n_threads: int) -> None:
    if not _pools:
        _pools.append(ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="elm"))
    others = [_pools[0].submit(work) for _ in range(n_threads - 1)]
    work()
    for other in others:
        if not other.cancel():  # nobody waits for a busy pool
            other.result()


_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_pools: list[ThreadPoolExecutor] = []  # the one of this process, once it was needed
_openmp: list[ctypes.CDLL] = []  # what PyTorch has loaded, where it has that
try:
    if hasattr(ctypes.CDLL(None), "GOMP_parallel"):
        _openmp.append(ctypes.CDLL(None))
except (OSError, TypeError):  # no such list of all that is loaded, as on Windows
    pass

if hasattr(os, "register_at_fork"):  # threads do not outlive a fork
    os.register_at_fork(after_in_child=_pools.clear)
    os.register_at_fork(after_in_child=_openmp.clear)
