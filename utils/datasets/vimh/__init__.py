"""VIMH 2.1, "variable image multihead": spectral images with the parameters they were made of."""

from utils.datasets.vimh.errors import VIMHError
from utils.datasets.vimh.naming import Envelopes, dataset_name
from utils.datasets.vimh.parameters import Parameter, class_index, dequantise, quantise
from utils.datasets.vimh.read import read_vimh
from utils.datasets.vimh.records import VIMH, VIMHSplit, make_records
from utils.datasets.vimh.sidecar import Exact
from utils.datasets.vimh.write import write_vimh

__all__ = [
    "VIMH",
    "Envelopes",
    "Exact",
    "Parameter",
    "VIMHError",
    "VIMHSplit",
    "class_index",
    "dataset_name",
    "dequantise",
    "make_records",
    "quantise",
    "read_vimh",
    "write_vimh",
]
