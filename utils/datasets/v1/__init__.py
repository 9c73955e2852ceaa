"""V1 recordings: a stimulus on the retina, the eyes, and the cells that respond, on one clock."""

from utils.datasets.v1.config import V1DatasetConfig, V1Source, load_dataset_configs
from utils.datasets.v1.recording import (
    V1Recording,
    as_recording,
    read_recording,
    to_rate,
    write_recording,
)
from utils.datasets.v1.simulated import simulated_v1, truth_path

__all__ = [
    "V1DatasetConfig",
    "V1Recording",
    "V1Source",
    "as_recording",
    "load_dataset_configs",
    "read_recording",
    "simulated_v1",
    "to_rate",
    "truth_path",
    "write_recording",
]
