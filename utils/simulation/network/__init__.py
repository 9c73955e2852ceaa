"""Simulated networks of neurons with known connectivity, the judge of connectivity fits."""

from utils.simulation.network.config import NetworkConfig
from utils.simulation.network.simulate import Network, held_out, simulate_network

__all__ = ["Network", "NetworkConfig", "held_out", "simulate_network"]
