"""Simulated worlds with a known truth: mesoscope sessions written as ALF, neurons, V1 recordings.

A score on simulated data shows that code works; it is no evidence about brains.
"""

from utils.simulation.alf_writer import DOCUMENTED_EXTRAS
from utils.simulation.dendritic_neuron import DendriticRecording, simulate_dendritic_neuron
from utils.simulation.network import (
    Network,
    NetworkConfig,
    held_out,
    read_network,
    simulate_network,
    simulate_network_file,
)
from utils.simulation.one_index import build_index
from utils.simulation.population import CalciumPopulation, simulate_calcium_population
from utils.simulation.session import PRESETS, preset_session, simulate_session
from utils.simulation.truth import Truth, load_truth
from utils.simulation.v1 import (
    SimulatedV1,
    SimulatedV1Session,
    V1Truth,
    load_v1_truth,
    oracle_scores,
    simulate_v1,
)

__all__ = [
    "DOCUMENTED_EXTRAS",
    "PRESETS",
    "CalciumPopulation",
    "DendriticRecording",
    "Network",
    "NetworkConfig",
    "SimulatedV1",
    "SimulatedV1Session",
    "Truth",
    "V1Truth",
    "build_index",
    "held_out",
    "load_truth",
    "load_v1_truth",
    "oracle_scores",
    "preset_session",
    "read_network",
    "simulate_calcium_population",
    "simulate_dendritic_neuron",
    "simulate_network",
    "simulate_network_file",
    "simulate_session",
    "simulate_v1",
]
