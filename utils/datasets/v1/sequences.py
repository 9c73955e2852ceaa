"""Sequences: bins of one trial that are predicted in one pass, and the frames before them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class V1Sequences(NamedTuple):
    """Sequences of one data set: L = n_lags - 1 + S frames, of which the last S are predicted.

    Attributes
    ----------
    stimulus : (B, L, [channel,] H, W) uint8 as recorded, or float32 after transforms.
    behavior : (B, L, D) float32; 0 where unknown.
    responses : (B, L, N) float32, on the cells' own scale; 0 where not valid.
    mask : (B, S, N) float32, 1 where a response counts.
    """

    stimulus: Tensor | None
    behavior: Tensor | None
    responses: Tensor
    mask: Tensor


class SequenceIndex(NamedTuple):
    """Where sequences lie in a recording.

    Attributes
    ----------
    firsts : (sequence,) first bin that is predicted.
    counts : (sequence,) bins that are predicted; the rest of a sequence is padding.
    n_bins : S.
    """

    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]
    n_bins: int

    @property
    def bins(self) -> NDArray[np.int64]:
        """(sequence, S) bins of the recording, -1 for padding."""
        step = np.arange(self.n_bins)
        return np.where(step < self.counts[:, None], self.firsts[:, None] + step, -1)

    def take(self, places: NDArray[np.integer] | NDArray[np.bool_]) -> SequenceIndex:
        """Some of the sequences."""
        return SequenceIndex(self.firsts[places], self.counts[places], self.n_bins)


def index_sequences(trials: NDArray[np.integer], n_lags: int, n_bins: int) -> SequenceIndex:
    """Cut trials into sequences; each bin with all of its lags in its trial is in one of them.

    Parameters
    ----------
    trials : (trial, 2) first bin and one past the last bin.
    n_lags : frames that a prediction depends on.
    n_bins : largest number of bins to predict; those of a trial are shared out evenly.
    """
    firsts, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start, stop in trials:
        n_predicted = max(stop - start - n_lags + 1, 0)
        borders = np.linspace(0, n_predicted, -(-n_predicted // n_bins) + 1).round().astype(int)
        firsts.append(start + n_lags - 1 + borders[:-1])
        counts.append(np.diff(borders))
    return SequenceIndex(np.concatenate(firsts), np.concatenate(counts), n_bins)


def run_lengths(good: NDArray[np.bool_], trials: NDArray[np.integer]) -> NDArray[np.int64]:
    """(T,) good bins in a row of the same trial, up to and including each bin; 0 in a bad one."""
    bins = np.arange(len(good))
    before = np.where(good, -1, bins)  # the last bin that does not belong to the run
    before[trials[:, 0]] = np.where(good[trials[:, 0]], trials[:, 0] - 1, trials[:, 0])
    return bins - np.maximum.accumulate(before)
