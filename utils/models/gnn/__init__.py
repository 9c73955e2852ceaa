"""Connectivity and dynamics of a network of neurons, recovered from its activity."""

from utils.models.gnn.config import GradientConfig
from utils.models.gnn.connectivity_fit import ConnectivityFit, load_connectivity
from utils.models.gnn.fit import fit_connectivity
from utils.models.gnn.gradient import fit_by_gradient
from utils.models.gnn.oracle import connectivity_oracle
from utils.models.gnn.schemes import compare_schemes
from utils.models.gnn.settings import ConnectivitySettings
from utils.models.gnn.uncertainty import Uncertainty, connectivity_uncertainty
from utils.models.gnn.warm_start import model_from_fit
from utils.models.gnn.weak_form import Bumps

__all__ = [
    "Bumps",
    "ConnectivityFit",
    "ConnectivitySettings",
    "GradientConfig",
    "Uncertainty",
    "compare_schemes",
    "connectivity_oracle",
    "connectivity_uncertainty",
    "fit_by_gradient",
    "fit_connectivity",
    "load_connectivity",
    "model_from_fit",
]
