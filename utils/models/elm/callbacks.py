"""Callbacks that watch an ELM neuron learn, and write what they see.

All look at the first batch that is validated, always the same, at the end of each epoch. They find
the first ELM neuron in the task's network, work with any batch that the task does, and neither
change what is learned nor stop it: what cannot be written or drawn is said once in the log. Files
lie in ``folder``, or in the folder of the training; epochs count from 0 as in its curves. A new
training in the same folder replaces the files of the one before, a resumed one goes on with them.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure
from torch import Tensor

from utils.models.elm.base import NEURONIO_SOMA_SCALE
from utils.models.elm.watching import Watched, find_elm, synaptic_weights, to_numpy, watch
from utils.plots import elm as plots
from utils.plots import use_style
from utils.training import TrainingError, TrainingTask

SOMA_BIAS_MV = -67.7  # of NeuronIO's voltages, which neurons are trained on relative to it
log = logging.getLogger(__name__)


class _Watcher(lightning.Callback, ABC):
    """Keeps the first validation batch and calls ``write`` with what the task makes of it."""

    files: str  # pattern of what is written per epoch, relative to the folder

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    @abstractmethod
    def write(self, trainer: lightning.Trainer, watched: Watched, batch: Any) -> None:
        """Write the files of the present epoch."""

    def path(self, epoch: int) -> Path:
        """Where the file of an epoch lies."""
        return self._root / self.files.replace("*", f"{epoch:04d}")

    def setup(self, trainer: lightning.Trainer, task: TrainingTask, stage: str) -> None:
        """Raises TrainingError where there is nothing to watch."""
        if find_elm(task) is None:
            raise TrainingError(
                f"{type(self).__name__} found no ELM neuron in {type(task).__name__} with its "
                f"network {type(task.network).__name__}; train an ELMv1 or ELMv2, or leave the "
                "callback out"
            )
        self._batch: Any = None
        self._failed = False
        save_dir = trainer.logger.save_dir if trainer.logger else None
        self._root = Path(self.folder or save_dir or trainer.default_root_dir)

    def on_train_start(self, trainer: lightning.Trainer, task: TrainingTask) -> None:
        """Clears what an earlier training wrote for the epochs to come."""
        if trainer.is_global_zero:
            self.path(0).parent.mkdir(parents=True, exist_ok=True)
            for file in self._root.glob(self.files):
                if file >= self.path(trainer.current_epoch):
                    file.unlink()

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, task: TrainingTask, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Keeps the first batch."""
        if self._batch is None:
            self._batch = batch

    def on_train_epoch_end(self, trainer: lightning.Trainer, task: TrainingTask) -> None:
        """Watches and writes; a failure is logged once and never ends the training."""
        if not trainer.is_global_zero or not self._is_due(trainer.current_epoch):
            return
        try:
            if self._batch is None:
                raise RuntimeError("nothing was validated yet")
            with trainer.precision_plugin.val_step_context():
                watched = watch(task, self._batch)
            self.write(trainer, watched, self._batch)
        except Exception:
            if not self._failed:
                log.warning("%s cannot write %s", type(self).__name__, self.files, exc_info=True)
            self._failed = True

    def _is_due(self, epoch: int) -> bool:
        return True

    def _show(self, trainer: lightning.Trainer, tag: str, draw: Callable[[], Figure]) -> None:
        """Draw the figure of this epoch for the folder and for TensorBoard."""
        with _drawing():
            figure = draw()
            figure.savefig(self.path(trainer.current_epoch))
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_figure(tag, figure, trainer.current_epoch, close=False)


class StateRecorder(_Watcher):
    """Record inputs, states and outputs: ``states/epoch_XXXX.npz`` in the folder.

    A file holds, in float32, ``excitation`` and ``inhibition`` (sample, time), the sums of positive
    and of negative inputs; ``branch`` (sample, time, branch); ``memory`` (sample, time, memory);
    ``output`` (sample, time, output) of the network; ``tau_m`` (memory,); and ``w_s`` (branch,
    synapse), NaN where a synapse is not connected.

    Parameters
    ----------
    folder : that of the training where None.
    every : epochs from one file to the next.
    samples : of the batch that are recorded, the first ones.
    """

    files = "states/epoch_*.npz"

    def __init__(self, folder: Path | None = None, every: int = 1, samples: int = 4) -> None:
        super().__init__(folder)
        self.every, self.samples = every, samples

    def write(self, trainer: lightning.Trainer, watched: Watched, batch: Any) -> None:
        """One compressed file."""
        first = slice(self.samples)
        inputs = watched.dense_inputs(first)
        record = {
            "excitation": inputs.clamp(min=0).sum(dim=2),
            "inhibition": inputs.clamp(max=0).sum(dim=2),
            "branch": watched.trace.branch[first],
            "memory": watched.trace.memory[first],
            "output": watched.outputs[first],
            "tau_m": watched.neuron.tau_m,
        }
        arrays = {name: to_numpy(values) for name, values in record.items()}
        arrays["w_s"] = synaptic_weights(watched.neuron)
        np.savez_compressed(self.path(trainer.current_epoch), **arrays)

    def _is_due(self, epoch: int) -> bool:
        return epoch % self.every == 0


