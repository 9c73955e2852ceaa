"""V1 recordings: a stimulus on the retina, the eyes, and the cells that respond, on one clock."""

from utils.datasets.v1.config import V1DatasetConfig, V1Source, load_dataset_configs

__all__ = ["V1DatasetConfig", "V1Source", "load_dataset_configs"]
