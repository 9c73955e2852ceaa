"""Simulated networks of neurons with known connectivity, the judge of connectivity fits."""

from utils.simulation.network.config import NetworkConfig
from utils.simulation.network.simulate import Network, held_out, simulate_network
from utils.simulation.network.store import read_network, simulate_network_file

__all__ = [
    "Network",
    "NetworkConfig",
    "held_out",
    "read_network",
    "simulate_network",
    "simulate_network_file",
]
