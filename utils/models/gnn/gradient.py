"""Fit the message model to activity by gradient: single derivatives, recurrent, or neural ODE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from utils.models.gnn.config import Derivative, GradientConfig
from utils.models.gnn.frames import FrameBatches, Recording
from utils.models.gnn.messages import MessageModel
from utils.models.gnn.normalise import NormalisedModel
from utils.models.gnn.task import MessageTask
from utils.training import TrainingResult, fit_task

N_SAMPLE = 2000  # frames from which scales are taken


@dataclass(frozen=True)
class GradientFit:
    """A trained message model."""

    model: MessageModel  # on the CPU
    normalised: NormalisedModel  # the same as W, psi and phi in comparable units, for NumPy
    config: GradientConfig
    training: TrainingResult
    dt: float
    n_frames: int  # that it was trained on


def fit_by_gradient(
    activity: ArrayLike,
    derivative: ArrayLike,
    *,
    dt: float,
    inputs: ArrayLike | None = None,
    seed: int = 0,
    config: GradientConfig | None = None,
    start: MessageModel | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
) -> GradientFit:
    """Train psi, phi, W and the embeddings together.

    Parameters
    ----------
    activity, derivative, inputs : (time, neuron) arrays, or data sets of HDF5 files; NaN where
        missing. Recurrent and ODE schemes take from ``derivative`` the unit of the loss only, once
        they have started.
    dt : time between frames.
    seed : of the model's start and of all draws.
    start : a trained model to begin from, see
        :func:`~utils.models.gnn.warm_start.model_from_fit`; None: a fresh one, without connections.
    folder : keeps logs and checkpoints.
    resume : continue an interrupted training in ``folder``.

    Raises
    ------
    ValueError
        Arrays of other shapes, or too few frames without a missing value.
    """
    recording = Recording(activity, derivative, inputs)
    config = config or GradientConfig()
    trainer = config.trainer.model_copy(update={"seed": seed})
    config = config.model_copy(update={"trainer": trainer})
    sample = _sample(recording)
    model = _fresh_model(sample, config, seed) if start is None else _copy(start, sample)
    train, validation = _loaders(recording, config)
    task = MessageTask(model, config, dt)
    result = fit_task(
        task,
        train,
        validation,
        trainer,
        folder=None if folder is None else Path(folder),
        resume=resume,
    )
    if config.dale is not None:  # the best epoch may be one before signs were held
        task.hold_signs()
    model = model.cpu().eval()
    normalised = NormalisedModel(model, sample.activity)
    return GradientFit(model, normalised, config, result, dt, train.last - train.first)


def _loaders(recording: Recording, config: GradientConfig) -> tuple[FrameBatches, FrameBatches]:
    """Training and validation windows; the latter come last, with a gap of one window."""
    scheme, trainer = config.scheme, config.trainer
    single = isinstance(scheme, Derivative)
    steps = 0 if single else scheme.steps
    n_frames = len(recording.activity)
    border = round((1 - config.validation_fraction) * n_frames)
    if min(border, n_frames - border - steps) < steps + 1:
        raise ValueError(
            f"{n_frames} frames cannot hold a training and a validation window of {steps + 1}, and "
            "a gap as long; use more frames, fewer scheme.steps or a larger validation_fraction"
        )
    shared = {
        "steps": steps,
        "aligned": not single and scheme.aligned,
        "batch_size": trainer.batch_size,
        "in_memory": config.frames_in_memory,
        "seed": trainer.seed,
    }
    train = FrameBatches(
        recording, 0, border, n_batches=trainer.batches_per_epoch, moves=True, **shared
    )
    validation = FrameBatches(
        recording,
        border + steps,
        n_frames,
        n_batches=trainer.validation_batches,
        moves=False,
        **shared,
    )
    return train, validation


def _sample(recording: Recording) -> Recording:
    """Some frames, evenly spaced, in memory; an error where arrays do not fit together."""
    shape = np.shape(recording.activity)
    if len(shape) != 2 or not shape[0] or not shape[1]:
        raise ValueError(f"activity must be (time, neuron), found shape {shape}")
    every = max(shape[0] // N_SAMPLE, 1)
    frames = {}
    for name, array in recording._asdict().items():
        if array is None:
            continue
        if np.shape(array) != shape:
            raise ValueError(f"{name} has shape {np.shape(array)}, expected {shape} as activity")
        frames[name] = np.asarray(array[::every], np.float32)
    whole = np.all([np.isfinite(values).all(axis=1) for values in frames.values()], axis=0)
    if not whole.any():
        raise ValueError("no frame is without a missing value; fill them, or leave neurons out")
    return Recording(**{name: values[whole] for name, values in frames.items()})


def _fresh_model(sample: Recording, config: GradientConfig, seed: int) -> MessageModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MessageModel(
            sample.activity.shape[1],
            config.model,
            activity_scale=_spread(sample.activity),
            rate_scale=_spread(sample.derivative),
        )


def _copy(start: MessageModel, sample: Recording) -> MessageModel:
    """The model that training changes; the one that was given stays as it is."""
    n_neurons = sample.activity.shape[1]
    if start.n_neurons != n_neurons:
        raise ValueError(f"start is a model of {start.n_neurons} neurons, activity has {n_neurons}")
    model = MessageModel(
        n_neurons,
        start.config,
        activity_scale=start.activity_scale,
        rate_scale=start.rate_scale,
    )
    model.load_state_dict(start.state_dict())
    return model


def _spread(values: NDArray[np.float32]) -> float:
    """Standard deviation of all values; 1 where nothing changes."""
    return float(values.std(dtype=np.float64)) or 1.0
