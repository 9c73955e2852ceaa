"""Simulated mesoscope sessions with a known truth, written as ALF and indexed for ONE.

A score on simulated data shows that code works; it is no evidence about brains.
"""

from utils.simulation.alf_writer import DOCUMENTED_EXTRAS
from utils.simulation.dendritic_neuron import DendriticRecording, simulate_dendritic_neuron
from utils.simulation.one_index import build_index
from utils.simulation.population import CalciumPopulation, simulate_calcium_population
from utils.simulation.session import PRESETS, preset_session, simulate_session
from utils.simulation.truth import Truth, load_truth

__all__ = [
    "DOCUMENTED_EXTRAS",
    "PRESETS",
    "CalciumPopulation",
    "DendriticRecording",
    "Truth",
    "build_index",
    "load_truth",
    "preset_session",
    "simulate_calcium_population",
    "simulate_dendritic_neuron",
    "simulate_session",
]
