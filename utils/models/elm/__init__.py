"""Expressive leaky memory (ELM) neurons: exact, and fast on CPUs and GPUs."""

from utils.models.elm.base import ELMState, ELMTrace
from utils.models.elm.network import ELMNetwork, ELMNetworkConfig, NetworkState, NetworkTrace
from utils.models.elm.neuron import ELMv1, ELMv2, build_neuron
from utils.models.elm.official import CheckpointError, load_official_checkpoint
from utils.models.elm.store import load_elm, read_about, save_elm
from utils.models.folders import ModelFolderError

load_model = load_elm  # the name that every family has

__all__ = [
    "CheckpointError",
    "ELMNetwork",
    "ELMNetworkConfig",
    "ELMState",
    "ELMTrace",
    "ELMv1",
    "ELMv2",
    "ModelFolderError",
    "NetworkState",
    "NetworkTrace",
    "build_neuron",
    "load_elm",
    "load_model",
    "load_official_checkpoint",
    "read_about",
    "save_elm",
]
