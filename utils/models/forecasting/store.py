"""A fitted forecaster as a folder, and back. Nothing in it is ever executed.

======================  =========================================================================
config.json             name, settings, what it was fitted on, versions
weights.safetensors     what was learnt
neurons.csv             one row per neuron, ``uuid`` among the columns
scaler.safetensors      offset and scale of each neuron (only where the data were scaled)
sessions/               folders of the same kind: other sessions that were trained with this one
======================  =========================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from utils.config import ConfigError
from utils.models.folders import (
    CONFIG,
    WEIGHTS,
    ModelFolderError,
    new_folder,
    read_config,
    read_tensors,
    write_model,
)
from utils.models.forecasting.base import FittedOn, Forecaster
from utils.models.forecasting.registry import build_forecaster

FORMAT = "mesotwin forecaster 1"


def save_model(forecaster: Forecaster, folder: str | Path) -> Path:
    """Write a fitted forecaster; an older one in ``folder`` is replaced as a whole."""
    content = {
        "name": forecaster.name,
        "settings": forecaster.config.model_dump(mode="json"),
        "fitted_on": forecaster._fitted().model_dump(mode="json"),
        "other_sessions": len(forecaster.others),
        "scaler_method": (forecaster.scaler or {}).get("method"),
    }
    with new_folder(folder) as new:
        write_model(new, FORMAT, content, forecaster._arrays())
        forecaster.neurons.to_csv(new / "neurons.csv", index=False)
        _save_scaler(forecaster.scaler, new)
        for place, other in enumerate(forecaster.others):
            save_model(other, new / "sessions" / f"{place:03}")
    return Path(folder)


def saved_models(run: str | Path) -> list[Path]:
    """Folders of the models that a run saved: its ``model``, or each one in its ``models``.

    Raises
    ------
    ModelFolderError
        The run saved none.
    """
    run = Path(run)
    found = [run / "model"] if (run / "model").is_dir() else sorted(run.glob("models/*/"))
    if not found:
        raise ModelFolderError(f"{run} holds no saved model (neither model/ nor models/)")
    return found


def load_model(folder: str | Path) -> Forecaster:
    """Read a forecaster that :meth:`Forecaster.save` wrote.

    Raises
    ------
    ModelFolderError
        Missing folder or file, a file that is cut or of another kind; the message names it.
    """
    folder = Path(folder)
    config = read_config(folder, FORMAT)
    try:
        forecaster = build_forecaster(config["name"], **config["settings"])
        forecaster.fitted_on = FittedOn.model_validate(config["fitted_on"])
    except (KeyError, TypeError, ConfigError, ValidationError) as error:
        raise ModelFolderError(f"{folder / CONFIG}: {error}") from error
    forecaster.neurons = _read_neurons(folder / "neurons.csv", forecaster.fitted_on.n_neurons)
    forecaster.scaler = _read_scaler(folder, config.get("scaler_method"))
    try:
        forecaster._restore(read_tensors(folder / WEIGHTS))
    except (KeyError, RuntimeError) as error:
        raise ModelFolderError(
            f"{folder / WEIGHTS} does not fit a '{config['name']}': {error}"
        ) from error
    others, expected = sorted((folder / "sessions").glob("*")), config.get("other_sessions", 0)
    if len(others) != expected:
        raise ModelFolderError(
            f"{folder / 'sessions'}: expected {expected} sessions that were "
            f"trained with this one, found {len(others)}"
        )
    forecaster._join([load_model(other) for other in others])
    return forecaster


def _read_neurons(path: Path, n_neurons: int) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"uuid": str})
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{path}: cannot be read ({error})") from error
    if len(table) != n_neurons:
        raise ModelFolderError(f"{path}: expected {n_neurons} neurons, found {len(table)}")
    return table


def _save_scaler(scaler: dict[str, Any] | None, folder: Path) -> None:
    if scaler is not None:
        arrays = {key: torch.tensor(np.asarray(scaler[key])) for key in ("offset", "scale")}
        save_file(arrays, folder / "scaler.safetensors")


def _read_scaler(folder: Path, method: str | None) -> dict[str, Any] | None:
    if method is None:
        return None
    arrays = read_tensors(folder / "scaler.safetensors")
    return {"method": method, **{key: value.numpy() for key, value in arrays.items()}}
