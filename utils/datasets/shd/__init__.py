"""SHD, the Spiking Heidelberg Digits, and SHD-Adding: spoken digits as spikes of 700 channels."""

from typing import TYPE_CHECKING, Any

from utils.datasets.shd.batches import SpikeBatch
from utils.datasets.shd.files import WORDS, SpokenDigits, fetch_shd, is_published_shd, read_shd
from utils.datasets.shd.simulation import shd_or_simulated, write_shd_like

if TYPE_CHECKING:
    from utils.datasets.shd.module import SHDAddingDataModule, SHDDataModule

__all__ = [
    "WORDS",
    "SHDAddingDataModule",
    "SHDDataModule",
    "SpikeBatch",
    "SpokenDigits",
    "fetch_shd",
    "is_published_shd",
    "read_shd",
    "shd_or_simulated",
    "write_shd_like",
]


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only when it is asked for."""
    if name in ("SHDAddingDataModule", "SHDDataModule"):
        from utils.datasets.shd import module

        return getattr(module, name)
    raise AttributeError(f"module 'utils.datasets.shd' has no attribute '{name}'")
