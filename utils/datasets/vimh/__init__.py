"""VIMH 2.1, "variable image multihead": spectral images with the parameters they were made of."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from utils.datasets.vimh.errors import VIMHError
from utils.datasets.vimh.generate import generate_vimh
from utils.datasets.vimh.naming import dataset_name
from utils.datasets.vimh.parameters import Parameter, class_index, dequantise, quantise
from utils.datasets.vimh.read import read_vimh
from utils.datasets.vimh.records import VIMH, VIMHSplit, make_records
from utils.datasets.vimh.report import learnable_heads
from utils.datasets.vimh.sidecar import Exact
from utils.datasets.vimh.write import write_vimh

if TYPE_CHECKING:
    from utils.datasets.vimh.module import SpectralBatch, VIMHDataModule

__all__ = [
    "VIMH",
    "Exact",
    "Parameter",
    "SpectralBatch",
    "VIMHDataModule",
    "VIMHError",
    "VIMHSplit",
    "class_index",
    "dataset_name",
    "dequantise",
    "generate_vimh",
    "learnable_heads",
    "make_records",
    "quantise",
    "read_vimh",
    "write_vimh",
]


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only when it is asked for."""
    if name in ("SpectralBatch", "VIMHDataModule"):
        return getattr(import_module("utils.datasets.vimh.module"), name)
    raise AttributeError(f"module 'utils.datasets.vimh' has no attribute '{name}'")
