"""The convolutional network of the core: plain, with shortcuts, or densely connected blocks."""

from __future__ import annotations

from torch import Tensor, nn

from utils.models.v1_twin.blocks import Block, Join
from utils.models.v1_twin.config import ConvNetConfig, Grid, NoStage

JOINS: dict[str, Join] = {"vanilla": "none", "resnet": "add", "densenet": "concat"}


class ConvNet(nn.Module):
    """A stem, then blocks; without any the identity.

    Attributes
    ----------
    out_channels : features that come out.
    phases : product of the pools over time; the batch comes out that many times as long.
    lost_frames : frames at the start that no whole window of all pools ends at.
    """

    def __init__(self, config: ConvNetConfig | NoStage, in_channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        self.out_channels, self.phases, self.lost_frames = in_channels, 1, 0
        if config.type == "none":
            return
        planned = [(config.stem, "none")] if config.stem else []
        planned += [(block, JOINS[config.type]) for block in config.blocks]
        for block_config, join in planned:
            block = Block(block_config, self.out_channels, join)
            self.blocks.append(block)
            self.out_channels = block.out_channels
            self.lost_frames += self.phases * (block.pool.lost_frames if block.pool else 0)
            self.phases *= block.phases

    def forward(self, x: Tensor, last_phase: bool = False) -> Tensor:
        """(batch, channel, frame, row, column) -> (phase * batch, channel, frame, row, column).

        ``unfold_phases(.., self.phases)`` brings the frames back into order. With ``last_phase``
        only the phase that ends at the last frame is computed: what that frame's features need.
        """
        x = x.transpose(1, 2)
        for block in self.blocks:
            x = block(x, last_phase)
        return x.transpose(1, 2)

    def output_size(self, rows: int, columns: int) -> Grid:
        """Rows and columns of the features of frames of so many."""
        size = (rows, columns)
        for number, block in enumerate(self.blocks):
            before, size = size, block.output_size(*size)
            if min(size) < 1:
                raise ValueError(
                    f"block {number} of the convnet leaves nothing of {before[0]} x {before[1]} "
                    f"pixels: use smaller kernels, pools or strides, or larger frames"
                )
        return size


def build_convnet(config: ConvNetConfig | NoStage, in_channels: int) -> ConvNet:
    """The network for ``in_channels`` channels."""
    return ConvNet(config, in_channels)
