"""The V1 twin: adapter, shared core, readout and history, from frames to counts per bin.

    stimulus -> adapter[i] -> frontend -> convnet -> modulator <- behaviour
                                              -> recurrent -> readout[i] + history[i] -> output

One pass predicts every bin of a sequence and computes each frame once. Behaviour of a frame acts on
the features of that frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from utils.config import ConfigError, near_matches
from utils.models.v1_twin.activations import Output
from utils.models.v1_twin.adapter import build_adapter
from utils.models.v1_twin.config import TwinConfig, TwinDataset
from utils.models.v1_twin.core import TwinCore
from utils.models.v1_twin.history import History
from utils.models.v1_twin.phases import unfold_phases
from utils.models.v1_twin.provenance import TrainedOn
from utils.models.v1_twin.readout import build_readout


class V1Twin(nn.Module):
    """One core for all data sets, and per data set an adapter, a readout and perhaps a history.

    Attributes
    ----------
    config : what it was built from.
    datasets : by name, in the order given.
    core : the shared part.
    adapters, readouts, histories : by name of the data set; histories may be empty.
    output : from drive to rates; its inverse gives the bias of a mean rate.
    trained_on : the data that trained it; None for a fresh twin.
    """

    def __init__(self, config: TwinConfig, datasets: Sequence[TwinDataset]) -> None:
        super().__init__()
        shared = _checked(config, datasets)
        self.config = config
        self.datasets = {data.name: data for data in datasets}
        self.adapters = nn.ModuleDict({d.name: build_adapter(config.adapter) for d in datasets})
        size = self.adapters[shared.name].output_size(*shared.grid)
        self.core = TwinCore(config, shared.stimulus_channels, shared.behavior_dims, size)
        self.readouts, self.histories = nn.ModuleDict(), nn.ModuleDict()
        for data in datasets:
            wiring = self.core.out_channels, len(data.cell_ids), self.core.size
            self.readouts[data.name] = build_readout(config.readout, *wiring)
            if config.history.type != "none":
                self.histories[data.name] = History(config.history, len(data.cell_ids))
        self.output = Output(config.output)
        self.trained_on: TrainedOn | None = None

    def forward(
        self,
        dataset: str,
        stimulus: Tensor | None,
        behavior: Tensor | None = None,
        responses: Tensor | None = None,
        n_bins: int | None = None,
    ) -> Tensor:
        """Predict the last bins of sequences.

        Parameters
        ----------
        dataset : name of the data set that the sequences belong to.
        stimulus : (batch, frame, row, column) or (batch, frame, channel, row, column); uint8 pixels
            become (x - 127) / 255, floats are taken as they are. A twin of behaviour alone does
            not look at it.
        behavior : (batch, frame, column); not looked at without a modulator.
        responses : counts (batch, frame, cell), needed for a history only. A prediction sees those
            of earlier bins.
        n_bins : how many of the last frames to predict; by default all that have enough before.

        Returns
        -------
        Rates (batch, n_bins, cell) in counts per bin.

        Raises
        ------
        ValueError
            Unknown data set, missing input, wrong shape, or too few frames; the message says which.
        """
        features = self._features(dataset, stimulus, behavior, n_bins)
        n_bins = n_bins or features.shape[2] * self.core.phases
        kept = -(-n_bins // self.core.phases)
        drive = self.readouts[dataset](features[:, :, -kept:])
        drive = unfold_phases(drive, self.core.phases, dim=1)[:, -n_bins:]
        return self._rates(dataset, drive, responses)

    def predict_last(
        self,
        dataset: str,
        stimulus: Tensor | None,
        behavior: Tensor | None = None,
        responses: Tensor | None = None,
    ) -> Tensor:
        """Predict the last bin of each window alone, from what that bin needs: (batch, cell).

        Pools over time stride, as in a network that sees one window per bin. It is what ``forward``
        says of the last bin, at the cost of a whole window for it.
        """
        frames, behavior = self._inputs(dataset, stimulus, behavior)
        features = self.core(frames, behavior, last=True)
        drive = self.readouts[dataset](features[:, :, -1:])
        return self._rates(dataset, drive, responses)[:, 0]

    def save(self, folder: str | Path, **about: Any) -> Path:
        """Keep the twin in a folder; :func:`utils.models.v1_twin.load_model` brings it back."""
        from utils.models.v1_twin.store import save_model

        return save_model(self, folder, **about)

    def core_features(
        self, dataset: str, stimulus: Tensor | None, behavior: Tensor | None = None
    ) -> Tensor:
        """Features (batch, channel, frame, row, column) that the readout of a data set sees."""
        features = self._features(dataset, stimulus, behavior, n_bins=None)
        return unfold_phases(features, self.core.phases)

    def core_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that all data sets share."""
        return self.core.parameters()

    def dataset_parameters(self, dataset: str) -> Iterator[nn.Parameter]:
        """Parameters of one data set: its adapter, readout and history."""
        self._dataset(dataset)
        for parts in (self.adapters, self.readouts, self.histories):
            if dataset in parts:
                yield from parts[dataset].parameters()

    def _features(
        self, dataset: str, stimulus: Tensor | None, behavior: Tensor | None, n_bins: int | None
    ) -> Tensor:
        """Core features in phases, of at least ``n_bins`` bins; of all where None."""
        frames, behavior = self._inputs(dataset, stimulus, behavior)
        n_frames = behavior.shape[1] if frames is None else frames.shape[2]
        lost, phases = self.core.lost_frames, self.core.phases
        possible = max(n_frames - lost, 0) // phases * phases
        wanted = n_bins or 1
        if wanted > possible:
            raise ValueError(
                f"data set '{dataset}': {wanted} bins are to be predicted, but {n_frames} frames "
                f"allow {possible}: the first {lost} are context, the others count in steps of "
                f"{phases}"
            )
        return self.core(frames, behavior, keep=n_bins and -(-n_bins // phases))

    def _inputs(
        self, dataset: str, stimulus: Tensor | None, behavior: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """What the core is to see of stimulus and behaviour, checked."""
        data = self._dataset(dataset)
        frames = None
        if not self.config.behavior_only:
            frames = self.adapters[dataset](self._frames(data, stimulus))
        if self.config.modulator.type == "none":
            return frames, None
        _check_behavior(data, behavior, frames)
        return frames, behavior

    def _frames(self, data: TwinDataset, stimulus: Tensor | None) -> Tensor:
        """Frames (batch, channel, frame, row, column) as floats."""
        shape = "(batch, frame, [channel,] row, column)"
        if stimulus is None:
            raise ValueError(
                f"data set '{data.name}': this twin sees a stimulus {shape}, found None; a twin of "
                "behaviour alone has behavior_only: true in its config"
            )
        frames = stimulus[:, None] if stimulus.ndim == 4 else stimulus.transpose(1, 2)
        expected = (data.stimulus_channels, *data.grid)
        if (frames.shape[1], *frames.shape[3:]) != expected:
            raise ValueError(
                f"data set '{data.name}': expected a stimulus {shape} of channel, row, column "
                f"{expected}, found shape {tuple(stimulus.shape)}"
            )
        if frames.is_floating_point():
            return frames
        return (frames.to(self.readouts[data.name].bias.dtype) - 127) / 255

    def _rates(self, dataset: str, drive: Tensor, responses: Tensor | None) -> Tensor:
        if dataset in self.histories:
            if responses is None:
                raise ValueError(f"data set '{dataset}': a twin with a history needs responses")
            drive = drive + self.histories[dataset](responses, drive.shape[1])
        return self.output(drive)

    def _dataset(self, name: str) -> TwinDataset:
        if name not in self.datasets:
            known = list(self.datasets)
            raise ValueError(f"the twin has no data set '{name}'{near_matches(name, known)}")
        return self.datasets[name]


def _checked(config: TwinConfig, datasets: Sequence[TwinDataset]) -> TwinDataset:
    """The first data set, once all agree with it where they share stages."""
    if not datasets:
        raise ConfigError("a twin needs at least one data set, found none")
    shared = [] if config.modulator.type == "none" else ["behavior_dims"]
    if not config.behavior_only:
        shared += ["stimulus_channels"] + ["grid"] * (config.adapter.type == "none")
    first = datasets[0]
    for place, data in enumerate(datasets):
        if data.name in [other.name for other in datasets[:place]]:
            raise ConfigError(f"more than one data set has the name '{data.name}'")
        for field in shared:
            here, there = getattr(data, field), getattr(first, field)
            if here != there:
                raise ConfigError(
                    f"data sets '{first.name}' and '{data.name}' share a core, but their {field} "
                    f"differ: {there} and {here}"
                    + ("; an adapter of type affine brings them together" * (field == "grid"))
                )
            if not here:
                raise ConfigError(
                    f"data set '{data.name}' has {field} 0: choose a config without that input"
                )
    return first


def _check_behavior(data: TwinDataset, behavior: Tensor | None, frames: Tensor | None) -> None:
    if behavior is None:
        raise ValueError(
            f"data set '{data.name}': the modulator needs behaviour (batch, frame, column); "
            "zeros stand for none"
        )
    n_frames = behavior.shape[1] if frames is None else frames.shape[2]
    if behavior.shape[1:] != (n_frames, data.behavior_dims):
        raise ValueError(
            f"data set '{data.name}': expected behaviour of {n_frames} frames and "
            f"{data.behavior_dims} columns, found shape {tuple(behavior.shape)}"
        )
