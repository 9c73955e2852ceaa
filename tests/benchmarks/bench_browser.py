"""How fast the session browser draws 10,000 cells x 20,000 frames: seconds per picture.

Target: 2000 frames of all cells within 0.2 s, the whole recording within 0.1 s, both with axes,
behaviour and the selected cell, as PNG. ``python -m tests.benchmarks browser``
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from utils.widgets.recording import Recording
from utils.widgets.render import View, render

N_FRAMES, N_CELLS = 20_000, 10_000
VIEWS = {
    "300 frames x 10,000 cells": View(1000, 1300),
    "2,000 frames x 10,000 cells": View(1000, 3000),
    "2,000 frames x 200 cells": View(1000, 3000, 0, 200),
    "20,000 frames x 10,000 cells": View(0, N_FRAMES),
}


def main(repeats: int = 7) -> None:
    """Print one row per view: median and best time of a picture, and its size."""
    with tempfile.TemporaryDirectory() as folder:
        recording = _recording(Path(folder))
        recording.order("correlation")
        print("| view | median (s) | best (s) | PNG (MB) |\n|---|---|---|---|")
        for name, view in VIEWS.items():
            seconds = []
            for _ in range(repeats):
                begin = time.perf_counter()
                png = render(recording, view)
                seconds.append(time.perf_counter() - begin)
            size = len(png) / 1e6
            print(f"| {name} | {np.median(seconds):.3f} | {min(seconds):.3f} | {size:.2f} |")


def _recording(folder: Path) -> Recording:
    """Sparse calcium-like activity in a memory map, with the pyramid that a session file has."""
    rng = np.random.default_rng(0)
    activity = np.memmap(folder / "activity", np.float32, "w+", shape=(N_FRAMES, N_CELLS))
    for start in range(0, N_FRAMES, 1000):
        block = rng.standard_normal((1000, N_CELLS), dtype=np.float32) * 0.2
        block += np.repeat(rng.random((100, N_CELLS), dtype=np.float32) > 0.98, 10, axis=0)
        activity[start : start + 1000] = block
    times = np.arange(N_FRAMES) / 5.07538
    behaviour = {name: rng.random(N_FRAMES) for name in ("wheel", "pupil", "licks")}
    events = {name: np.sort(rng.uniform(0, times[-1], 500)) for name in ("stimulus", "reward")}
    return Recording.from_arrays(activity, times, behaviour=behaviour, events=events)


if __name__ == "__main__":
    main()
