"""Pooling over space, per frame, and over time, where every frame is kept as a phase."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from utils.models.v1_twin.config import Grid, PoolConfig
from utils.models.v1_twin.convolution import per_frame
from utils.models.v1_twin.phases import fold_phases


class Pool(nn.Module):
    """Maximum, mean or an anti-aliased mean over neighbouring frames, rows and columns.

    ``antialias`` takes every n-th value of a binomial blur over 2 n - 1 (Zhang, "Making
    convolutional networks shift-invariant again", ICML 2019). Windows lie inside the frame.

    Attributes
    ----------
    phases : frames pooled, so many interleaved sequences come out.
    lost_frames : frames at the start that no whole window ends at.
    """

    def __init__(self, config: PoolConfig) -> None:
        super().__init__()
        self.kind = config.type
        self.phases, *self.stride = config.size
        self.lost_frames = self._extent(self.phases) - 1
        blur = torch.outer(*(_binomial(n) for n in self.stride))
        self.register_buffer("blur", blur, persistent=False)
        self.time = _binomial(self.phases).tolist()

    def forward(self, x: Tensor, last_phase: bool = False) -> Tensor:
        """(batch, frame, channel, row, column) -> (phase * batch, frame, channel, row, column).

        With ``last_phase`` only the phase that ends at the last frame is computed.
        """
        self._require_room(x)
        x = per_frame(self._over_space, x)
        if self.phases == 1:
            return x
        if last_phase:
            return self._over_time(x, self.phases)
        return fold_phases(self._over_time(x, 1), self.phases, dim=1)

    def output_size(self, rows: int, columns: int) -> Grid:
        """Rows and columns that come out."""
        extents = [self._extent(n) for n in self.stride]
        return tuple(
            (size - extent) // step + 1
            for size, extent, step in zip((rows, columns), extents, self.stride)
        )

    def _over_space(self, frames: Tensor) -> Tensor:
        if self.kind == "max":
            return functional.max_pool2d(frames, self.stride)
        if self.kind == "avg":
            return functional.avg_pool2d(frames, self.stride)
        blur = self.blur.to(frames.dtype).expand(frames.shape[1], 1, *self.blur.shape)
        return functional.conv2d(frames, blur, stride=self.stride, groups=frames.shape[1])

    def _over_time(self, x: Tensor, step: int) -> Tensor:
        """Windows that end every ``step`` frames, the last one at the last frame."""
        extent = self._extent(self.phases)
        first = (x.shape[1] - extent) % step
        stop = x.shape[1] - extent + 1
        frames = [x[:, i + first : i + stop : step] for i in range(extent)]
        if self.kind == "max":
            return reduce(torch.maximum, frames)
        weights = self.time if self.kind == "antialias" else [1 / extent] * extent
        return sum(weight * frame for weight, frame in zip(weights, frames))

    def _extent(self, n: int) -> int:
        return 2 * n - 1 if self.kind == "antialias" else n

    def _require_room(self, x: Tensor) -> None:
        extents = [self._extent(n) for n in (self.phases, *self.stride)]
        sizes = (x.shape[1], *x.shape[3:])
        if any(size < extent for size, extent in zip(sizes, extents)):
            raise ValueError(
                f"pooling '{self.kind}' over {extents} (frames, rows, columns) does not fit into "
                f"{list(sizes)}: use longer sequences (n_lags), or smaller kernels and pools"
            )


def _binomial(n: int) -> Tensor:
    """Weights of a blur over 2 n - 1 samples, which sum to 1: 1 2 1 for n = 2."""
    weights = torch.ones(1)
    for _ in range(2 * n - 2):
        weights = functional.pad(weights, (1, 0)) + functional.pad(weights, (0, 1))
    return weights / weights.sum()
