"""Settings of a training run, and the choice of the device."""

from __future__ import annotations

import sys
from typing import Any, Literal

import torch
from pydantic import Field, model_validator

from utils.config import Config

Device = Literal["auto", "cuda", "mps", "cpu"]


class TrainerConfig(Config):
    """How long, how fast, on what: the same for every model.

    A setting that is None is left at its default, which a model may have of its own.
    """

    max_epochs: int = Field(20, ge=1)
    max_steps: int | None = Field(None, ge=1, description="optimiser steps; None: no limit")
    max_minutes: float | None = Field(None, gt=0, description="wall time; None: no limit")
    batch_size: int = Field(64, ge=1)
    stride: int = Field(1, ge=1, description="train on every stride-th window")
    validation_stride: int = Field(4, ge=1, description="validate on every n-th window")
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    patience: int = Field(5, ge=1, description="epochs without a better validation loss")
    seed: int = Field(0, ge=0)
    device: Device = "auto"
    devices: int = Field(
        1, ge=1, description="GPUs (or processes on CPUs), which share the batches of an epoch"
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    progress: bool = Field(True, description="show a progress bar")

    @model_validator(mode="before")
    @classmethod
    def _none_is_the_default(cls, settings: Any) -> Any:
        if not isinstance(settings, dict):
            return settings
        return {name: value for name, value in settings.items() if value is not None}


def choose_device(wanted: Device = "auto") -> str:
    """``cuda``, else ``mps``, else ``cpu``; a device asked for by name must be there."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(name for name, there in available.items() if there)
    if not available[wanted]:
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise ValueError(
            f"trainer.device = '{wanted}' is not available here (available: {there}); "
            "use device=auto"
        )
    return wanted


def choose_strategy(devices: int, device: str) -> str:
    """How Lightning trains on so many devices of this machine: a process for each.

    Processes are copies of a notebook, which Python cannot start afresh; the GPU must not have been
    used there before, and ``precision`` be given by name.

    Raises
    ------
    ValueError
        There are fewer devices.
    """
    there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(device, devices)
    if devices > there:
        raise ValueError(
            f"trainer.devices = {devices}, but this machine has {there} of '{device}'; "
            f"use devices={there}"
        )
    if devices == 1:
        return "auto"
    start = "notebook" if hasattr(sys, "ps1") else "spawn"
    return f"ddp_{start}_find_unused_parameters_true"  # a batch may lack some session


def choose_precision(wanted: str, device: str) -> str:
    """bfloat16 on a GPU that computes it, float32 elsewhere, unless asked for by name."""
    if wanted != "auto":
        return wanted
    return "bf16-mixed" if device == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
