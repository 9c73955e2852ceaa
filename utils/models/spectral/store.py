"""Spectral models in a folder, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
from utils.models.spectral.config import SpectralConfig
from utils.models.spectral.heads import Head
from utils.models.spectral.network import SpectralNetwork, build_network

FORMAT = "mesotwin spectral 1"


def save_model(model: SpectralNetwork, folder: str | Path, **about: Any) -> Path:
    """Write a model; an older one in ``folder`` is replaced as a whole.

    Kept are settings, heads, the shape of images and the weights; ``about`` is kept beside them
    (scores, notes, scalers: numbers, words, arrays, lists and dictionaries), see
    :func:`read_about`.

    Raises
    ------
    ModelFolderError
        ``folder`` holds something else.
    """
    with new_folder(folder) as new:
        write_model(new, FORMAT, describe(model) | {"about": about}, model.state_dict())
    return Path(folder)


def load_model(folder: str | Path) -> SpectralNetwork:
    """The model in a folder, on the CPU, in evaluation mode.

    Raises
    ------
    ModelFolderError
        Missing folder or file, a file that is cut or of another kind; the message names it.
    """
    folder = Path(folder)
    content, tensors = read_config(folder, FORMAT), read_tensors(folder / WEIGHTS)
    model = _built(content, folder / CONFIG)
    restore(model, tensors, folder / WEIGHTS, folder / CONFIG)
    return model.eval()


def read_about(folder: str | Path) -> dict[str, Any]:
    """What was kept beside a model; arrays come back as lists."""
    return read_config(Path(folder), FORMAT).get("about", {})


def describe(model: SpectralNetwork) -> dict[str, Any]:
    """What a model is built of, as plain values."""
    return {
        "config": model.config.model_dump(mode="json"),
        "heads": [head.model_dump(mode="json") for head in model.heads],
        "image_shape": list(model.image_shape),
        "n_auxiliary": model.n_auxiliary,
    }


def _built(content: dict[str, Any], path: Path) -> SpectralNetwork:
    """A model with fresh weights, from what ``describe`` said."""
    try:
        config = validate_config(SpectralConfig, content["config"], "config")
        heads = [validate_config(Head, head, "heads") for head in content["heads"]]
        return build_network(config, tuple(content["image_shape"]), heads, content["n_auxiliary"])
    except KeyError as error:
        raise ModelFolderError(f"{path}: key {error} is missing") from error
    except (ConfigError, TypeError, ValueError) as error:
        raise ModelFolderError(f"{path}: {error}") from error
