"""Convolutions over frames and space, each computed in the way that is fast for its kernel.

Sequences are ``(batch, frame, channel, row, column)`` with the channels last in memory, so that
images, time courses and features of a place are all views of them: a kernel of one frame is a 2-D
convolution of images, one of one place a 2-D convolution with a row per frame, any other a 2-D
convolution that sees the frames of its kernel as further channels. On a CPU torch's 3-D
convolution takes up to some hundred times as long, worst for the gradient of filters over time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

Kernel = tuple[int, int, int]  # (frame, row, column)


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, groups: int = 1
) -> Tensor:
    """Valid convolution; the last frame of a kernel is the present one.

    Parameters
    ----------
    x : (batch, frame, channel, row, column).
    weight : (output, channel / groups, frame, row, column).
    stride : of rows and columns.
    groups : 1, or the number of channels: then each is filtered on its own.

    Returns
    -------
    (batch, frame - kernel frames + 1, output, row, column).
    """
    _require_room(x, weight)
    x = x.permute(0, 1, 3, 4, 2)  # (batch, frame, row, column, channel)
    over_time = stride == 1 and weight[0, 0].numel() == weight.shape[2] > 1
    alone = weight.shape[1] == 1 and (groups > 1 or over_time)
    if alone and len(weight) > x.shape[4]:  # a copy of its channel for each output: fast on a CPU
        x = x.repeat_interleave(len(weight) // x.shape[4], dim=4)
    convolution = _over_time if over_time else _over_frames
    return convolution(x, weight, bias, stride, len(weight) if alone else groups)


class CausalConv(nn.Module):
    """Convolution with the first frame repeated before the start, and valid in space.

    ``weight`` is (output, channel / groups, frame, row, column).
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: Kernel,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.groups = stride, groups
        self.weight = nn.Parameter(torch.empty(channels, in_channels // groups, *kernel))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as torch does

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frame, channel, row, column) -> as many frames, fewer rows and columns."""
        x = repeat_first(x, self.weight.shape[2] - 1)
        return convolve(x, self.weight, self.bias, self.stride, self.groups)


def repeat_first(x: Tensor, n: int) -> Tensor:
    """(batch, frame, ..) with ``n`` more frames before the first, equal to it."""
    return torch.cat([x[:, :1].expand(-1, n, *x.shape[2:]), x], dim=1) if n else x


def per_frame(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a module of images (batch, channel, row, column) to every frame of a sequence."""
    return module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def _over_frames(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int
) -> Tensor:
    """The frames of a kernel are further channels of the last one."""
    if weight.shape[2] > 1:
        x = x.unfold(1, weight.shape[2], 1).flatten(-2)
    frames = x.flatten(0, 1).permute(0, 3, 1, 2)
    weight = weight.flatten(1, 2).contiguous(memory_format=torch.channels_last)
    out = functional.conv2d(frames, weight, bias, stride, groups=groups)
    return out.unflatten(0, x.shape[:2])


def _over_time(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    """Frames are rows of an image, places its columns."""
    image = x.flatten(2, 3).permute(0, 3, 1, 2)  # (batch, channel, frame, place)
    weight = weight.flatten(3).contiguous(memory_format=torch.channels_last)
    out = functional.conv2d(image, weight, bias, groups=groups)
    return out.transpose(1, 2).unflatten(3, x.shape[2:4])


def _require_room(x: Tensor, weight: Tensor) -> None:
    frames, rows, columns = weight.shape[2:]
    if x.shape[1] < frames:
        raise ValueError(
            f"{x.shape[1]} frames are too few for a kernel of {frames} frames: give longer "
            f"sequences (n_lags) or a shorter kernel"
        )
    if x.shape[3] < rows or x.shape[4] < columns:
        raise ValueError(
            f"a kernel of {rows} x {columns} does not fit into frames of "
            f"{x.shape[3]} x {x.shape[4]}: use smaller kernels, pools or strides before it"
        )