class PredictionPictures(_Watcher):
    """Draw predictions beside their targets: ``pictures/predictions_epoch_XXXX.png``.

    The same figure goes to TensorBoard as ``predictions``. NeuronIO neurons are shown with spikes
    and voltage, classifiers with the probability of each class over time, others with the first
    outputs; of NeuronIO's samples the one with the most spikes, else the first.

    Parameters
    ----------
    folder : that of the training where None.
    unit : of ``delta_t``.
    """

    files = "pictures/predictions_epoch_*.png"

    def __init__(self, folder: Path | None = None, unit: str = "ms") -> None:
        super().__init__(folder)
        self.unit = unit

    def write(self, trainer: lightning.Trainer, watched: Watched, batch: Any) -> None:
        """One figure."""
        self._show(trainer, "predictions", lambda: draw_prediction(watched, batch, self.unit))


class MemoryDynamics(_Watcher):
    """Follow time constants, memory and dead synapses through a training.

    Writes ``memory_dynamics.csv``, a row per epoch with the columns of
    :func:`utils.plots.elm.plot_memory_dynamics`, and draws it:
    ``pictures/memory_dynamics_epoch_XXXX.png`` in the folder, ``memory_dynamics`` in TensorBoard.

    Parameters
    ----------
    folder : that of the training where None.
    unit : of ``delta_t``.
    """

    files = "pictures/memory_dynamics_epoch_*.png"

    def __init__(self, folder: Path | None = None, unit: str = "ms") -> None:
        super().__init__(folder)
        self.unit = unit

    def on_train_start(self, trainer: lightning.Trainer, task: TrainingTask) -> None:
        """Goes on with the table of the epochs before."""
        super().on_train_start(trainer, task)
        file = self._root / "memory_dynamics.csv"
        rows = pd.read_csv(file).to_dict("records") if file.is_file() else []
        self._rows = [row for row in rows if row["epoch"] < trainer.current_epoch]

    def write(self, trainer: lightning.Trainer, watched: Watched, batch: Any) -> None:
        """The table with one more row, and one figure of it."""
        self._rows.append({"epoch": trainer.current_epoch, **memory_summary(watched)})
        table = pd.DataFrame(self._rows)
        table.to_csv(self._root / "memory_dynamics.csv", index=False)
        self._show(trainer, "memory_dynamics", lambda: plots.plot_memory_dynamics(table, self.unit))


def draw_prediction(watched: Watched, batch: Any, unit: str = "ms") -> Figure:
    """Predictions beside the targets of the batch, in the figure that suits these."""
    targets = _targets(batch)
    if isinstance(targets, tuple):
        return _draw_neuronio(watched, *targets)
    inputs, outputs = to_numpy(watched.dense_inputs(slice(1))[0]), watched.outputs[0]
    times = np.arange(len(inputs)) * watched.neuron.delta_t
    if targets.is_floating_point():
        target = to_numpy(targets[0]).reshape(len(times), -1)
        return plots.plot_outputs(times, inputs, to_numpy(outputs), target, unit)
    probabilities = to_numpy(outputs.float().softmax(dim=1))
    return plots.plot_class_probabilities(
        times, inputs, probabilities, targets[0].cpu().numpy(), unit
    )


def memory_summary(watched: Watched) -> dict[str, float]:
    """A row of :func:`utils.plots.elm.plot_memory_dynamics`, but for the epoch."""
    neuron, memory = watched.neuron, watched.trace.memory
    weights = synaptic_weights(neuron)
    n_synapses = int(np.isfinite(weights).sum())
    by_unit = {
        "tau_m": neuron.tau_m,
        "activity": memory.abs().mean(dim=(0, 1)),
        "saturation": watched.saturation(),
    }
    return {
        **{
            f"{column}_{name}": float(np.quantile(to_numpy(values), share))
            for column, values in by_unit.items()
            for name, share in plots.QUANTILES.items()
        },
        "dead_synapses": int((weights == 0).sum()) / n_synapses,
        "n_memory": neuron.num_memory,
        "n_updates": memory.shape[0] * (memory.shape[1] - 1),
        "n_synapses": n_synapses,
    }


def _draw_neuronio(watched: Watched, spikes: Tensor, soma: Tensor) -> Figure:
    """Targets are (batch, time), or (batch, time, 1)."""
    k = int(spikes.flatten(1).sum(dim=1).argmax())
    inputs = to_numpy(watched.dense_inputs(slice(k, k + 1))[0])
    spike, voltage = watched.outputs[k].float().unbind(dim=1)
    return plots.plot_prediction(
        np.arange(len(inputs)) * watched.neuron.delta_t,
        inputs,
        to_numpy(spike.sigmoid()),
        to_numpy(spikes[k].flatten()),
        *(to_numpy(v / NEURONIO_SOMA_SCALE + SOMA_BIAS_MV) for v in (voltage, soma[k].flatten())),
    )


def _targets(batch: Any) -> Tensor | tuple[Tensor, Tensor]:
    """Labels or values to predict, or spikes and voltage of NeuronIO."""
    if hasattr(batch, "labels"):
        return batch.labels
    if hasattr(batch, "soma"):
        return batch.spikes, batch.soma
    _, targets = batch
    return targets if isinstance(targets, Tensor) else tuple(targets)


@contextmanager
def _drawing() -> Iterator[None]:
    """The house's style for figures that nobody sees; none stays open."""
    before = plt.get_fignums()
    with plt.rc_context(), plt.ioff():
        use_style()
        try:
            yield
        finally:
            for number in set(plt.get_fignums()) - set(before):
                plt.close(number)
