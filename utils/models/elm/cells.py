"""Cells of a session as ELM neurons: what the population does becomes what the cell does next.

Each chosen cell is an ELM neuron of its own; :mod:`utils.models.elm.cell_wiring` says how it is
wired to the population. From the frames up to now it says two things of the next one, as neurons of
NeuronIO do: the probability of an event, and the activity. An event is a frame in which the cell
exceeds its mean in the training block by some deviations.

It is trained on windows of the training block, which run from rest and count no loss in their first
frames. A forecast runs through a whole block with its state carried along, so it may rest on more
than a window. Cells share the windows, in the same order, and nothing else: a cell's neuron is the
same whichever cells are chosen beside it, and each keeps the weights of its own best epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from utils.config import Config, validate_config
from utils.models.elm.base import ELMState
from utils.models.elm.cell_network import BestOfEachCell, CellNetwork, CellSizes, CellTask
from utils.models.elm.cell_wiring import Branch, Grouping, build_cell_neuron, wire_cell
from utils.models.elm.neuron import ELMv2
from utils.models.folders import (
    CONFIG,
    WEIGHTS,
    ModelFolderError,
    new_folder,
    read_config,
    read_tensors,
    write_model,
)
from utils.models.forecasting import DataMismatchError
from utils.models.forecasting.base import NotFittedError
from utils.training import TrainerConfig, TrainingResult, fit_task
from utils.training.config import choose_device
from utils.windows.module import WindowLoader

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit

FORMAT = "mesotwin elm cells 1"
FRAMES_AT_ONCE = 2048  # of a forecast
FEW_SOURCES = 1000  # up to which threads of one product only wait for each other


class CellsTrainer(TrainerConfig):
    """As for a forecaster, but nothing that cells would share: no common norm, no common end."""

    max_epochs: int = Field(12, ge=1)
    batch_size: int = Field(16, ge=1)
    stride: int = Field(16, ge=1)
    validation_stride: int = Field(16, ge=1)
    learning_rate: float = Field(2e-2, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    gradient_clip: float = Field(1e9, gt=0)
    patience: int = Field(1000, ge=1)


class CellsConfig(Config):
    """Settings of all cells."""

    trainer: CellsTrainer = CellsTrainer()
    memory: int = Field(8, ge=1, description="memory units, time constants 1 frame to the context")
    burn_in: int = Field(24, ge=0, description="frames at the start of windows without a loss")
    own: bool = Field(True, description="whether a cell hears its own past")
    covariates: bool = Field(True, description="whether it hears behaviour, where there is any")
    branches_by: Grouping = Field("auto", description="area, distance or fov; auto: area if known")
    event_deviations: float = Field(2.0, description="an event exceeds the mean by so many sd")


class CellForecast(NamedTuple):
    """What was said of the next frame; cells in their order."""

    frames: NDArray[np.int64]  # (frame,) that are forecast, counted in the recording
    activity: NDArray[np.float32]  # (frame, cell) on the scale of the data
    probability: NDArray[np.float32]  # (frame, cell) of an event


class CellNeurons:
    """Chosen cells of a session, each an ELM neuron.

    Parameters
    ----------
    cells : columns of the activity.
    settings : of :class:`CellsConfig`.
    """

    def __init__(self, cells: Sequence[int], **settings: Any) -> None:
        self.cells = [int(cell) for cell in cells]
        self.config = validate_config(CellsConfig, settings, where="CellNeurons")
        self.training: TrainingResult | None = None
        self.sources: list[str] = []  # ids of all cells, then behavioural variables that are heard
        self.branches: list[list[Branch]] = []  # of each cell
        self._network: CellNetwork | None = None

    @property
    def neurons(self) -> list[ELMv2]:
        """The ELM neuron of each cell."""
        return list(self._fitted().neurons)

    def fit(self, data: WindowData, *, folder: Path | None = None) -> Self:
        """Train on the training windows; each cell keeps its best epoch on validation windows.

        Parameters
        ----------
        data : windows longer than the burn-in; of their horizon the first frame counts.
        folder : keeps logs and checkpoints where given.

        Raises
        ------
        ValueError
            Cells that the recording does not have, branches that cannot be made from its table of
            neurons, or windows that are too short.
        """
        self._check_training(data)
        config, trainer = self.config, self.config.trainer
        self.sources = self._sources(data)
        sizes = CellSizes(data.n_neurons, len(self.sources) - data.n_neurons, data.context)
        self.branches = [
            wire_cell(cell, data.neurons, sizes.n_covariates, config.branches_by, config.own)
            for cell in self.cells
        ]
        network = self._build(sizes)
        network.prepare(data, config.event_deviations)
        train = WindowLoader(
            data.train, trainer.batch_size, shuffle=True, seed=trainer.seed, stride=trainer.stride
        )
        validation = WindowLoader(
            data.validation, trainer.batch_size, stride=trainer.validation_stride
        )
        task, best = CellTask(network, trainer, config.burn_in), BestOfEachCell(len(self.cells))
        with _one_thread_for_few(sizes.n_sources):
            self.training = fit_task(
                task, train, validation, trainer, folder=folder, callbacks=[best]
            )
        best.restore(network)
        self._use(network)
        return self

    @torch.no_grad()
    def forecast(self, split: WindowSplit) -> CellForecast:
        """The first frame after the context of each window of a block, from all frames before it.

        Neurons start from rest with each segment.
        """
        network, data = self.network_for(split.data), split.data
        outputs = torch.full((len(data.timestamps) + 1, len(self.cells), 2), torch.nan)
        for start, stop in split.read.tolist():
            states: list[ELMState | None] = [None] * len(self.cells)
            for first in range(start, stop, FRAMES_AT_ONCE):
                last = min(first + FRAMES_AT_ONCE, stop)
                inputs = network.inputs_of(data, first, last)
                for place, neuron in enumerate(network.neurons):
                    output, _, _, states[place] = neuron.run(inputs, states[place])
                    outputs[first + 1 : last + 1, place] = output[0].cpu()
        frames = split.starts + data.context
        logit, activity = outputs[frames].unbind(dim=2)
        activity = network.on_scale(activity.to(network.cells.device)).cpu()
        return CellForecast(frames.numpy(), activity.numpy(), logit.sigmoid().numpy())

    def save(self, folder: str | Path) -> Path:
        """Keep the neurons in a folder; :meth:`load` brings them back."""
        network = self._fitted()
        content = {
            "cells": self.cells,
            "settings": self.config.model_dump(mode="json"),
            "sources": self.sources,
            "branches": [[branch._asdict() for branch in one] for one in self.branches],
            "sizes": network.sizes._asdict(),
        }
        with new_folder(folder) as new:
            write_model(new, FORMAT, content, network.state_dict())
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The neurons in a folder.

        Raises
        ------
        ModelFolderError
            Missing folder or file, a file that is cut or of another kind.
        """
        folder = Path(folder)
        content, tensors = read_config(folder, FORMAT), read_tensors(folder / WEIGHTS)
        try:
            model = cls(content["cells"], **content["settings"])
            model.sources = content["sources"]
            model.branches = [[Branch(**branch) for branch in one] for one in content["branches"]]
            network = model._build(CellSizes(**content["sizes"]))
            network.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelFolderError(
                f"{folder}: {CONFIG} or {WEIGHTS} is damaged: {error}"
            ) from error
        model._use(network)
        return model

    # ---------------------------------------------------------------------- for this room

    def network_for(self, data: WindowData) -> CellNetwork:
        """The fitted network, if it was fitted on such data.

        Raises
        ------
        NotFittedError, DataMismatchError
        """
        network, found = self._fitted(), self._sources(data)
        if found != self.sources:
            same = sum(ours == theirs for ours, theirs in zip(self.sources, found))
            raise DataMismatchError(
                f"these ELM neurons hear {len(self.sources)} cells and behavioural variables, of "
                f"which this recording has {same} in their places; fit them on this recording"
            )
        return network

    def _fitted(self) -> CellNetwork:
        if self._network is None:
            raise NotFittedError("the ELM neurons are not fitted; call fit(data) first")
        return self._network

    def _sources(self, data: WindowData) -> list[str]:
        ids = data.neurons["uuid"] if "uuid" in data.neurons else range(data.n_neurons)
        return [*map(str, ids), *(data.covariate_names if self.config.covariates else ())]

    def _build(self, sizes: CellSizes) -> CellNetwork:
        memory, seed = self.config.memory, self.config.trainer.seed
        neurons = [
            build_cell_neuron(branches, sizes.n_sources, memory, sizes.context, (seed, cell))
            for cell, branches in zip(self.cells, self.branches)
        ]
        return CellNetwork(neurons, self.cells, sizes)

    def _use(self, network: CellNetwork) -> None:
        device = choose_device(self.config.trainer.device)
        self._network = network.to(device).eval().requires_grad_(False)

    def _check_training(self, data: WindowData) -> None:
        strangers = [cell for cell in self.cells if not 0 <= cell < data.n_neurons]
        if strangers or not self.cells:
            raise ValueError(
                f"cells must be columns 0 to {data.n_neurons - 1} of the activity, at least one; "
                f"found {strangers or 'none'}"
            )
        if data.context <= self.config.burn_in:
            raise ValueError(
                f"windows of {data.context} frames leave nothing after a burn-in of "
                f"{self.config.burn_in}; load longer ones, or give a shorter burn_in"
            )


@contextmanager
def _one_thread_for_few(n_sources: int) -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1 if n_sources <= FEW_SOURCES else n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
