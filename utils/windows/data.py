"""Windows of a recording as batches: past frames in, future frames to forecast.

A window is ``context`` past frames followed by ``horizon`` future frames, all inside one segment
(no hole, no bad frame) of one block of the split. Where ``reach_back`` is set, the context may lie
in what comes before the block: forecasts of the first frames of the test block then rest on the
last ones of the validation block. Nothing is cut in advance: a batch gathers its rows from one
(time, neuron) tensor that may lie in memory or in a memory-mapped file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from utils.splits import PASSIVE, SPLIT_NAMES, TEST, TRAIN, UNUSED, VALIDATION, find_segments
from utils.windows.gather import gather_windows, has_nan
from utils.windows.memory import BatchMemory


@dataclass(frozen=True)
class WindowBatch:
    """One batch of windows. It owns its memory, so it is safe to keep.

    Masks are True where a value was measured; where it was not, the value is 0. A mask is None
    when nothing is missing in the whole split, covariates are None when the data has none.
    """

    past: Tensor  # (batch, context, neuron)
    future: Tensor  # (batch, horizon, neuron)
    past_mask: Tensor | None
    future_mask: Tensor | None
    past_covariates: Tensor | None  # (batch, context, covariate)
    future_covariates: Tensor | None  # (batch, horizon, covariate)
    past_covariate_mask: Tensor | None
    future_covariate_mask: Tensor | None
    starts: Tensor  # (batch,) first frame of each window in the recording

    def __len__(self) -> int:
        return len(self.starts)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> WindowBatch:
        """The same batch on another device."""
        values = (getattr(self, field.name) for field in fields(self))
        return WindowBatch(
            *(v if v is None else v.to(device, non_blocking=non_blocking) for v in values)
        )


@dataclass(frozen=True, eq=False, repr=False)
class WindowSplit:
    """All windows of one block: ``len(split)`` of them, the i-th starts at ``starts[i]``."""

    name: str
    data: WindowData
    segments: NDArray[np.int64]  # (n, 2) uninterrupted runs of frames, also those too short
    read: NDArray[np.int64]  # (n, 2) the same with the contexts that reach back before them
    starts: Tensor  # (window,) int64

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def n_frames(self) -> int:
        """Valid frames of the block."""
        return int(np.diff(self.segments, axis=1).sum())

    @property
    def minutes(self) -> float:
        """Valid time of the block."""
        return self.n_frames / self.data.frame_rate / 60

    @cached_property
    def has_missing(self) -> bool:
        """Whether any activity that windows read is missing; looked up once."""
        return has_nan(self.data.activity, self.read)

    @cached_property
    def has_missing_covariates(self) -> bool:
        """Whether any covariate that windows read is missing; looked up once."""
        values = self.data.covariates
        return values is not None and has_nan(values, self.read)

    def batch(self, indices: ArrayLike | Tensor) -> WindowBatch:
        """The windows with the given numbers, each 0 .. len(split) - 1, in this order."""
        data = self.data
        starts = self.starts[torch.as_tensor(indices, dtype=torch.int64).reshape(-1)]
        past, future, past_mask, future_mask = self._gather(data.activity, starts, self.has_missing)
        covariates = (None,) * 4
        if data.covariates is not None:
            covariates = self._gather(data.covariates, starts, self.has_missing_covariates)
        return WindowBatch(past, future, past_mask, future_mask, *covariates, starts)

    def batches(
        self,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        stride: int = 1,
    ) -> Iterator[WindowBatch]:
        """All windows (every ``stride``-th), in order of time or shuffled; the last may be small.

        ``generator`` makes the shuffle reproducible.
        """
        order = torch.arange(0, len(self), stride)
        if shuffle:
            order = order[torch.randperm(len(order), generator=generator)]
        for indices in order.split(batch_size):
            yield self.batch(indices)

    def _gather(
        self, values: Tensor, starts: Tensor, has_missing: bool
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Past, future and their masks; what is missing becomes 0."""
        data = self.data
        return gather_windows(values, starts, data.context, data.horizon, data.memory, has_missing)

    def __repr__(self) -> str:
        return (
            f"WindowSplit({self.name}: {len(self):,} windows, {self.minutes:.1f} min "
            f"in {_count(self.segments)})"
        )


