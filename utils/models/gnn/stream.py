"""Frames of a recording in batches: activity, and the target that the model explains there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from utils.models.gnn.weak_form import Bumps
from utils.signals import derivative as estimate_derivative
from utils.signals import savitzky_golay

MARGIN = 31  # frames on both sides of a batch that a derivative may look at
VALUES_AT_ONCE = 1_000_000  # activities in a batch


class Batch(NamedTuple):
    """Frames, and the equations that they give."""

    activity: Tensor  # (frame, neuron), float64, without missing values
    target: Tensor  # (equation, neuron), du/dt less the input
    project: Callable[[Tensor], Tensor]  # functions of activity (frame, ...) -> (equation, ...)


@dataclass
class FrameStream:
    """A recording that is read in batches of frames, from memory or from a file.

    Attributes
    ----------
    activity : (time, neuron) array, or a data set of an HDF5 file; NaN where missing.
    derivative, inputs : the same, or None: derivative estimated, no input.
    dt : time between frames.
    way : how a derivative is estimated: a method of :func:`utils.signals.derivative`, or test
        functions of the weak form.
    device : where batches lie.
    """

    activity: ArrayLike
    derivative: ArrayLike | None
    inputs: ArrayLike | None
    dt: float
    way: str | Bumps
    device: str = "cpu"

    def __post_init__(self) -> None:
        shape = np.shape(self.activity)
        if len(shape) != 2 or not all(shape):
            raise ValueError(f"activity must be (time, neuron), not empty; found shape {shape}")
        for name in ("derivative", "inputs"):
            array = getattr(self, name)
            if array is not None and np.shape(array) != shape:
                found = np.shape(array)
                raise ValueError(f"{name} must be shaped as activity {shape}; found {found}")
        if not self.dt > 0:
            raise ValueError(f"dt must be a positive time between frames; found {self.dt}")
        self.n_frames, self.n_neurons = shape
        self.n_read = self.n_left_out = 0  # equations so far, the latter for missing values

    def batches(self, first: int, last: int, every: int = 1) -> Iterator[Batch]:
        """Every so many frames of ``[first, last)`` that have no missing value."""
        length = every * max(VALUES_AT_ONCE // self.n_neurons, 64)
        for begin in range(first, last, length):
            batch = self._read(begin, min(begin + length, last), every)
            if len(batch.target):
                yield batch

    def with_derivative(self) -> tuple[ArrayLike, ArrayLike]:
        """Activity and derivative of all frames, (time, neuron); NaN where missing."""
        if self.derivative is not None:
            return self.activity, self.derivative
        return self._estimate(0, self.n_frames, 1)

    def _read(self, begin: int, end: int, every: int) -> Batch:
        if self.derivative is None and isinstance(self.way, Bumps):
            return self._weak(begin, end, every)
        if self.derivative is not None:
            frames = slice(begin, end, every)
            activity, target = self._get("activity", frames), self._get("derivative", frames)
        else:
            activity, target = self._estimate(begin, end, every)
        if self.inputs is not None:
            target = target - self._get("inputs", slice(begin, end, every))
        present = np.isfinite(activity).all(axis=1) & np.isfinite(target).all(axis=1)
        self._count(present)
        return Batch(self._tensor(activity[present]), self._tensor(target[present]), _as_it_is)

    def _estimate(self, begin: int, end: int, every: int) -> tuple[NDArray, NDArray]:
        """Activity and its derivative; both are smoothed where the way is a smoothing one."""
        start = max(begin - MARGIN, 0)
        trace = self._get("activity", slice(start, end + MARGIN))
        target = estimate_derivative(trace, self.dt, self.way)
        if self.way == "savitzky_golay":
            trace = savitzky_golay(trace)
        frames = slice(begin - start, end - start, every)
        return trace[frames], target[frames]

    def _weak(self, begin: int, end: int, every: int) -> Batch:
        """Equations of windows that start in ``[begin, end)``."""
        bumps = self.way.model_copy(update={"stride": max(self.way.stride, every)})
        trace = self._get("activity", slice(begin, end + bumps.width))
        if bumps.n_windows(len(trace)) == 0:
            return Batch(self._tensor(trace[:0]), self._tensor(trace[:0]), _as_it_is)
        target = bumps.slopes(trace, self.dt)
        if self.inputs is not None:
            target = target - bumps.average(self._get("inputs", slice(begin, end + bumps.width)))
        present = np.isfinite(target).all(axis=1)
        self._count(present)
        kept = torch.from_numpy(present).to(self.device)
        return Batch(
            self._tensor(np.nan_to_num(trace)),
            self._tensor(target[present]),
            lambda values: bumps.average(values)[kept],
        )

    def _count(self, present: NDArray[np.bool_]) -> None:
        self.n_read += len(present)
        self.n_left_out += len(present) - int(present.sum())

    def _get(self, name: str, frames: slice) -> NDArray[np.float64]:
        return np.asarray(getattr(self, name)[frames], dtype=np.float64)

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _as_it_is(values: Tensor) -> Tensor:
    return values
