"""Connectivity and dynamics of a network of neurons, recovered from its activity."""

from utils.models.gnn.connectivity_fit import ConnectivityFit, load_connectivity
from utils.models.gnn.fit import fit_connectivity
from utils.models.gnn.settings import ConnectivitySettings

__all__ = ["ConnectivityFit", "ConnectivitySettings", "fit_connectivity", "load_connectivity"]
