"""Benchmark data that is not a session, in native formats and as batches for models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from utils.datasets.ett import ett_name, fetch_ett, load_ett, read_ett, write_ett_like
from utils.datasets.neuronio import (
    NeuronIOBatch,
    NeuronIOData,
    convert_neuronio,
    open_neuronio,
    read_neuronio,
    write_neuronio_like,
)
from utils.datasets.shd import (
    SpikeBatch,
    SpokenDigits,
    fetch_shd,
    is_published_shd,
    read_shd,
    write_shd_like,
)
from utils.datasets.v1 import V1DatasetConfig, V1Recording

if TYPE_CHECKING:
    from utils.datasets.neuronio import NeuronIODataModule
    from utils.datasets.shd import SHDAddingDataModule, SHDDataModule
    from utils.datasets.v1 import V1DataModule

__all__ = [
    "NeuronIOBatch",
    "NeuronIOData",
    "NeuronIODataModule",
    "SHDAddingDataModule",
    "SHDDataModule",
    "SpikeBatch",
    "SpokenDigits",
    "V1DataModule",
    "V1DatasetConfig",
    "V1Recording",
    "convert_neuronio",
    "ett_name",
    "fetch_ett",
    "fetch_shd",
    "is_published_shd",
    "load_ett",
    "open_neuronio",
    "read_ett",
    "read_neuronio",
    "read_shd",
    "write_ett_like",
    "write_neuronio_like",
    "write_shd_like",
]

_WITH_LIGHTNING = {
    "NeuronIODataModule": "utils.datasets.neuronio.module",
    "SHDAddingDataModule": "utils.datasets.shd.module",
    "SHDDataModule": "utils.datasets.shd.module",
    "V1DataModule": "utils.datasets.v1.module",
}


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only when it is asked for."""
    if name in _WITH_LIGHTNING:
        return getattr(import_module(_WITH_LIGHTNING[name]), name)
    raise AttributeError(f"module 'utils.datasets' has no attribute '{name}'")
