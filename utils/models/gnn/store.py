"""Message models in a folder, and back."""

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
from utils.models.gnn.config import MessageConfig
from utils.models.gnn.messages import MessageModel

FORMAT = "mesotwin message model 1"


def save_message_model(model: MessageModel, folder: str | Path, **about: Any) -> Path:
    """Write a message model; an older one in ``folder`` is replaced as a whole.

    ``about`` is kept beside it: ids of neurons, scores, whatever is made of numbers, words, arrays,
    lists and dictionaries.

    Raises
    ------
    ModelFolderError
        ``folder`` holds something else.
    """
    content = {
        "n_neurons": model.n_neurons,
        "activity_scale": model.activity_scale,
        "rate_scale": model.rate_scale,
        "model": model.config.model_dump(mode="json"),
        "about": about,
    }
    with new_folder(folder) as new:
        write_model(new, FORMAT, content, model.state_dict())
    return Path(folder)


def load_message_model(folder: str | Path) -> MessageModel:
    """The model in a folder, on the CPU, in evaluation mode.

    Raises
    ------
    ModelFolderError
        Missing folder or file, a file that is cut or of another kind; the message names it.
    """
    folder = Path(folder)
    content, tensors = read_config(folder, FORMAT), read_tensors(folder / WEIGHTS)
    try:
        model = MessageModel(
            content["n_neurons"],
            validate_config(MessageConfig, content["model"], "model"),
            activity_scale=content["activity_scale"],
            rate_scale=content["rate_scale"],
        )
    except (KeyError, TypeError, ConfigError) as error:
        raise ModelFolderError(f"{folder / CONFIG}: {error}") from error
    restore(model, tensors, folder / WEIGHTS, folder / CONFIG)
    return model.eval()
