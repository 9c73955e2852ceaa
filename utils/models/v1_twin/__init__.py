"""A digital twin of visual cortex: one core for all recordings, one readout for each."""

from utils.datasets.v1.config import load_dataset_configs
from utils.models.folders import ModelFolderError
from utils.models.v1_twin.apply import apply
from utils.models.v1_twin.build import build_model, load_config
from utils.models.v1_twin.config import TwinConfig
from utils.models.v1_twin.experiment import TwinExperiment, TwinTraining
from utils.models.v1_twin.fit import fit_twin
from utils.models.v1_twin.store import load_model, read_about, save_model
from utils.models.v1_twin.transfer import transfer
from utils.models.v1_twin.twin import V1Twin

__all__ = [
    "ModelFolderError",
    "TwinConfig",
    "TwinExperiment",
    "TwinTraining",
    "V1Twin",
    "apply",
    "build_model",
    "fit_twin",
    "load_config",
    "load_dataset_configs",
    "load_model",
    "read_about",
    "save_model",
    "transfer",
]
