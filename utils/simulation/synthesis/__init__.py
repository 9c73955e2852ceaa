"""Sounds with known parameters: a sawtooth through a Moog ladder, and plucked strings."""

from utils.simulation.synthesis.config import ParameterRange, SynthesiserConfig
from utils.simulation.synthesis.presets import SYNTHESISERS, synthesiser_config
from utils.simulation.synthesis.sampling import Sampling, draw_parameters
from utils.simulation.synthesis.sawtooth import adsr
from utils.simulation.synthesis.synthesise import synthesise, synthesise_images

__all__ = [
    "SYNTHESISERS",
    "ParameterRange",
    "Sampling",
    "SynthesiserConfig",
    "adsr",
    "draw_parameters",
    "synthesise",
    "synthesise_images",
    "synthesiser_config",
]
