"""Train a twin: start its readouts, train, keep the best checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from utils.models.v1_twin.experiment import TwinTraining
from utils.models.v1_twin.initialise import start_at_features, start_at_mean_rates
from utils.models.v1_twin.provenance import TrainedOn, TwinData
from utils.models.v1_twin.task import TwinTask
from utils.models.v1_twin.twin import V1Twin
from utils.training import TrainingResult, choose_device, fit_task

KEPT = 3  # checkpoints with the best scores


def fit_twin(
    model: V1Twin,
    data: TwinData,
    training: TwinTraining,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    callbacks: Sequence[lightning.Callback] = (),
) -> TrainingResult:
    """Train a twin in place; it is left with the weights of the smallest validation loss.

    Parameters
    ----------
    model : of the data sets in ``data``.
    folder : keeps logs and checkpoints: ``last.ckpt``, ``best.ckpt`` (loss), and the three with
        most bits per spike in validation. :func:`~utils.models.v1_twin.load_model` reads them.
    resume : continue an interrupted training in ``folder``.
    callbacks : run beside the usual ones.
    """
    model.trained_on = TrainedOn.of(data)
    rates = known_rates(data)
    if not resume:
        start_readouts(model, data, training)
    task = TwinTask(
        model, training.trainer, rates, loss=training.loss, regularisers=training.regularisers
    )
    if folder is not None:
        callbacks = [*callbacks, _best_scores(Path(folder) / "checkpoints", task.score_name)]
    loaders = data.train_dataloader(), data.val_dataloader()
    result = fit_task(
        task,
        *loaders,
        training.trainer,
        folder=None if folder is None else Path(folder),
        resume=resume,
        callbacks=callbacks,
    )
    model.eval()
    return result


def start_readouts(model: V1Twin, data: TwinData, training: TwinTraining) -> None:
    """Where readouts of a fresh twin begin, see ``initialise.py``."""
    rates = known_rates(data)
    if training.start == "features":
        model.to(choose_device(training.trainer.device))
        start_at_features(model, data.train_dataloader(), rates, loss=training.loss)
        model.cpu()  # from where each process takes its copy
    else:
        start_at_mean_rates(model, rates)


def known_rates(data: TwinData) -> dict[str, Tensor]:
    """(cell,) mean training rates by data set; 0 where nothing counts."""
    return {name: rates.float().nan_to_num(0.0) for name, rates in data.mean_rates.items()}


def _best_scores(folder: Path, score: str) -> ModelCheckpoint:
    return ModelCheckpoint(
        folder,
        filename="{epoch}-{" + score + ":.4f}",
        monitor=score,
        mode="max",
        save_top_k=KEPT,
        enable_version_counter=False,
    )
