"""VIMH 2.1, "variable image multihead": spectral images with the parameters they were made of."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from utils.datasets.vimh.config import VIMHConfig
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
    from utils.datasets.vimh.audio import VIMHAudioModule, synthesiser_of
    from utils.datasets.vimh.load import vimh_data
    from utils.datasets.vimh.module import SpectralBatch, VIMHDataModule

__all__ = [
    "VIMH",
    "Exact",
    "Parameter",
    "SpectralBatch",
    "VIMHAudioModule",
    "VIMHConfig",
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
    "synthesiser_of",
    "vimh_data",
    "write_vimh",
]

_WITH_LIGHTNING = {
    "SpectralBatch": "module",
    "VIMHAudioModule": "audio",
    "VIMHDataModule": "module",
    "synthesiser_of": "audio",
    "vimh_data": "load",
}


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only when it is asked for."""
    if name in _WITH_LIGHTNING:
        return getattr(import_module(f"utils.datasets.vimh.{_WITH_LIGHTNING[name]}"), name)
    raise AttributeError(f"module 'utils.datasets.vimh' has no attribute '{name}'")
