"""V1 recordings: a stimulus on the retina, the eyes, and the cells that respond, on one clock."""

from typing import TYPE_CHECKING, Any

from utils.datasets.v1.config import V1DatasetConfig, V1Source, load_dataset_configs
from utils.datasets.v1.dataset import V1Dataset, describe_recordings, prepare_dataset
from utils.datasets.v1.recording import (
    V1Recording,
    as_recording,
    read_recording,
    to_rate,
    write_recording,
)
from utils.datasets.v1.sequences import SequenceIndex, V1Sequences
from utils.datasets.v1.simulated import simulated_v1, truth_path
from utils.datasets.v1.splits import HELD_OUT

if TYPE_CHECKING:
    from utils.datasets.v1.module import V1DataModule

__all__ = [
    "HELD_OUT",
    "SequenceIndex",
    "V1DataModule",
    "V1Dataset",
    "V1DatasetConfig",
    "V1Recording",
    "V1Sequences",
    "V1Source",
    "as_recording",
    "describe_recordings",
    "load_dataset_configs",
    "prepare_dataset",
    "read_recording",
    "simulated_v1",
    "to_rate",
    "truth_path",
    "write_recording",
]


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only when it is asked for."""
    if name == "V1DataModule":
        from utils.datasets.v1.module import V1DataModule

        return V1DataModule
    raise AttributeError(f"module 'utils.datasets.v1' has no attribute '{name}'")
