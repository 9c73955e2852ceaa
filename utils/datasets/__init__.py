"""Benchmark data that is not a session, in native formats and as batches for models."""

from utils.datasets.ett import ett_name, fetch_ett, load_ett, read_ett, write_ett_like
from utils.datasets.shd import SpokenDigits, fetch_shd, is_published_shd, read_shd
from utils.datasets.shd_batches import SHDAddingDataModule, SHDDataModule, SpikeBatch
from utils.datasets.shd_simulation import write_shd_like

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
