"""Spikes counted in bins of the first second, and batches of them that stay lists of events.

A batch is gathered in a fraction of a millisecond; an example is one spoken digit, or several, one
after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm.auto import tqdm

from utils.datasets.shd.files import CHANNELS, SpokenDigits

SECONDS = 1.0  # of a recording that are used
DIGITS = 10  # of a language


class SpikeBatch(NamedTuple):
    """Spike counts of a batch: those of example b in bin t are ``ptr[b, t]:ptr[b, t + 1]``."""

    idx: Tensor  # (event,) int64 channel, 0 .. 699
    ptr: Tensor  # (batch, bin + 1) int64, places in idx and val
    val: Tensor  # (event,) float32 number of spikes of this channel in this bin
    labels: Tensor  # (batch,) int64

    def dense(self) -> Tensor:
        """(batch, bin, 700) float32."""
        batch, bins = self.ptr.shape[0], self.ptr.shape[1] - 1
        rows = torch.arange(batch * bins, device=self.idx.device)
        row = rows.repeat_interleave(self.ptr.diff(dim=1).flatten())
        counts = torch.zeros(batch * bins, CHANNELS, device=self.idx.device)
        counts[row, self.idx] = self.val
        return counts.view(batch, bins, CHANNELS)


@dataclass(frozen=True, eq=False, repr=False)
class BinnedDigits:
    """Spike counts of all records of a file, of those channels and bins that have spikes."""

    idx: Tensor  # (event,) int16 channel; in order of record, bin and channel
    val: Tensor  # (event,) int16 number of spikes
    events: Tensor  # (record, bin) int32 how many channels have spikes
    labels: Tensor  # (record,) int64
    source: str

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def starts(self) -> list[int]:
        """Where the events of each record begin, and where those of the last one end."""
        ends = self.events.sum(dim=1).cumsum(0)
        return [0, *ends.tolist()]

    def targets(self, records: Tensor) -> Tensor:
        """(example,) class of examples (example, k): of one record its word, of several the sum of
        the digits that are spoken, in whatever language."""
        labels = self.labels[records]
        return labels[:, 0] if records.shape[1] == 1 else (labels % DIGITS).sum(dim=1)

    def totals(self, records: Tensor) -> Tensor:
        """(example, 700) int64 spikes of each channel in examples (example, k), of all bins."""
        record = torch.arange(len(self)).repeat_interleave(self.events.sum(dim=1))
        counts = torch.zeros(len(self) * CHANNELS, dtype=torch.int64)
        counts.index_add_(0, record * CHANNELS + self.idx, self.val.long())
        return counts.view(len(self), CHANNELS)[records].sum(dim=1)

    def batch(self, records: Tensor) -> SpikeBatch:
        """Examples (batch, k), each a sequence of records: their bins follow one another."""
        n_bins = records.shape[1] * self.events.shape[1]
        ends = self.events[records].flatten().cumsum(0)
        ptr = functional.pad(ends, (1, 0)).unfold(0, n_bins + 1, n_bins).contiguous()
        parts = [slice(self.starts[i], self.starts[i + 1]) for i in records.flatten().tolist()]
        idx = torch.cat([self.idx[part] for part in parts]).long()
        val = torch.cat([self.val[part] for part in parts]).float()
        return SpikeBatch(idx, ptr, val, self.targets(records))


def bin_edges(bin_ms: float) -> NDArray[np.float64]:
    """(bin + 1,) s: bins of the first second, the last one reaching beyond it where it must."""
    if not 0 < bin_ms <= 1000 * SECONDS:
        raise ValueError(f"bin_ms must lie in 0 .. {1000 * SECONDS:g} ms, found {bin_ms}")
    width = bin_ms / 1000
    return np.arange(0, SECONDS + width, width)


def bin_digits(digits: SpokenDigits, bin_ms: float) -> BinnedDigits:
    """Count spikes per channel and bin. One on a border counts for the later bin, those after the
    last bin are dropped."""
    edges = bin_edges(bin_ms)
    n_bins = len(edges) - 1
    events = np.zeros((len(digits), n_bins), np.int32)
    channels, counts = [], []
    for record in tqdm(range(len(digits)), desc=f"bins of {bin_ms:g} ms", leave=False, delay=1):
        times, units = digits.record(record)
        bins = np.searchsorted(edges, times, side="right") - 1
        inside = bins < n_bins
        place, count = np.unique(bins[inside] * CHANNELS + units[inside], return_counts=True)
        events[record] = np.bincount(place // CHANNELS, minlength=n_bins)
        channels.append((place % CHANNELS).astype(np.int16))
        counts.append(count.astype(np.int16))
    return BinnedDigits(
        torch.from_numpy(np.concatenate(channels)),
        torch.from_numpy(np.concatenate(counts)),
        torch.from_numpy(events),
        torch.from_numpy(digits.labels),
        digits.source,
    )
