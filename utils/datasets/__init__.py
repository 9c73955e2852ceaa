"""Benchmark data that is not a session, in native formats and as batches for models."""

from typing import TYPE_CHECKING, Any

from utils.datasets.ett import ett_name, fetch_ett, load_ett, read_ett, write_ett_like
from utils.datasets.shd import (
    SpikeBatch,
    SpokenDigits,
    fetch_shd,
    is_published_shd,
    read_shd,
    write_shd_like,
)

if TYPE_CHECKING:
    from utils.datasets.shd import SHDAddingDataModule, SHDDataModule

__all__ = [
    "SHDAddingDataModule",
    "SHDDataModule",
    "SpikeBatch",
    "SpokenDigits",
    "ett_name",
    "fetch_ett",
    "fetch_shd",
    "is_published_shd",
    "load_ett",
    "read_ett",
    "read_shd",
    "write_ett_like",
    "write_shd_like",
]


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only when it is asked for."""
    if name in ("SHDAddingDataModule", "SHDDataModule"):
        from utils.datasets.shd import module

        return getattr(module, name)
    raise AttributeError(f"module 'utils.datasets' has no attribute '{name}'")
