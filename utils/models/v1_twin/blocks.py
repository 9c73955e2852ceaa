"""Blocks of the convolutional network: convolution, norm, activation, dropout, pool."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from utils.models.v1_twin.activations import build_activation, channels_after
from utils.models.v1_twin.config import BlockConfig, Grid
from utils.models.v1_twin.convolution import CausalConv, per_frame
from utils.models.v1_twin.gabors import biphasic_weights, gabor_weights
from utils.models.v1_twin.norms import build_norm
from utils.models.v1_twin.pooling import Pool

Join = Literal["none", "add", "concat"]


class Block(nn.Module):
    """One block; its input may be added to its features or stand beside them, before the pool.

    The input is cropped (and thinned, where the convolution has a stride) to the centres of the
    kernels; where it is added and has other channels than the features, a 1 x 1 convolution turns
    it into them.

    Attributes
    ----------
    out_channels : channels that come out.
    phases : interleaved sequences that the pool over time makes of each.
    """

    def __init__(self, config: BlockConfig, in_channels: int, join: Join = "none") -> None:
        super().__init__()
        self.config, self.join = config, join
        self.conv = _convolution(config, in_channels)
        self.norm = build_norm(config)
        self.activation = build_activation(config.activation)
        self.dropout = nn.Dropout(config.dropout)
        self.pool = Pool(config.pool) if config.pool else None
        self.phases = self.pool.phases if self.pool else 1
        features = channels_after(config.activation, config.channels)
        self.out_channels = features + in_channels if join == "concat" else features
        needs_projection = join == "add" and in_channels != features
        self.shortcut = (
            CausalConv(in_channels, features, (1, 1, 1), bias=False)
            if needs_projection
            else nn.Identity()
        )

    def forward(self, x: Tensor, last_phase: bool = False) -> Tensor:
        """(batch, frame, channel, row, column) -> (phase * batch, frame, channel, row, column).

        With ``last_phase`` only the phase that ends at the last frame is computed.
        """
        x = self._with_margin(x)
        out = self.norm(self.conv(x))
        out = self.dropout(per_frame(self.activation, out))
        if self.join == "add":
            out = out + self.shortcut(self._centres(x, out))
        elif self.join == "concat":
            out = torch.cat([self._centres(x, out), out], dim=2)
        return self.pool(out, last_phase) if self.pool else out

    def output_size(self, rows: int, columns: int) -> Grid:
        """Rows and columns that come out of as many."""
        stride, (_, *kernel) = self.config.stride_space, self.config.kernel
        margin = 2 * self.config.margin
        size = tuple((n + margin - k) // stride + 1 for n, k in zip((rows, columns), kernel))
        return self.pool.output_size(*size) if self.pool else size

    def _with_margin(self, x: Tensor) -> Tensor:
        """Frames with zeros around them: the channels, last in memory, come first in ``pad``."""
        margin = self.config.margin
        if not margin:
            return x
        return functional.pad(x.movedim(2, -1), (0, 0, *(4 * [margin]))).movedim(-1, 2)

    def _centres(self, x: Tensor, out: Tensor) -> Tensor:
        """``x`` at the centres of the kernels."""
        stride, (_, *kernel) = self.config.stride_space, self.config.kernel
        rows, columns = (
            slice((k - 1) // 2, (k - 1) // 2 + stride * (n - 1) + 1, stride)
            for k, n in zip(kernel, out.shape[3:])
        )
        return x[..., rows, columns]


def _convolution(config: BlockConfig, in_channels: int) -> CausalConv:
    depthwise = config.type == "depthwise"
    if depthwise and config.channels % in_channels:
        raise ValueError(
            f"block of type 'depthwise': channels = {config.channels} must be a multiple of the "
            f"{in_channels} channels that come in"
        )
    conv = CausalConv(
        in_channels,
        config.channels,
        config.kernel,
        stride=config.stride_space,
        groups=in_channels if depthwise else 1,
        bias=config.bias,
    )
    if config.init != "default":
        weights = {"gabor": gabor_weights, "biphasic": biphasic_weights}[config.init]
        with torch.no_grad():
            conv.weight.copy_(weights(conv.weight.shape))
    return weight_norm(conv) if config.weight_norm else conv
