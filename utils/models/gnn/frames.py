"""Windows of a recording, drawn at random in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


class FrameBatch(NamedTuple):
    """Windows of ``steps`` + 1 frames."""

    activity: Tensor  # (batch, steps + 1, neuron)
    derivative: Tensor  # (batch, neuron), at the first frame
    inputs: Tensor | None  # (batch, steps + 1, neuron)


class Recording(NamedTuple):
    """Arrays (time, neuron), or data sets of HDF5 files, which are read in stretches.

    Missing values are NaN; windows do not contain them.
    """

    activity: ArrayLike
    derivative: ArrayLike
    inputs: ArrayLike | None = None


class FrameBatches:
    """A number of batches per pass; they depend on ``seed`` and the epoch alone.

    Parameters
    ----------
    recording : arrays (time, neuron).
    first, last : windows lie between these frames, ``last`` not among them.
    steps : from the start of a window to its end.
    aligned : windows start at multiples of ``steps`` after ``first``.
    n_batches, batch_size : in a pass, which draws from one stretch of ``in_memory`` frames.
    moves : each epoch draws others; else all passes are the same.
    """

    batch_sampler = None  # looked at by Lightning, beside ``sampler``

    def __init__(
        self,
        recording: Recording,
        first: int,
        last: int,
        *,
        steps: int,
        aligned: bool,
        n_batches: int,
        batch_size: int,
        in_memory: int,
        seed: int,
        moves: bool,
    ) -> None:
        self.recording, self.first, self.last = recording, first, last
        self.steps, self.spacing = steps, steps if aligned else 1
        self.n_batches, self.batch_size = n_batches, batch_size
        self.in_memory, self.seed, self.moves = max(in_memory, steps + 1), seed, moves
        self.epoch = 0
        self._held: tuple[int, tuple[Tensor | None, ...], Tensor] | None = None

    @property
    def sampler(self) -> FrameBatches:
        """Lightning calls ``loader.sampler.set_epoch`` before each epoch, also after a resume."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the next pass."""
        self.epoch = epoch if self.moves else 0

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[FrameBatch]:
        random = np.random.default_rng([self.seed, self.epoch])
        begin = int(random.integers(max(self.last - self.in_memory - self.first, 0) + 1))
        begin = self.first + begin - begin % self.spacing
        (activity, derivative, inputs), starts = self._stretch(begin)
        window = torch.arange(self.steps + 1)
        for _ in range(self.n_batches):
            first = starts[torch.from_numpy(random.integers(len(starts), size=self.batch_size))]
            frames = first[:, None] + window
            yield FrameBatch(
                activity[frames], derivative[first], None if inputs is None else inputs[frames]
            )

    def _stretch(self, begin: int) -> tuple[tuple[Tensor | None, ...], Tensor]:
        """Float32 frames of all arrays, and starts of windows; those of the last pass are kept."""
        if self._held is None or self._held[0] != begin:
            self._held = None  # not two stretches at a time
            end = min(begin + self.in_memory, self.last)
            arrays = tuple(
                None if array is None else torch.from_numpy(np.asarray(array[begin:end], "float32"))
                for array in self.recording
            )
            self._held = begin, arrays, self._starts(arrays, begin)
        return self._held[1:]

    def _starts(self, arrays: tuple[Tensor | None, ...], begin: int) -> Tensor:
        """First frames of windows without a missing value."""
        whole = [array.isfinite().all(dim=1) for array in arrays if array is not None]
        windows = torch.stack(whole).all(dim=0).unfold(0, self.steps + 1, self.spacing)
        starts = windows.all(dim=1).nonzero()[:, 0] * self.spacing
        if not len(starts):
            raise ValueError(
                f"no window of {self.steps + 1} frames without a missing value from frame {begin} "
                "on; use fewer scheme.steps, or fill what is missing"
            )
        return starts
