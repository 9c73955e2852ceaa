"""Experiments on simulated networks in one checked file: the data, the fit, what is compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from pydantic import Field, NonNegativeFloat, PositiveInt
from tqdm.auto import tqdm

from utils.config import Config
from utils.evaluation.network_functions import scaled_weights
from utils.evaluation.network_truth import additive_inputs, true_weights
from utils.metrics import connectivity_scores
from utils.models.gnn import ConnectivityFit, ConnectivitySettings, fit_connectivity
from utils.models.gnn.config import GradientConfig, OdeMethod
from utils.models.gnn.weak_form import Bumps
from utils.signals import DerivativeMethod
from utils.simulation import Network, NetworkConfig

SHOWN = ("r2", "slope", "spearman", "auprc")


class SchemeComparison(Config):
    """Arguments of :func:`utils.models.gnn.schemes.compare_schemes`."""

    evaluations: PositiveInt = Field(3000, description="of the model, in each scheme")
    recurrent_steps: tuple[PositiveInt, ...] = (1, 4, 16, 32, 64)
    ode_methods: tuple[OdeMethod, ...] = ("dopri5", "rk4", "euler", "midpoint", "heun3")


class ConnectivityExperiment(Config):
    """``3_MODELLING/experiments/gnn/*.yaml``, checked as a whole.

    Attributes
    ----------
    data : the network that is simulated.
    fit : settings of :func:`utils.models.gnn.fit_connectivity`.
    noises, estimates : see :func:`compare_estimates`.
    gradient, schemes : what is trained by gradient, and how its schemes are compared.
    """

    data: NetworkConfig = NetworkConfig()
    fit: ConnectivitySettings = ConnectivitySettings()
    noises: tuple[NonNegativeFloat, ...] = Field(
        (0.0, 0.1), description="sd of noise that is added to what is observed"
    )
    estimates: tuple[DerivativeMethod | Bumps, ...] = Field(
        ("savitzky_golay", "finite_difference"), description="of the derivative"
    )
    gradient: GradientConfig = GradientConfig()
    schemes: SchemeComparison = SchemeComparison()


def fit_network(
    network: Network, settings: ConnectivitySettings, *, exact: bool = False, seed: int = 0
) -> ConnectivityFit:
    """Fit what is observed of a network, or (``exact``) its activity with the true derivative."""
    return fit_connectivity(
        network.activity if exact else network.observed,
        dt=network.dt,
        derivative=network.derivative if exact else None,
        inputs=additive_inputs(network),
        seed=seed,
        **settings.model_dump(),
    )


def compare_estimates(
    network: Network, experiment: ConnectivityExperiment, seed: int = 0
) -> pd.DataFrame:
    """Fit what a recording gives: noisy activity, whose derivative has to be estimated.

    Returns
    -------
    One row per noise and estimate: ``noise`` (sd added), ``estimate``, and of
    :func:`utils.metrics.connectivity_scores` ``r2``, ``slope``, ``spearman`` and ``auprc``.
    """
    rows = []
    cases = [(noise, way) for noise in experiment.noises for way in experiment.estimates]
    for noise, way in tqdm(cases, desc="estimates"):
        settings = experiment.fit.model_copy(update={"estimate": way})
        fit = fit_network(_with_noise(network, noise, seed), settings, seed=seed)
        scores = connectivity_scores(scaled_weights(fit, network), true_weights(network))
        name = "weak form" if isinstance(way, Bumps) else way
        rows.append({"noise": noise, "estimate": name, **{key: scores[key] for key in SHOWN}})
    return pd.DataFrame(rows)


def _with_noise(network: Network, noise: float, seed: int) -> Network:
    if not noise:
        return network
    added = np.random.default_rng(seed).standard_normal(network.observed.shape, dtype=np.float32)
    return replace(network, observed=network.observed + np.float32(noise) * added)
