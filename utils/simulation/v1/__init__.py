"""Simulated recordings from V1, the judge of twins."""

from utils.simulation.v1.recording import SimulatedV1, SimulatedV1Session, simulate_v1
from utils.simulation.v1.truth import V1Truth, load_v1_truth, oracle_bits_per_spike

__all__ = [
    "SimulatedV1",
    "SimulatedV1Session",
    "V1Truth",
    "load_v1_truth",
    "oracle_bits_per_spike",
    "simulate_v1",
]
