"""A saved model is a folder. Nothing in it is ever executed.

===================  =====================================================================
config.json          format, name, settings, versions
weights.safetensors  what was learnt
===================  =====================================================================

Families add files of their own.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from utils.environment import installed_versions

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
PACKAGES = ("mesotwin", "torch", "transformers", "lightning", "numpy")


class ModelFolderError(ValueError):
    """A folder that does not hold a usable saved model."""


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary folder to write a model into; it becomes ``folder`` where all went well.

    An older model there is replaced as a whole.

    Raises
    ------
    ModelFolderError
        ``folder`` holds something else.
    """
    folder = Path(folder)
    if folder.exists() and not _is_replaceable(folder):
        raise ModelFolderError(f"{folder} holds other files; give an empty or new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        yield new
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)


def write_model(
    folder: Path, model_format: str, content: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write ``config.json``, with the installed versions, and ``weights.safetensors``."""
    config = {"format": model_format, **content, "versions": installed_versions(PACKAGES)}
    (folder / CONFIG).write_text(json.dumps(config, indent=1, default=_plain) + "\n")
    arrays = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(arrays, folder / WEIGHTS)


def read_config(folder: Path, model_format: str) -> dict[str, Any]:
    """What ``config.json`` holds.

    Raises
    ------
    ModelFolderError
        Missing folder or file, a file that is cut or of another kind; the message names it.
    """
    path = folder / CONFIG
    if not folder.is_dir():
        raise ModelFolderError(f"{folder}: no such folder; give the folder of a saved model")
    if not path.is_file():
        raise ModelFolderError(
            f"{path} is missing: {folder} is not a saved model "
            f"(found: {', '.join(sorted(p.name for p in folder.iterdir())) or 'nothing'})"
        )
    try:
        content = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelFolderError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != model_format:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ModelFolderError(f"{path}: expected format '{model_format}', found {found!r}")
    return content


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name in a safetensors file.

    Raises
    ------
    ModelFolderError
        The file is missing, cut or of another kind.
    """
    if not path.is_file():
        raise ModelFolderError(f"{path} is missing: the saved model is not complete")
    try:
        # copies lie aligned in memory, without which products differ in the last bit
        return {name: value.clone() for name, value in load_file(path).items()}
    except SafetensorError as error:
        raise ModelFolderError(f"{path}: cut or not a safetensors file ({error})") from error


def restore(model: nn.Module, tensors: Mapping[str, Tensor], weights: Path, settings: Path) -> None:
    """Give a model its weights, in the precision that was saved.

    Raises
    ------
    ModelFolderError
        The file ``weights`` holds others than the model of the file ``settings`` has.
    """
    try:
        model.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ModelFolderError(f"{weights} does not fit {settings.name}: {error}") from error


def _is_replaceable(folder: Path) -> bool:
    names = {item.name for item in folder.iterdir()} if folder.is_dir() else {"a file"}
    return not names or {CONFIG, WEIGHTS} <= names


def _plain(value: Any) -> Any:
    """Arrays and numbers of NumPy and PyTorch as JSON knows them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in {CONFIG}; found {value!r}")
