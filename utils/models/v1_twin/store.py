"""Twins in a folder, and back; also from the checkpoints of a training."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from torch import Tensor

from utils.config import ConfigError, validate_config
from utils.models.folders import (
    CONFIG,
    WEIGHTS,
    ModelFolderError,
    new_folder,
    read_config,
    read_tensors,
    restore,
    write_model,
)
from utils.models.v1_twin.build import build_model
from utils.models.v1_twin.provenance import TrainedOn
from utils.models.v1_twin.twin import V1Twin

FORMAT = "mesotwin v1 twin 1"


def save_model(model: V1Twin, folder: str | Path, **about: Any) -> Path:
    """Write a twin; an older one in ``folder`` is replaced as a whole.

    Kept are all settings, data sets with the ids of their cells, the weights, and what it was
    trained on. ``about`` is kept beside it: scores, notes, numbers, words, arrays, lists and
    dictionaries; :func:`read_about` gives it back.

    Raises
    ------
    ModelFolderError
        ``folder`` holds something else.
    """
    with new_folder(folder) as new:
        write_model(new, FORMAT, describe(model) | {"about": about}, model.state_dict())
    return Path(folder)


def load_model(source: str | Path) -> V1Twin:
    """The twin in a folder or in a checkpoint (``.ckpt``), on the CPU, in evaluation mode.

    Raises
    ------
    ModelFolderError
        Missing folder or file, a file that is cut or of another kind; the message names it.
    """
    source = Path(source)
    if source.suffix == ".ckpt":
        content, tensors = _read_checkpoint(source)
        settings, weights = source, source
    else:
        content, tensors = read_config(source, FORMAT), read_tensors(source / WEIGHTS)
        settings, weights = source / CONFIG, source / WEIGHTS
    model = _built(content, settings)
    restore(model, tensors, weights, settings)
    return model.eval()


def read_about(folder: str | Path) -> dict[str, Any]:
    """What was kept beside a twin; arrays come back as lists."""
    return read_config(Path(folder), FORMAT).get("about", {})


def describe(model: V1Twin) -> dict[str, Any]:
    """Resolved settings of a twin, as plain values."""
    trained_on = model.trained_on
    return {
        "model": model.config.model_dump(mode="json"),
        "datasets": [data.model_dump(mode="json") for data in model.datasets.values()],
        "trained_on": None if trained_on is None else trained_on.model_dump(mode="json"),
    }


def _built(content: dict[str, Any], path: Path) -> V1Twin:
    """A twin with fresh weights, from what ``describe`` said."""
    try:
        model = build_model(content["model"], content["datasets"])
        if content["trained_on"] is not None:
            model.trained_on = validate_config(TrainedOn, content["trained_on"], "trained_on")
    except KeyError as error:
        raise ModelFolderError(f"{path}: key {error} is missing") from error
    except (ConfigError, TypeError) as error:
        raise ModelFolderError(f"{path}: {error}") from error
    return model


def _read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint says of its twin, and the weights."""
    if not path.is_file():
        raise ModelFolderError(f"{path}: no such checkpoint")
    if not is_zipfile(path):
        raise ModelFolderError(f"{path}: cut or not a checkpoint")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise ModelFolderError(f"{path}: not a checkpoint ({error})") from error
    if not isinstance(checkpoint, dict) or "twin" not in checkpoint:
        raise ModelFolderError(f"{path}: a checkpoint of something else than a twin")
    weights = checkpoint["state_dict"].items()
    return checkpoint["twin"], {name.removeprefix("network."): value for name, value in weights}
