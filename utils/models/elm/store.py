"""ELM neurons and networks in a folder, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from utils.models.elm.network import ELMNetwork
from utils.models.elm.neuron import ELMv1, ELMv2
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

FORMAT = "mesotwin elm 1"
KINDS = {kind.__name__: kind for kind in (ELMv1, ELMv2, ELMNetwork)}


def save_elm(model: ELMv1 | ELMv2 | ELMNetwork, folder: str | Path, **about: Any) -> Path:
    """Write a neuron or network; an older one in ``folder`` is replaced as a whole.

    ``about`` is kept beside it: ids of cells, scalers, scores, whatever belongs to the model and
    is made of numbers, words, arrays, lists and dictionaries. See :func:`read_about`.

    Raises
    ------
    ModelFolderError
        ``folder`` holds something else.
    """
    content = {"name": type(model).__name__, "arguments": model.arguments, "about": about}
    with new_folder(folder) as new:
        write_model(new, FORMAT, content, model.state_dict())
    return Path(folder)


def load_elm(folder: str | Path) -> ELMv1 | ELMv2 | ELMNetwork:
    """The neuron or network in a folder, on the CPU, in evaluation mode.

    Raises
    ------
    ModelFolderError
        Missing folder or file, a file that is cut or of another kind; the message names it.
    """
    folder = Path(folder)
    config, tensors = read_config(folder, FORMAT), read_tensors(folder / WEIGHTS)
    if config.get("name") not in KINDS:
        raise ModelFolderError(
            f"{folder / CONFIG}: name must be one of {', '.join(KINDS)}, found "
            f"{config.get('name')!r}"
        )
    try:
        model = KINDS[config["name"]](**config.get("arguments", {}))
    except (TypeError, ValueError) as error:
        raise ModelFolderError(f"{folder / CONFIG}: {error}") from error
    restore(model, tensors, folder / WEIGHTS, folder / CONFIG)
    return model.eval()


def read_about(folder: str | Path) -> dict[str, Any]:
    """What was kept beside a model; arrays come back as lists."""
    return read_config(Path(folder), FORMAT).get("about", {})
