"""The core of a twin, which all data sets share."""

from __future__ import annotations

from torch import Tensor, nn

from utils.models.v1_twin.config import FrontendConfig, Grid, TwinConfig
from utils.models.v1_twin.convnet import build_convnet
from utils.models.v1_twin.frontend import build_frontend
from utils.models.v1_twin.modulator import build_modulator
from utils.models.v1_twin.phases import fold_phases
from utils.models.v1_twin.recurrent import build_recurrent


class TwinCore(nn.Module):
    """What all data sets share: frontend, convnet, modulator, recurrent.

    Attributes
    ----------
    out_channels, size : features, and their rows and columns.
    phases : product of the pools over time; the batch holds that many interleaved sequences.
    lost_frames : frames at the start that have no features.
    """

    def __init__(self, config: TwinConfig, channels: int, behavior_dims: int, size: Grid) -> None:
        super().__init__()
        self.frontend = build_frontend(config.frontend, channels)
        self.convnet = build_convnet(config.convnet, self.frontend.out_channels)
        self.phases = self.convnet.phases
        frames, rows, columns = _lost_in_frontend(config.frontend)
        self.lost_frames = frames + self.convnet.lost_frames
        self.size, features = (1, 1), 0
        if not config.behavior_only:
            self.size = self.convnet.output_size(size[0] - rows, size[1] - columns)
            features = self.convnet.out_channels
        self.modulator = build_modulator(config.modulator, behavior_dims, features)
        self.recurrent = build_recurrent(config.recurrent, self.modulator.out_channels)
        self.out_channels = self.recurrent.out_channels
        self.recurs = "convgru" in config.modulator.type or config.recurrent.type != "none"

    def forward(
        self,
        frames: Tensor | None,
        behavior: Tensor | None,
        last: bool = False,
        keep: int | None = None,
    ) -> Tensor:
        """Frames (batch, channel, frame, row, column) and behaviour (batch, frame, column).

        Returns features (phase * batch, channel, frame, row, column); their last frame is that of
        the inputs. With ``last`` there is only the phase that this frame belongs to; ``keep`` is
        how many frames are wanted at least: behind the convnet only a recurrence needs others.
        """
        features = None
        if frames is not None:
            if not last:
                frames = self._whole_phases(frames)
            features = self.convnet(self.frontend(frames), last)
            if behavior is not None:
                behavior = self._in_phase(behavior, features.shape[2], last)
            if keep and not self.recurs:
                features = features[:, :, -keep:]
                behavior = None if behavior is None else behavior[:, -keep:]
        return self.recurrent(self.modulator(features, behavior))

    def _whole_phases(self, frames: Tensor) -> Tensor:
        """Without the frames at the start that would leave phases of unequal length."""
        surplus = (frames.shape[2] - self.lost_frames) % self.phases
        return frames[:, :, surplus:]

    def _in_phase(self, behavior: Tensor, n_frames: int, last: bool) -> Tensor:
        """Behaviour of the frames that the features belong to."""
        if last:
            return behavior.flip(1)[:, :: self.phases][:, :n_frames].flip(1)
        return fold_phases(behavior[:, -n_frames * self.phases :], self.phases, dim=1)


def _lost_in_frontend(config: FrontendConfig) -> tuple[int, int, int]:
    """Frames, rows and columns that a valid convolution leaves out."""
    if config.type in ("learned_temporal", "temporal_basis"):
        return config.kernel - 1, 0, 0
    if config.type == "conv":
        frames, rows, columns = config.kernel
        return frames - 1, rows - 1, columns - 1
    return 0, 0, 0
