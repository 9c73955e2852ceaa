"""A full-size session (8 FOVs x 3500 ROIs x 20,000 frames): time and peak memory of each step.

Every step runs in a process of its own, so that its peak memory is its own; the peak counts mapped
pages of files as well. The simulated session stays in the data folder (7.6 GB) for the next time.
"""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from utils.paths import data_dir
from utils.simulation import simulate_session


def main() -> None:
    """Print one row per step."""
    root = data_dir() / "benchmark"
    folder = Path(tempfile.mkdtemp(dir=data_dir()))
    print("| step | seconds | million samples/s | peak memory, GB |")
    print("|---|---|---|---|")
    try:
        _row("simulate (skipped where done)", _simulate, root)
        _row("open, with the table of neurons", _open, root)
        _row("activity matrix (time, neuron) of F", _matrix, root)
        _row("preprocess to a session file", _preprocess, root, folder / "session.h5")
        _row("1000 random windows 48 -> 16, mapped", _windows, folder / "session.h5")
    finally:
        shutil.rmtree(folder)


def _simulate(root: Path) -> int:
    simulate_session(root, size="full", progress=False)
    return 0


def _open(root: Path) -> int:
    _ = _session(root).neurons
    return 0


def _matrix(root: Path) -> int:
    matrix, _ = _session(root).get_activity_matrix()
    return matrix.size


def _preprocess(root: Path, output: Path) -> int:
    from utils.preprocessing import preprocess
    from utils.sessions.hdf5 import SessionFile

    session = _session(root)
    preprocess(session, output=output, progress=False)
    return SessionFile(output).activity.size


def _windows(path: Path) -> int:
    import torch

    from utils.windows import load_windows

    data = load_windows(path, in_memory=False)
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:1000]
    return sum(data.train.batch(some).past.numel() for some in order.split(16))


def _session(root: Path):
    from one.api import One

    from utils.load_meso_session import MesoscopeSession

    one = One(cache_dir=root, mode="local")
    return MesoscopeSession.from_eid(one, simulate_session(root, size="full", progress=False))


def _row(name: str, step: Callable[..., int], *arguments: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        seconds, samples, peak = pool.apply(_measured, (step, arguments))
    speed = f"{samples / seconds / 1e6:.1f}" if samples else ""
    print(f"| {name} | {seconds:.1f} | {speed} | {peak:.1f} |", flush=True)


def _measured(step: Callable[..., int], arguments: tuple[Path, ...]) -> tuple[float, int, float]:
    start = time.perf_counter()
    samples = step(*arguments)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, kilobytes on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return seconds, samples, peak / 1e9
