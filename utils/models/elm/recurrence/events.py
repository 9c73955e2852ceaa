"""Spikes as lists of events instead of arrays that are almost all zero."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from utils.models.elm.recurrence.numba_filters import find_events, well_formed
from utils.models.elm.recurrence.threads import over_threads

BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes
INTEGERS = set(BITS.values())  # PyTorch computes little with the unsigned ones


class Events(NamedTuple):
    """Which inputs are not zero: those of sample b at time t are ``ptr[b, t]:ptr[b, t + 1]``."""

    idx: Tensor  # (event,) input
    ptr: Tensor  # (batch, time + 1) int64, places in idx
    val: Tensor | None = None  # (event,); None: all 1

    def rows(self) -> tuple[Tensor, Tensor]:
        """Places in ``idx`` and frames ``b * time + t`` of all events of the batch, in order."""
        counts = self.ptr.diff(dim=1).flatten()
        row = torch.arange(len(counts), device=self.ptr.device).repeat_interleave(counts)
        first = self.ptr[:, :-1].flatten() - counts.cumsum(0) + counts
        return torch.arange(len(row), device=row.device) + first[row], row

    def dense(self, num_input: int) -> Tensor:
        """(batch, time, input), in the type of ``val`` or float32 where that holds integers;
        events of one input in one frame add up."""
        batch, time = self.ptr.shape[0], self.ptr.shape[1] - 1
        place, row = self.rows()
        ones = torch.ones(len(place), device=self.idx.device)
        values = ones if self.val is None else self.val[place]
        values = values if values.is_floating_point() else values.float()
        flat = values.new_zeros(batch * time * num_input)
        flat.index_add_(0, row * num_input + self.idx[place], values)
        return flat.view(batch, time, num_input)

    def check(self, num_input: int) -> None:
        """Raise ValueError unless the three lists belong together; values are read on CPUs only."""
        idx, ptr, val = self
        if idx.ndim != 1 or idx.dtype not in INTEGERS:
            raise ValueError(
                f"idx must be signed integers (event,), found {idx.dtype} {tuple(idx.shape)}"
            )
        if ptr.ndim != 2 or ptr.shape[1] < 2 or ptr.dtype not in INTEGERS:
            raise ValueError(
                "ptr must be signed integers (batch, time + 1) with time >= 1, found "
                f"{ptr.dtype} {tuple(ptr.shape)}"
            )
        if val is not None and val.shape != idx.shape:
            raise ValueError(
                f"val must have the shape of idx {tuple(idx.shape)}, found {tuple(val.shape)}"
            )
        if idx.device.type != "cpu" or not ptr.numel():
            return
        idx, ptr = idx.numpy(), ptr.numpy()
        if well_formed(idx, ptr, num_input):
            return
        if len(idx) and not 0 <= idx.min() <= idx.max() < num_input:
            raise ValueError(
                f"idx must lie between 0 and num_input - 1 = {num_input - 1}, found "
                f"{idx.min()} to {idx.max()}"
            )
        raise ValueError(
            f"ptr must rise along time and stay between 0 and the {len(idx)} events of idx, "
            f"found {ptr.min()} to {ptr.max()}"
        )


def events_from_dense(X: Tensor, densest: float = 1.0) -> Events | None:
    """Entries of X (batch, time, input) other than 0; None where their share is above ``densest``.

    One pass over X, of any number type, which ends early where there is too much.
    """
    if X.device.type != "cpu":
        events = events_from_dense(X.cpu(), densest)
        return events and Events(*(part.to(X.device) for part in events))
    batch, time, _ = X.shape
    rows = X.detach().contiguous().view(BITS[X.element_size()]).flatten(0, 1).numpy()
    mask = np.iinfo(rows.dtype).max if X.is_floating_point() else -1  # -0.0 is 0, too
    most = int(densest * rows.size)
    found = over_threads(find_events, len(rows), rows, rows.dtype.type(mask), most)
    counts, idx, val = (torch.from_numpy(np.concatenate(part)) for part in zip(*found))
    if len(counts) < len(rows) or len(idx) > densest * rows.size:
        return None
    ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    ptr = ends.as_strided((batch, time + 1), (time, 1))
    return Events(idx, ptr, val.view(X.dtype))
