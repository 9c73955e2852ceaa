"""Windows per second from memory and from HDF5, against a torch DataLoader in one process.

[30000 x 1000] float32, 120-step windows in random batches, warm cache, every batch kept until
the next one is there. Targets: 1.3 x an in-memory DataLoader and 25 % of the memcpy bandwidth;
from a file 3 x a DataLoader that opens the file for each window. The contestants take turns, so
that whatever else the machine does hits all of them; medians of the turns.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from utils.sessions.hdf5_write import SessionContents, write_session_file
from utils.windows import WindowData, load_windows, window_data

N_FRAMES, N_NEURONS, CONTEXT, HORIZON = 30_000, 1_000, 96, 24
WINDOW = CONTEXT + HORIZON
WINDOW_BYTES = WINDOW * N_NEURONS * 4
Batches = Callable[[], Iterator]  # starts a pass of random batches


class Slices(Dataset):
    """The peer: one window is one slice of a tensor, the loader stacks them."""

    def __init__(self, data: WindowData, pair: bool) -> None:
        self.activity, self.starts, self.pair = data.activity, data.train.starts.tolist(), pair

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, i: int) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        start = self.starts[i]
        if not self.pair:
            return self.activity[start : start + WINDOW]
        middle = start + CONTEXT
        return self.activity[start:middle], self.activity[middle : middle + HORIZON]


class FileSlices(Dataset):
    """The usual way to read windows from HDF5: open, slice, close, for each window."""

    def __init__(self, path: Path, name: str, starts: torch.Tensor) -> None:
        self.path, self.name, self.starts = path, name, starts.tolist()

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, i: int) -> torch.Tensor:
        with h5py.File(self.path) as file:
            return torch.from_numpy(file[self.name][self.starts[i] : self.starts[i] + WINDOW])


def main(seconds: float = 12.0) -> None:
    """Print a table for batches of 32, of 256, and from a file: ``seconds`` each, or 3 turns."""
    rng = np.random.default_rng(0)
    activity = rng.standard_normal((N_FRAMES, N_NEURONS), dtype=np.float32)
    times = np.arange(N_FRAMES) / 5.0
    memory = window_data(activity, times, CONTEXT, HORIZON)
    holes = np.where(rng.random(activity.shape) < 1e-4, np.float32(np.nan), activity)
    masked = window_data(holes, times, CONTEXT, HORIZON)
    with tempfile.TemporaryDirectory() as folder:
        path = _session_file(Path(folder), activity, memory)
        mapped = load_windows(path, CONTEXT, HORIZON, in_memory=False)
        with h5py.File(path, "r+") as file:
            file.create_dataset("chunked", data=activity, chunks=(256, N_NEURONS))
        for size in (32, 256):
            in_memory = {
                "DataLoader, whole windows": _loader(Slices(memory, pair=False), size),
                "DataLoader, past and future": _loader(Slices(memory, pair=True), size),
                "**mesotwin**, past and future": _ours(memory, size),
                "**mesotwin**, with masks (1 in 10,000 missing)": _ours(masked, size),
            }
            _print_table(f"memory, batches of {size}", in_memory, size, seconds, n_windows=1024)
        starts = memory.train.starts
        from_file = {
            "DataLoader, opens contiguous HDF5": _loader(FileSlices(path, "activity", starts), 32),
            "DataLoader, opens chunked HDF5": _loader(FileSlices(path, "chunked", starts), 32),
            "**mesotwin**, mapped, past and future": _ours(mapped, 32),
        }
        _print_table("HDF5, batches of 32", from_file, 32, seconds, n_windows=256)


def _session_file(folder: Path, activity: np.ndarray, data: WindowData) -> Path:
    contents = SessionContents(
        activity=activity,
        timestamps=data.timestamps,
        frame_mask=data.frame_mask,
        split=data.split,
        neurons=pd.DataFrame({"uuid": [str(i) for i in range(N_NEURONS)]}),
        metadata={"eid": "benchmark", "source": "simulated", "simulated": True},
        scaler={"method": "none", "offset": np.zeros(N_NEURONS), "scale": np.ones(N_NEURONS)},
        neuron_mask=np.ones(N_NEURONS, bool),
    )
    return write_session_file(folder / "benchmark.h5", contents)


def _loader(dataset: Dataset, batch_size: int) -> Batches:
    return lambda: iter(DataLoader(dataset, batch_size, shuffle=True))


def _ours(data: WindowData, batch_size: int) -> Batches:
    return lambda: data.train.batches(batch_size, shuffle=True)


def _print_table(
    title: str, contestants: dict[str, Batches], batch_size: int, seconds: float, n_windows: int
) -> None:
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    copies: list[float] = []
    begin = time.perf_counter()
    while len(copies) < 3 or time.perf_counter() < begin + seconds:
        for name, batches in contestants.items():
            rates[name].append(_windows_per_second(batches(), n_windows // batch_size, batch_size))
        copies.append(_memcpy_bandwidth())
    memcpy = float(np.median(copies))
    first = np.median(next(iter(rates.values())))
    print(f"| {title} | windows/s | GB/s | of memcpy ({memcpy:.1f} GB/s) | ratio to the first |")
    print("|---|---|---|---|---|")
    for name, values in rates.items():
        rate = float(np.median(values))
        bandwidth = rate * WINDOW_BYTES / 1e9
        share = bandwidth / memcpy
        print(f"| {name} | {rate:,.0f} | {bandwidth:.2f} | {share:.0%} | {rate / first:.2f} |")
    print(flush=True)


def _windows_per_second(batches: Iterator, n_batches: int, batch_size: int) -> float:
    kept = next(batches)  # starting a pass is not timed
    begin = time.perf_counter()
    for batch in islice(batches, n_batches):
        kept = batch
    seconds = time.perf_counter() - begin
    del kept
    return n_batches * batch_size / seconds


def _memcpy_bandwidth(n_bytes: int = 2**26, repeats: int = 5) -> float:
    """GB/s of copying one array to another: bytes copied, not read plus written."""
    source, target = np.ones(n_bytes, np.uint8), np.empty(n_bytes, np.uint8)
    target[:] = source
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - begin)
    return n_bytes / float(np.median(seconds)) / 1e9


if __name__ == "__main__":
    main()
