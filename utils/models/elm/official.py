"""Checkpoints that the authors of the ELM neuron published, read without executing anything.

https://github.com/AaronSpieler/elmneuron: ``models/<name>/neuronio_best_model_state.pt`` with the
arguments of the neuron in ``model_config.json`` beside it.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from utils.config import ConfigError
from utils.models.elm.base import ELM
from utils.models.elm.neuron import ELMv1, ELMv2, build_neuron

VERSIONS = {"tau_s": "v1", "tau_b": "v2"}  # by a tensor that only this version has
CONFIG_FILE = "model_config.json"
TENSORS = {  # dimensions of those that tell the sizes
    "_proto_w_s": 1,
    "_proto_tau_m": 1,
    "input_to_synapse_indices": 1,
    "valid_indices_mask": 1,
    "mlp.network.0.weight": 2,
    "w_y.weight": 2,
}


class CheckpointError(ValueError):
    """A file that is no usable checkpoint of an ELM neuron."""


def load_official_checkpoint(
    path: str | Path, config: Mapping[str, Any] | str | Path | None = None, backend: str = "auto"
) -> ELMv1 | ELMv2:
    """The neuron in a published ``.pt`` file, in evaluation mode on the CPU.

    Parameters
    ----------
    path : the file, or the folder that holds a single one.
    config : what the tensors do not tell (``lambda_value``, bounds of the memory's time constants,
        routing, activation): arguments of the neuron, or a file of them. Where None,
        ``model_config.json`` beside the file. What is left out has the neuron's default.
    backend : as of :class:`ELMv1`.

    Returns
    -------
    :class:`ELMv1` where the file holds time constants of synapses, :class:`ELMv2` where it holds
    those of branches.

    Raises
    ------
    FileNotFoundError
        No such file, or no configuration.
    CheckpointError
        The file is damaged or holds something else, or configuration and tensors disagree.
    """
    path = _checkpoint_file(Path(path))
    tensors = _read_tensors(path)
    _check_tensors(path, tensors)
    version = next(VERSIONS[name] for name in VERSIONS if name in tensors)
    source, arguments = _read_config(path, config)
    neuron = _build(version, arguments, tensors, source, backend)
    _load(neuron, tensors, path, source)
    return neuron.eval()


def _checkpoint_file(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.glob("*.pt"))
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            raise FileNotFoundError(f"{path}: expected one .pt file, found {names}; name the file")
        return found[0]
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    return path


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():  # what PyTorch warns of is refused here or there
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise any
        raise CheckpointError(f"{path} cannot be read: {_reason(error)}") from None
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: expected a state dict (tensors by name), found {type(content).__name__}"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path}: expected a state dict (tensors by name), found "
                f"{type(value).__name__} under {name!r}"
            )
        if value.layout is not torch.strided or value.is_complex() or value.isnan().any():
            raise CheckpointError(
                f"{path}: {name} must hold real numbers without gaps, found {value.dtype}, "
                f"{value.layout}, {int(value.isnan().sum())} NaN"
            )
    return dict(content)


def _check_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Those that tell what neuron it is must be there."""
    found = f"the file holds {', '.join(tensors) or 'nothing'}"
    if not tensors.keys() & VERSIONS.keys():
        raise CheckpointError(f"{path} is no ELM neuron: expected tau_s or tau_b; {found}")
    for name, n in TENSORS.items():
        if name not in tensors or tensors[name].ndim != n:
            raise CheckpointError(
                f"{path} is no ELM neuron: expected {name} of {n} dimensions, found "
                f"{_shape(tensors.get(name))}; {found}"
            )


def _reason(error: Exception) -> str:
    """Why a file is not read, without PyTorch's advice to read it unsafely."""
    if named := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it holds more than tensors, namely {named[1]}, which is not executed"
    if "TorchScript" in str(error):
        return "it is a TorchScript archive; save the state_dict() of its module instead"
    return "it is damaged, or no file of tensors"


def _read_config(
    path: Path, config: Mapping[str, Any] | str | Path | None
) -> tuple[str, dict[str, Any]]:
    """Where the arguments come from, and the arguments."""
    if isinstance(config, Mapping):
        return "config", dict(config)
    file = path.with_name(CONFIG_FILE) if config is None else Path(config)
    if not file.is_file():
        raise FileNotFoundError(
            f"no {file}, which says what the tensors of {path.name} do not; give config=dict(...) "
            "with at least the routing and the bounds of the memory's time constants"
        )
    try:
        content = json.loads(file.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{file}: not readable as JSON ({error})") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{file}: expected an object, found {type(content).__name__}")
    return str(file), content


def _build(
    version: str,
    arguments: dict[str, Any],
    tensors: dict[str, Tensor],
    source: str,
    backend: str,
) -> ELM:
    """A neuron of the arguments; sizes that they leave out are those of the tensors."""
    named = arguments.pop("_class", version)
    if named != version:
        raise CheckpointError(
            f"{source}: _class is {named!r}, but the tensors are those of version {version!r}"
        )
    try:
        return build_neuron(version, _sizes(tensors) | arguments | {"backend": backend})
    except ConfigError as error:
        raise CheckpointError(f"{source}: {error}") from None


def _sizes(tensors: dict[str, Tensor]) -> dict[str, int]:
    """What the shapes of the tensors tell."""
    layers = [name for name in tensors if name.startswith("mlp.") and name.endswith("weight")]
    num_output, num_memory = tensors["w_y.weight"].shape
    hidden, width = tensors["mlp.network.0.weight"].shape
    num_branch = width - num_memory
    return {
        "num_output": num_output,
        "num_memory": num_memory,
        "num_branch": num_branch,
        "num_synapse_per_branch": len(tensors["_proto_w_s"]) // max(num_branch, 1),
        "mlp_num_layers": len(layers) - 1,
        "mlp_hidden_size": hidden,
    }


def _load(neuron: ELM, tensors: dict[str, Tensor], path: Path, source: str) -> None:
    expected = neuron.state_dict()
    faults = [
        f"{name}: expected {_shape(expected.get(name))}, found {_shape(tensors.get(name))}"
        for name in expected.keys() | tensors.keys()
        if _shape(expected.get(name)) != _shape(tensors.get(name))
    ]
    if faults:
        raise CheckpointError(f"{path} does not fit {source}: {'; '.join(sorted(faults))}")
    try:
        neuron.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit {source}: {error}") from None


def _shape(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else str(tuple(tensor.shape))
