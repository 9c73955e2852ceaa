"""NeuronIO: what a detailed model of a cortical neuron makes of its synaptic inputs, ms by ms."""

from typing import TYPE_CHECKING, Any

from utils.datasets.neuronio.generate import simulated_neuronio, write_neuronio_like
from utils.datasets.neuronio.native import NeuronIOData, native_files, read_neuronio
from utils.datasets.neuronio.simulations import (
    INPUTS,
    SEGMENTS,
    SOMA_BIAS_MV,
    SOMA_CAP_MV,
    SOMA_SCALE,
    NeuronIOBatch,
    NeuronIOSimulations,
)
from utils.datasets.neuronio.store import NeuronIOStore, convert_neuronio, open_neuronio

if TYPE_CHECKING:
    from utils.datasets.neuronio.module import NeuronIODataModule

__all__ = [
    "INPUTS",
    "SEGMENTS",
    "SOMA_BIAS_MV",
    "SOMA_CAP_MV",
    "SOMA_SCALE",
    "NeuronIOBatch",
    "NeuronIOData",
    "NeuronIODataModule",
    "NeuronIOSimulations",
    "NeuronIOStore",
    "convert_neuronio",
    "native_files",
    "open_neuronio",
    "read_neuronio",
    "simulated_neuronio",
    "write_neuronio_like",
]


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only when it is asked for."""
    if name == "NeuronIODataModule":
        from utils.datasets.neuronio.module import NeuronIODataModule

        return NeuronIODataModule
    raise AttributeError(f"module 'utils.datasets.neuronio' has no attribute '{name}'")