@dataclass(eq=False, repr=False)
class WindowData:
    """A recording cut into train, validation, test and passive windows.

    Made by :func:`utils.windows.window_data` (arrays) or :func:`utils.windows.load_windows`
    (session file).
    """

    activity: Tensor  # (time, neuron) float32, a view of what was given; NaN = missing
    timestamps: NDArray[np.float64]  # (time,) s
    split: NDArray[np.int8]  # (time,) labels of utils.splits
    frame_mask: NDArray[np.bool_]  # (time,) True = valid
    context: int  # frames
    horizon: int  # frames
    neurons: pd.DataFrame  # one row per column of activity
    covariates: Tensor | None = None  # (time, covariate) float32
    covariate_names: tuple[str, ...] = ()
    scaler: dict | None = None  # method, offset (N,), scale (N,); None: not scaled here
    source: str = "unknown"
    unit: str = ""
    stored_hash: str | None = None  # of the session file, where there is one
    reach_back: bool = False  # contexts may lie before the block that holds the future

    def __post_init__(self) -> None:
        self.memory = BatchMemory()
        self.train = self._split(TRAIN)
        self.validation = self._split(VALIDATION)
        self.test = self._split(TEST)
        passive = self._split(PASSIVE)
        self.passive = passive if len(passive) else None

    @property
    def window(self) -> int:
        """Frames of one window: context + horizon."""
        return self.context + self.horizon

    @property
    def n_neurons(self) -> int:
        """Columns of the activity."""
        return self.activity.shape[1]

    @cached_property
    def frame_rate(self) -> float:
        """Frames per second: one over the median step, so holes in time do not count."""
        return float(1 / np.median(np.diff(self.timestamps)))

    @property
    def splits(self) -> tuple[WindowSplit, ...]:
        """The blocks that hold windows, in the order train, validation, test, passive."""
        blocks = (self.train, self.validation, self.test, self.passive)
        return tuple(block for block in blocks if block is not None)

    @cached_property
    def content_hash(self) -> str:
        """Identifies activity, clock and split; of a session file it is the stored hash."""
        if self.stored_hash is not None:
            return self.stored_hash
        digest = hashlib.sha256()
        for values in (self.activity.numpy(), self.timestamps, self.split):
            digest.update(np.ascontiguousarray(values))
        return digest.hexdigest()

    def last_training(self, minutes: float) -> WindowData:
        """The same recording, of whose training block only the last ``minutes`` are used.

        Raises
        ------
        ValueError
            Not one window fits into so many minutes.
        """
        frames = np.flatnonzero(self.frame_mask & (self.split == TRAIN))
        n = round(minutes * 60 * self.frame_rate)
        left_out = frames[: max(len(frames) - n, 0)]
        labels, valid = self.split.copy(), self.frame_mask.copy()
        labels[left_out], valid[left_out] = UNUSED, False  # so that no context reaches back to it
        shorter = replace(self, split=labels, frame_mask=valid, stored_hash=None)
        if len(shorter.train) == 0:
            raise ValueError(
                f"{minutes} minutes of training hold no window of {self.window} frames at "
                f"{self.frame_rate:.2f} Hz; give at least {self.window / self.frame_rate / 60:.2f}"
            )
        return shorter

    def _split(self, label: int) -> WindowSplit:
        segments = find_segments(self.timestamps, self.frame_mask & (self.split == label))
        read = self._with_contexts(segments, label) if self.reach_back else segments
        fitting = [(a, b - self.window + 1) for a, b in read.tolist() if b - a >= self.window]
        starts = [torch.arange(a, b) for a, b in fitting] or [torch.empty(0, dtype=torch.int64)]
        return WindowSplit(SPLIT_NAMES[label], self, segments, read, torch.cat(starts))

    def _with_contexts(self, segments: NDArray[np.int64], label: int) -> NDArray[np.int64]:
        """Segments that begin up to one context earlier, never in a hole or in a later block."""
        usable = find_segments(self.timestamps, self.frame_mask & (self.split <= label))
        around = np.searchsorted(usable[:, 0], segments[:, 0], side="right") - 1
        first = np.maximum(segments[:, 0] - self.context, usable[around, 0])
        return np.stack([first, segments[:, 1]], axis=1)

    def __repr__(self) -> str:
        rate = self.frame_rate
        simulated = " SIMULATED" if self.source == "simulated" else ""
        unit = f" [{self.unit}]" if self.unit else ""
        lines = [
            f"WindowData({self.source}){simulated}: {len(self.timestamps):,} frames x "
            f"{self.n_neurons:,} neurons{unit} {_often(rate)}",
            f"  window: {self.context} -> {self.horizon} frames "
            f"({self.context / rate:.1f} s -> {self.horizon / rate:.1f} s), "
            f"{len(self.covariate_names)} covariates"
            + (", contexts reach back" if self.reach_back else ""),
        ]
        for block in self.splits:
            lines.append(
                f"  {block.name:<10} {block.minutes:6.1f} min  n = {len(block):,} windows "
                f"in {_count(block.segments)}"
            )
        return "\n".join(lines)


def _often(rate: float) -> str:
    return f"at {rate:.2f} Hz" if rate >= 0.1 else f"every {1 / rate:g} s"


def _count(segments: NDArray[np.int64]) -> str:
    return f"{len(segments)} segment{'' if len(segments) == 1 else 's'}"
