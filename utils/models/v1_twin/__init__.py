"""A digital twin of visual cortex: one core for all recordings, one readout for each."""

from utils.datasets.v1.config import load_dataset_configs
from utils.models.v1_twin.build import build_model, load_config
from utils.models.v1_twin.config import TwinConfig
from utils.models.v1_twin.twin import V1Twin

__all__ = ["TwinConfig", "V1Twin", "build_model", "load_config", "load_dataset_configs"]
