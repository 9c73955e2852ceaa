"""NeuronIO simulations as lists of events: what all readers give, and batches are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

SEGMENTS = 639  # of the dendrites
INPUTS = 2 * SEGMENTS  # excitatory 0-638, inhibitory 639-1277
SOMA_CAP_MV = -55.0  # voltages are cut off here: spikes are a target of their own
SOMA_BIAS_MV = -67.7  # about the mean voltage
SOMA_SCALE = 0.1  # of the training target, (voltage - bias) * scale


class NeuronIOBatch(NamedTuple):
    """Windows with their input as lists of events, as ``forward_events`` of an ELM neuron takes."""

    idx: Tensor  # (event,) int32 input, 0-1277
    ptr: Tensor  # (batch, time + 1) int64; events of b in ms t are ptr[b, t]:ptr[b, t + 1]
    val: Tensor  # (event,) int8, +1 excitatory or -1 inhibitory
    spikes: Tensor  # (batch, time) float32, 1 in a ms with an output spike
    soma: Tensor  # (batch, time) float32 scaled voltage, see scaled_soma

    def dense(self) -> Tensor:
        """Inputs (batch, time, 1278) float32."""
        batch, time = self.spikes.shape
        rows = torch.arange(batch * time, device=self.idx.device)
        row = rows.repeat_interleave(self.ptr.diff(dim=1).flatten())
        inputs = torch.zeros(batch * time, INPUTS, device=self.idx.device)
        inputs[row, self.idx.long()] = self.val.float()
        return inputs.view(batch, time, INPUTS)


@dataclass(frozen=True, eq=False, repr=False)
class NeuronIOSimulations:
    """Simulations of a file, all of the same duration; in memory, or mapped from a converted file.

    The spikes that arrive in simulation s are ``idx[first[s]:first[s + 1]]``, in order of time and
    input, ``counts[s, t]`` of them in ms t. An input has at most one spike in a ms.
    """

    idx: NDArray[np.uint16]  # (event,) input, 0-1277
    counts: NDArray[np.unsignedinteger]  # (simulation, time) events per ms
    first: NDArray[np.int64]  # (simulation + 1,) place of each simulation's first event
    spikes: NDArray[np.uint8]  # (simulation, time) 1 in a ms with an output spike
    soma_mv: NDArray[np.floating]  # (simulation, time) voltage as stored, not cut off
    segment_types: tuple[str, ...]  # (segment,) basal or apical
    segment_distances: NDArray[np.float32]  # (segment,) um from the soma; NaN where not stored
    source: str  # name of the file that was read

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        return f"<{len(self)} NeuronIO simulations of {self.duration} ms from {self.source}>"

    @property
    def duration(self) -> int:
        """Of each simulation, ms."""
        return self.counts.shape[1]

    def events(
        self, simulation: int, start: int, stop: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        """Events of some ms of a simulation: inputs (event,), and how many came up to each ms.

        Raises
        ------
        ValueError
            The counts do not belong to the list of events.
        """
        first, last = self.first[simulation : simulation + 2].tolist()
        ends = np.empty(min(stop, self.duration) - start, np.int64)
        begin = first + _count_up(self.counts[simulation], start, ends)
        end = begin + int(ends[-1])
        if end > last:
            raise ValueError(
                f"{self.source}: simulation {simulation} counts more than its {last - first} "
                "events; the file is damaged, convert it again"
            )
        return self.idx[begin:end], ends

    def dense(self) -> NDArray[np.int8]:
        """Inputs (simulation, time, 1278): +1 excitatory, -1 inhibitory. 7.7 MB per 6 s."""
        inputs = np.zeros((*self.counts.shape, INPUTS), np.int8)
        row = np.arange(self.counts.size).repeat(self.counts.ravel())
        inputs.reshape(-1, INPUTS)[row, self.idx] = signs(self.idx)
        return inputs


@njit(cache=True, nogil=True)
def _count_up(counts: NDArray, start: int, ends: NDArray) -> int:
    """Fill ``ends`` with the events up to each ms from ``start`` on; returns those before."""
    before = 0
    for t in range(start):
        before += int(counts[t])
    total = 0
    for t in range(len(ends)):
        total += int(counts[start + t])
        ends[t] = total
    return before


def signs(idx: NDArray[np.integer]) -> NDArray[np.int8]:
    """+1 for excitatory inputs, -1 for inhibitory ones."""
    return 1 - 2 * (idx >= SEGMENTS).astype(np.int8)


def scaled_soma(soma_mv: NDArray[np.floating]) -> NDArray[np.float32]:
    """Training target: the voltage is cut off at -55 mV, ``(v + 67.7) * 0.1``."""
    capped = np.minimum(soma_mv.astype(np.float32), np.float32(SOMA_CAP_MV))
    return (capped - np.float32(SOMA_BIAS_MV)) * np.float32(SOMA_SCALE)


def gather_windows(
    files: Sequence[NeuronIOSimulations],
    file: Sequence[int],
    simulation: Sequence[int],
    start: Sequence[int],
    window: int,
) -> NeuronIOBatch:
    """Windows of ``window`` ms: each of the three lists has an entry per window of the batch."""
    n_windows = len(start)
    pieces = []
    ptr = np.zeros((n_windows, window + 1), np.int64)
    spikes = np.empty((n_windows, window), np.float32)
    soma_mv = np.empty((n_windows, window), np.float32)
    total = 0
    for b, (f, s, begin) in enumerate(zip(file, simulation, start)):
        piece, ends = files[f].events(s, begin, begin + window)
        ptr[b, 0] = total
        ptr[b, 1:] = ends + total
        total += len(piece)
        pieces.append(piece)
        spikes[b] = files[f].spikes[s, begin : begin + window]
        soma_mv[b] = files[f].soma_mv[s, begin : begin + window]
    idx = np.concatenate(pieces).astype(np.int32)
    arrays = idx, ptr, signs(idx), spikes, scaled_soma(soma_mv)
    return NeuronIOBatch(*map(torch.from_numpy, arrays))
