"""Runs that do not fit in memory: written block by block, read as memory maps."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pydantic import ValidationError

from utils.paths import atomic_file
from utils.simulation.network.config import NetworkConfig, network_config
from utils.simulation.network.dynamics import Dynamics
from utils.simulation.network.simulate import Network, network_of, run

FORMAT = "simulated network"
OVER_TIME = ("activity", "derivative", "observed", "inputs", "efficacy")
logger = logging.getLogger(__name__)


def simulate_network_file(
    folder: str | Path, config: NetworkConfig | Mapping[str, Any] | None = None, **settings: Any
) -> Path:
    """Simulate a network into a file of ``folder``; see :func:`simulate_network`.

    The name holds the hash of the configuration: a file of that name is used again, and any
    other setting makes another file. Memory is that of 1000 frames, whatever the run's length.

    Raises
    ------
    ConfigError
        An unknown or wrong setting, named.
    ValueError
        The file is there but is truncated or foreign.
    """
    config = network_config(config, **settings)
    name = f"network_{config.family}_{config.connectivity}_n{config.n_neurons}_{config.hash}.h5"
    path = Path(folder) / name
    if path.exists():
        read_network(path)  # refuses a damaged one
        logger.info("using %s, simulated before", path)
        return path
    with (
        atomic_file(path) as temporary,
        # arrays start at a page, so that they can be mapped
        h5py.File(temporary, "w", alignment_threshold=4096, alignment_interval=4096) as file,
    ):
        _write(file, Dynamics.draw(config), config)
    return path


def read_network(path: str | Path) -> Network:
    """Read a network; arrays over time are memory maps, read-only.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is truncated, foreign or of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; simulate_network_file(folder) makes one")
    try:
        with h5py.File(path, "r") as file:
            config = _config_of(file, path)
            parameters = {name: item[()] for name, item in file["parameters"].items()}
            truth = Dynamics(config, file["connectivity"][()], file["types"][()], parameters)
            arrays = {name: _mapped(path, file[name]) for name in OVER_TIME if name in file}
    except OSError as error:
        raise ValueError(
            f"{path} is no HDF5 file, or truncated ({error}); delete it and simulate again"
        ) from None
    return network_of(arrays, truth, config)


def _write(file: h5py.File, dynamics: Dynamics, config: NetworkConfig) -> None:
    for first, block in run(dynamics, config):
        for name, values in block.items():
            shape = (config.n_frames, config.n_neurons)
            whole = file.require_dataset(name, shape, np.float32, exact=True)
            whole[first : first + len(values)] = values
    file["connectivity"], file["types"] = dynamics.connectivity, dynamics.types
    for name, values in dynamics.parameters.items():
        file[f"parameters/{name}"] = values
    file.attrs.update(format=FORMAT, hash=config.hash, config=config.model_dump_json())


def _config_of(file: h5py.File, path: Path) -> NetworkConfig:
    if file.attrs.get("format") != FORMAT:
        raise ValueError(
            f"{path}: HDF5 of another kind: expected the attribute format = '{FORMAT}' and the "
            f"arrays of a simulation, found {', '.join(file) or 'an empty file'}"
        )
    try:
        config = NetworkConfig.model_validate_json(file.attrs["config"])
    except ValidationError:
        config = None
    if config is None or config.hash != file.attrs["hash"]:
        raise ValueError(f"{path} is of another version of the simulator; simulate again")
    return config


def _mapped(path: Path, item: h5py.Dataset) -> np.memmap:
    return np.memmap(path, item.dtype, "r", item.id.get_offset(), item.shape)
