"""Train a task: checkpoints, early stopping, logs, seeds and resuming, set up in one place.

A training folder holds ``checkpoints/best.ckpt`` and ``checkpoints/last.ckpt``,
``curves/`` (csv, one row per epoch) and TensorBoard events.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from utils.training.config import TrainerConfig, choose_device, choose_precision, choose_strategy
from utils.training.sharing import SharedLoaders
from utils.training.task import MONITOR, TrainingTask

log = logging.getLogger(__name__)


class TrainingError(RuntimeError):
    """Training cannot start or gave no usable model."""


@dataclass
class TrainingResult:
    """What a training did."""

    best_loss: float  # smallest validation loss
    best_epoch: int
    epochs: int  # completed
    steps: int
    seconds: float
    device: str
    curves: pd.DataFrame  # one row per epoch: train_loss, validation_loss, ...


def fit_task(
    task: TrainingTask,
    train: Sized,
    validation: Sized,
    config: TrainerConfig,
    *,
    folder: Path | None = None,
    resume: bool = False,
    callbacks: Sequence[lightning.Callback] = (),
) -> TrainingResult:
    """Train, and leave the weights of the best epoch in ``task``.

    Parameters
    ----------
    train, validation : iterables of batches with a length.
    folder : keeps logs and checkpoints; without it they are dropped after training.
    resume : continue from ``checkpoints/last.ckpt`` in ``folder``.
    callbacks : run beside the usual ones.

    Raises
    ------
    TrainingError
        Nothing to train on, nothing to resume from, or a loss that is not finite.
    """
    _check_batches(len(train), len(validation), config.devices)
    if folder is None:
        if resume:
            raise TrainingError("resume needs the folder of the interrupted training")
        with tempfile.TemporaryDirectory() as temporary:
            where = Path(temporary)
            return fit_task(task, train, validation, config, folder=where, callbacks=callbacks)
    folder = Path(folder)
    last = _last_checkpoint(folder) if resume else None
    if not resume:  # what an earlier training left must not mix with this one
        for name in ("curves", "checkpoints"):
            shutil.rmtree(folder / name, ignore_errors=True)
    begin = time.perf_counter()
    with quiet_lightning():
        trainer = make_trainer(config, folder, callbacks)
        loaders = SharedLoaders(train, validation)
        trainer.fit(task, datamodule=loaders, ckpt_path=last, weights_only=True)
        trainer.strategy.teardown()
    device = str(trainer.strategy.root_device)
    return _result(task, folder, device, time.perf_counter() - begin)


def make_trainer(
    config: TrainerConfig, folder: Path, callbacks: Sequence[lightning.Callback] = (), **extra: Any
) -> lightning.Trainer:
    """Lightning trainer on the chosen device that logs and checkpoints into ``folder``."""
    device = choose_device(config.device)
    minutes = config.max_minutes
    callbacks = [
        *callbacks,
        _checkpoint(folder, "best", monitor=MONITOR),
        _checkpoint(folder, "last"),  # after all others, whose state it holds
        EarlyStopping(MONITOR, patience=config.patience, check_finite=True),
        _SeedEachEpoch(config.seed),
    ]
    if config.max_steps is not None:
        callbacks.append(_StopAfter(config.max_steps))
    if config.progress:
        callbacks.append(_Progress(refresh_rate=5))
    return lightning.Trainer(
        accelerator="gpu" if device == "cuda" else device,
        devices=config.devices,
        strategy=choose_strategy(config.devices, device),
        precision=choose_precision(config.precision, device),
        min_epochs=0,  # a limit of steps or time may end the first epoch, which is then validated
        max_epochs=config.max_epochs,
        max_time=None if minutes is None else timedelta(minutes=minutes),
        gradient_clip_val=config.gradient_clip,
        callbacks=callbacks,
        logger=[
            CSVLogger(folder, name="curves"),
            TensorBoardLogger(folder, name="", version=""),
        ],
        enable_progress_bar=config.progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        use_distributed_sampler=False,
        **extra,
    )


def read_curves(folder: Path) -> pd.DataFrame:
    """Learning curves of a training folder: one row per epoch, also over interruptions."""
    files = Path(folder).glob("curves/version_*/metrics.csv")
    ordered = sorted(files, key=lambda file: int(file.parent.name.removeprefix("version_")))
    rows = pd.concat([pd.read_csv(file) for file in ordered])
    return rows.groupby("epoch").last().drop(columns="step").reset_index()


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without notes on hardware and on warnings that concern Lightning itself, not the user."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message="Experiment logs directory .* exists")
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")
            warnings.filterwarnings("ignore", message="GPU available but not used")
            warnings.filterwarnings("ignore", message="MPS available but not used")
            yield
    finally:
        logger.setLevel(level)


class _Progress(TQDMProgressBar):
    """Losses beside the bar, without the version number of the log."""

    def get_metrics(self, *args: Any) -> dict[str, Any]:
        return {k: v for k, v in super().get_metrics(*args).items() if k != "v_num"}


class _SeedEachEpoch(lightning.Callback):
    """Dropout of an epoch depends on the seed and the epoch alone, so that resuming is exact."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: lightning.Trainer, task: Any) -> None:
        process = 1_000_000 * trainer.global_rank  # devices drop different units
        torch.manual_seed(self.seed + 1000 * trainer.current_epoch + process)


class _StopAfter(lightning.Callback):
    """Ends after a number of steps with a validation, which Lightning's own limit leaves out."""

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.global_step >= self.max_steps:
            trainer.should_stop = True


def _checkpoint(folder: Path, name: str, monitor: str | None = None) -> ModelCheckpoint:
    """Of every epoch, or of one where ``monitor`` is smaller than in all before."""
    return ModelCheckpoint(
        folder / "checkpoints", filename=name, monitor=monitor, enable_version_counter=False
    )


def _check_batches(n_train: int, n_validation: int, devices: int) -> None:
    if min(n_train, n_validation) >= devices:
        return
    if devices == 1:
        raise TrainingError("training needs at least one training and one validation batch")
    raise TrainingError(
        f"training on {devices} devices needs a training and a validation batch for each, found "
        f"{n_train} and {n_validation}; use fewer devices or smaller batches"
    )


def _last_checkpoint(folder: Path) -> Path:
    last = folder / "checkpoints" / "last.ckpt"
    if not last.is_file():
        raise TrainingError(f"nothing to resume: {last} does not exist; train without resume first")
    return last


def _result(task: TrainingTask, folder: Path, device: str, seconds: float) -> TrainingResult:
    """From what lies in the folder: processes of several devices leave nothing else."""
    curves = read_curves(folder)
    files = [folder / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
    if not files[0].is_file() or not np.isfinite(curves[MONITOR]).any():
        raise TrainingError(
            f"the validation loss was never finite in {len(curves)} epochs; "
            "use a smaller learning_rate, or check the data for extreme values"
        )
    best, last = (torch.load(file, map_location="cpu", weights_only=True) for file in files)
    task.load_state_dict(best["state_dict"])
    result = TrainingResult(
        best_loss=float(curves.set_index("epoch")[MONITOR][best["epoch"]]),
        best_epoch=int(best["epoch"]),
        epochs=int(last["epoch"]) + 1,
        steps=int(last["global_step"]),
        seconds=seconds,
        device=device,
        curves=curves,
    )
    log.info(
        "trained %d epochs in %.1f s on %s; best validation loss %.5g in epoch %d",
        result.epochs, seconds, result.device, result.best_loss, result.best_epoch,
    )  # fmt: skip
    return result
