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

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from utils.config import ConfigError
from utils.environment import installed_versions
from utils.models.forecasting.base import FittedOn, Forecaster
from utils.models.forecasting.registry import build_forecaster

FORMAT = "mesotwin forecaster 1"
PACKAGES = ("mesotwin", "torch", "transformers", "lightning", "numpy")


class ModelFolderError(ValueError):
    """A folder that does not hold a usable saved forecaster."""


def save_model(forecaster: Forecaster, folder: str | Path) -> Path:
    """Write a fitted forecaster; an older one in ``folder`` is replaced as a whole."""
    fitted = forecaster._fitted()
    folder = Path(folder)
    if folder.exists() and not _is_replaceable(folder):
        raise ModelFolderError(f"{folder} holds other files; give an empty or new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        arrays = {name: value.contiguous() for name, value in forecaster._arrays().items()}
        save_file(arrays, temporary / "weights.safetensors")
        forecaster.neurons.to_csv(temporary / "neurons.csv", index=False)
        _save_scaler(forecaster.scaler, temporary)
        _write_config(forecaster, fitted, temporary / "config.json")
        for place, other in enumerate(forecaster.others):
            save_model(other, temporary / "sessions" / f"{place:03}")
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


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
    config = _read_config(folder / "config.json")
    try:
        forecaster = build_forecaster(config["name"], **config["settings"])
        forecaster.fitted_on = FittedOn.model_validate(config["fitted_on"])
    except (KeyError, TypeError, ConfigError, ValidationError) as error:
        raise ModelFolderError(f"{folder / 'config.json'}: {error}") from error
    forecaster.neurons = _read_neurons(folder / "neurons.csv", forecaster.fitted_on.n_neurons)
    forecaster.scaler = _read_scaler(folder, config.get("scaler_method"))
    try:
        forecaster._restore(_read_tensors(folder / "weights.safetensors"))
    except (KeyError, RuntimeError) as error:
        raise ModelFolderError(
            f"{folder / 'weights.safetensors'} does not fit a '{config['name']}': {error}"
        ) from error
    others, expected = sorted((folder / "sessions").glob("*")), config.get("other_sessions", 0)
    if len(others) != expected:
        raise ModelFolderError(
            f"{folder / 'sessions'}: expected {expected} sessions that were "
            f"trained with this one, found {len(others)}"
        )
    forecaster._join([load_model(other) for other in others])
    return forecaster


def _is_replaceable(folder: Path) -> bool:
    names = {item.name for item in folder.iterdir()} if folder.is_dir() else {"a file"}
    return not names or {"config.json", "weights.safetensors"} <= names


def _write_config(forecaster: Forecaster, fitted: FittedOn, path: Path) -> None:
    content = {
        "format": FORMAT,
        "name": forecaster.name,
        "settings": forecaster.config.model_dump(mode="json"),
        "fitted_on": fitted.model_dump(mode="json"),
        "other_sessions": len(forecaster.others),
        "scaler_method": (forecaster.scaler or {}).get("method"),
        "versions": installed_versions(PACKAGES),
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def _read_config(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise ModelFolderError(f"{path.parent}: no such folder; give the folder of a saved model")
    if not path.is_file():
        raise ModelFolderError(
            f"{path} is missing: {path.parent} is not a saved model "
            f"(found: {', '.join(sorted(p.name for p in path.parent.iterdir())) or 'nothing'})"
        )
    try:
        content = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelFolderError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ModelFolderError(f"{path}: expected format '{FORMAT}', found {found!r}")
    return content


def _read_neurons(path: Path, n_neurons: int) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"uuid": str})
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{path}: cannot be read ({error})") from error
    if len(table) != n_neurons:
        raise ModelFolderError(f"{path}: expected {n_neurons} neurons, found {len(table)}")
    return table


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ModelFolderError(f"{path} is missing: the saved model is not complete")
    try:
        # copies lie aligned in memory, without which products differ in the last bit
        return {name: value.clone() for name, value in load_file(path).items()}
    except SafetensorError as error:
        raise ModelFolderError(f"{path}: cut or not a safetensors file ({error})") from error


def _save_scaler(scaler: dict[str, Any] | None, folder: Path) -> None:
    if scaler is not None:
        arrays = {key: torch.tensor(np.asarray(scaler[key])) for key in ("offset", "scale")}
        save_file(arrays, folder / "scaler.safetensors")


def _read_scaler(folder: Path, method: str | None) -> dict[str, Any] | None:
    if method is None:
        return None
    arrays = _read_tensors(folder / "scaler.safetensors")
    return {"method": method, **{key: value.numpy() for key, value in arrays.items()}}
