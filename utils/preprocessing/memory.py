"""Keeping the memory of a long pass over mapped files small."""

from __future__ import annotations

import mmap

import numpy as np


def release_pages(*arrays: np.ndarray | None) -> None:
    """Hand the pages of mapped arrays back to the system; the values stay in their files.

    Pages that were read from a memory map count as memory of this process until the map is
    closed. A pass over gigabytes gives them back as it goes. Arrays that are not mapped, or
    mapped privately (their changes exist in memory only), are left alone.
    """
    for array in arrays:
        shared = False
        while isinstance(array, np.ndarray):
            shared |= isinstance(array, np.memmap) and array.mode in ("r", "r+", "w+")
            array = array.base
        if shared and isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            array.madvise(mmap.MADV_DONTNEED)
