"""Spikes as lists of events instead of arrays that are almost all zero."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


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
        """(batch, time, input) float32; events of one input in one frame add up."""
        batch, time = self.ptr.shape[0], self.ptr.shape[1] - 1
        place, row = self.rows()
        values = torch.ones(len(place)) if self.val is None else self.val[place].float()
        flat = torch.zeros(batch * time * num_input, device=self.idx.device)
        flat.index_add_(0, row * num_input + self.idx[place], values.to(flat.device))
        return flat.view(batch, time, num_input)

    def check(self, num_input: int) -> None:
        """Raise ValueError unless the three lists belong together; values are read on CPUs only."""
        idx, ptr, val = self
        if idx.ndim != 1 or idx.is_floating_point():
            raise ValueError(f"idx must be integers (event,), found {idx.dtype} {tuple(idx.shape)}")
        if ptr.ndim != 2 or ptr.shape[1] < 2 or ptr.is_floating_point():
            raise ValueError(
                "ptr must be integers (batch, time + 1) with time >= 1, found "
                f"{ptr.dtype} {tuple(ptr.shape)}"
            )
        if val is not None and val.shape != idx.shape:
            raise ValueError(
                f"val must have the shape of idx {tuple(idx.shape)}, found {tuple(val.shape)}"
            )
        if idx.device.type != "cpu" or not ptr.numel():
            return
        if (ptr.diff(dim=1) < 0).any() or ptr.min() < 0 or ptr.max() > len(idx):
            raise ValueError(
                f"ptr must rise along time and stay between 0 and the {len(idx)} events of idx, "
                f"found {int(ptr.min())} to {int(ptr.max())}"
            )
        if len(idx) and not 0 <= int(idx.min()) <= int(idx.max()) < num_input:
            raise ValueError(
                f"idx must lie between 0 and num_input - 1 = {num_input - 1}, found "
                f"{int(idx.min())} to {int(idx.max())}"
            )
