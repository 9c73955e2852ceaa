"""Expressive leaky memory (ELM) neurons: exact, and fast on CPUs and GPUs."""

from utils.models.elm.base import ELMState, ELMTrace
from utils.models.elm.neuron import ELMv1, ELMv2
from utils.models.elm.official import CheckpointError, load_official_checkpoint

__all__ = [
    "CheckpointError",
    "ELMState",
    "ELMTrace",
    "ELMv1",
    "ELMv2",
    "load_official_checkpoint",
]
