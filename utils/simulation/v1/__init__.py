"""Simulated recordings from V1, the judge of twins."""

from utils.simulation.v1.oracle import movie_repeats, oracle_scores
from utils.simulation.v1.recording import SimulatedV1, SimulatedV1Session, simulate_v1, v1_sessions
from utils.simulation.v1.truth import V1Truth, load_v1_truth, save_v1_truth

__all__ = [
    "SimulatedV1",
    "SimulatedV1Session",
    "V1Truth",
    "load_v1_truth",
    "movie_repeats",
    "oracle_scores",
    "save_v1_truth",
    "simulate_v1",
    "v1_sessions",
]
