"""Settings of a training run, and the choice of the device."""

from __future__ import annotations

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


def choose_precision(wanted: str, device: str) -> str:
    """bfloat16 on a GPU that computes it, float32 elsewhere, unless asked for by name."""
    if wanted != "auto":
        return wanted
    return "bf16-mixed" if device == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
