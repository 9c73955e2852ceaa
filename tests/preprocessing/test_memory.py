"""Released pages lose nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from utils.preprocessing.memory import release_pages


def resident(path: Path) -> int:
    """kB of a mapped file that are in this process's memory."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = line.endswith(path.name)
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_pages_are_given_back_and_values_stay(tmp_path):
    path = tmp_path / "values.bin"
    values = np.memmap(path, np.float32, "w+", shape=(2000, 1000))
    values[:] = 3
    assert resident(path) > 7000
    release_pages(values.T[5:])  # views lead to their map
    assert resident(path) < 100
    assert (values == 3).all()


def test_arrays_and_private_maps_are_left_alone(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(5000))
    private = np.load(tmp_path / "a.npy", mmap_mode="c")
    private[:] = 2
    release_pages(private, np.ones(3), None)
    assert (private == 2).all()
