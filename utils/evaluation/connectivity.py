"""How much of a simulated network a fit found: weights, functions, types, and held-out rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from utils.evaluation.network_functions import FunctionComparison, compare_functions
from utils.evaluation.network_truth import additive_inputs, lyapunov_time, true_weights
from utils.metrics import (
    cluster_accuracy,
    connectivity_scores,
    rollout_r2,
    spectral_radius,
    state_fit,
    steps_above,
)
from utils.metrics.population import effective_rank, pca_spectrum
from utils.models.gnn import ConnectivityFit
from utils.models.gnn.types import find_types
from utils.paths import atomic_file
from utils.plots.connectivity import (
    plot_eigenvalues,
    plot_embeddings,
    plot_phi,
    plot_psi,
    plot_weight_scatter,
    plot_weights,
)
from utils.plots.network_dynamics import plot_rollout, plot_rollout_r2
from utils.simulation import Network
from utils.simulation import held_out as simulate_held_out

Floats = NDArray[np.floating]

LOG_LINES = {
    "spectral_radius": "spectral radius: {:.3f}",
    "effective_rank_90": "  effective rank (90% var): {:.0f}",
    "effective_rank_99": "  effective rank (99% var): {:.0f}",
    "effective_rank_90_centred": "  effective rank (90% var, centred): {:.0f}",
    "effective_rank_99_centred": "  effective rank (99% var, centred): {:.0f}",
    "test_R2": "test_R2: {:.3f}",
    "test_pearson": "test_pearson: {:.3f}",
    "connectivity_R2": "connectivity_R2: {:.3f}",
    "cluster_accuracy": "cluster_accuracy: {:.3f}",
    "final_loss": "final_loss: {:.1e}",
    "training_time_min": "training_time_min: {:.1f}",
}
REPORTED_STEPS = (100, 200, 500)
STATE_FIT_STEPS = 400  # of test_R2 and test_pearson
N_STARTS, N_STEPS = 4, 600  # of held-out rollouts
N_LEVELS, MOST_TYPES = 200, 40  # for types: where phi is looked at, largest number to try
MOST_FRAMES = 20_000  # of which effective ranks are computed, evenly spaced


@dataclass(frozen=True)
class ConnectivityEvaluation:
    """A fit beside the network that it was fitted to.

    Attributes
    ----------
    scores : numbers by name.
    by_type : R2 of the weights between true types: rows receive, columns send.
    rollout : (steps,) R2 of the first k steps, all held-out starts together.
    predicted : (start, steps + 1, n) rollouts of the fit.
    true_weights, weights : (n, n) [post, pre]; learned ones on the scale of the true ones.
    margin : (n, n) half the width of a weight's 95 % interval, where its error was estimated.
    """

    fit: ConnectivityFit
    network: Network
    held_out: Sequence[Network]
    functions: FunctionComparison
    scores: dict[str, float]
    by_type: pd.DataFrame
    rollout: Floats
    predicted: Floats
    true_weights: Floats
    weights: Floats
    margin: Floats | None

    def summary(self) -> pd.DataFrame:
        """One row per score."""
        return pd.DataFrame({"value": self.scores}).rename_axis("score")

    def write_log(self, path: str | Path) -> None:
        """Write ``analysis.log``: the lines of NeuralGraph first, then what else is known."""
        with atomic_file(Path(path)) as part:
            part.write_text(log_text(self.scores))

    def figures(self) -> dict[str, Figure]:
        """All figures by name."""
        network, true, weights = self.network, self.true_weights, self.weights
        functions, types = self.functions, self.network.types
        senders = functions.example_senders(types)
        return {
            "weights": plot_weights(true, weights, types),
            "scatter": plot_weight_scatter(true, weights, self.margin),
            "eigenvalues": plot_eigenvalues(true, weights),
            "psi": plot_psi(
                functions.u[:, senders], functions.psi[:, senders], functions.true_psi[:, senders]
            ),
            "phi": plot_phi(functions.u, functions.phi, types, functions.true_phi),
            "types": plot_embeddings(self.fit.embeddings, types, self.fit.types),
            "rollout": plot_rollout(self.held_out[0].observed, self.predicted[0], network.dt),
            "rollout_r2": plot_rollout_r2(
                {"fit": self.rollout},
                self.scores["lyapunov_steps"],
                neurons=len(types),
                starts=len(self.predicted),
            ),
        }


def evaluate_connectivity(
    fit: ConnectivityFit,
    network: Network,
    *,
    held_out: Sequence[Network] | None = None,
    standard_errors: Floats | None = None,
    seconds: float | None = None,
) -> ConnectivityEvaluation:
    """Compare a fit with the network whose activity it was fitted to.

    Parameters
    ----------
    held_out : noise-free runs of the network from other start states, all of one length; by
        default :data:`N_STARTS` of :data:`N_STEPS` steps are simulated.
    standard_errors : (n, n) of the weights, in the units of the fit.
    seconds : that the fit took; for the log.

    Raises
    ------
    ValueError
        The fit is of another number of neurons.
    """
    if len(fit.connectivity) != len(network.types):
        raise ValueError(
            f"the fit has {len(fit.connectivity)} neurons, the network {len(network.types)}"
        )
    held_out = held_out if held_out is not None else _held_out_runs(network)
    functions = compare_functions(fit, network)
    true, weights = true_weights(network), fit.connectivity * functions.scale
    margin = None if standard_errors is None else 1.96 * standard_errors * functions.scale
    of_weights = connectivity_scores(weights, true, network.types)
    truth = np.stack([run.observed for run in held_out])  # (start, steps + 1, n)
    predicted = fit.rollout(truth[:, 0], truth.shape[1] - 1, additive_inputs(held_out[0]))
    curve = rollout_r2(predicted, truth)
    scores = {
        **_network_scores(network),
        **_weight_scores(of_weights, weights, true, margin),
        **functions.scores(),
        **_type_scores(fit, network),
        **_rollout_scores(curve, predicted, truth),
    }
    if network.config.calcium is None:
        scores["final_loss"] = _derivative_error(fit, held_out)
    if seconds is not None:
        scores["training_time_min"] = seconds / 60
    names = np.unique(network.types)
    return ConnectivityEvaluation(
        fit=fit,
        network=network,
        held_out=held_out,
        functions=functions,
        scores=scores,
        by_type=pd.DataFrame(of_weights["r2_by_type"], index=names, columns=names)
        .rename_axis(index="receivers", columns="senders"),
        rollout=curve,
        predicted=predicted,
        true_weights=true,
        weights=weights,
        margin=margin,
    )  # fmt: skip


def log_text(scores: Mapping[str, float]) -> str:
    """Scores as lines ``name: value``.

    Those that NeuralGraph writes stand first, in its order, and mean the same; its effective
    ranks are those about 0.
    """
    rest = {name: value for name, value in scores.items() if name not in LOG_LINES}
    known = {name: line for name, line in LOG_LINES.items() if name in scores}
    lines = [line.format(scores[name]) for name, line in known.items()]
    lines.insert(1, "--- activity ---")
    lines += [f"{name}: {value:.4g}" for name, value in rest.items()]
    return "\n".join(lines) + "\n"


def _held_out_runs(network: Network) -> list[Network]:
    seeds = [network.config.seed + 1_000_000 + k for k in range(N_STARTS)]
    return [simulate_held_out(network, N_STEPS + 1, seed) for seed in seeds]


def _network_scores(network: Network) -> dict[str, float]:
    """Of the network alone."""
    frames = slice(None, None, -(-len(network.activity) // MOST_FRAMES))
    observed = np.asarray(network.observed[frames])
    scores = {"spectral_radius": spectral_radius(network.connectivity)}
    for suffix, centred in (("", False), ("_centred", True)):
        spectrum = pca_spectrum(observed, centred)
        for percent in (90, 99):
            scores[f"effective_rank_{percent}{suffix}"] = effective_rank(spectrum, percent / 100)
    time = lyapunov_time(network)
    return scores | {"lyapunov_time": time, "lyapunov_steps": time / network.dt}


def _weight_scores(
    of_weights: Mapping[str, float | Floats], weights: Floats, true: Floats, margin: Floats | None
) -> dict[str, float]:
    scores = {
        "connectivity_R2": of_weights["r2"],
        "connectivity_slope": of_weights["slope"],
        "connectivity_spearman": of_weights["spearman"],
        "connectivity_AUPRC": of_weights["auprc"],
        "connectivity_AUPRC_chance": of_weights["auprc_chance"],
        "learned_spectral_radius": spectral_radius(weights),
    }
    if margin is not None:
        off = ~np.eye(len(true), dtype=bool)
        scores["interval_coverage"] = float((np.abs(weights - true) <= margin)[off].mean())
    return scores


def _type_scores(fit: ConnectivityFit, network: Network) -> dict[str, float]:
    """Types by phi alone: first their true number is given, then it is estimated."""
    frames = slice(None, None, -(-len(network.observed) // MOST_FRAMES))
    levels = np.quantile(network.observed[frames], np.linspace(0, 1, N_LEVELS))
    phi = np.stack([fit.phi(levels, i) for i in range(len(network.types))], axis=1)
    n_types = len(np.unique(network.types))
    given, estimated = (find_types(torch.from_numpy(phi), n, MOST_TYPES) for n in (n_types, None))
    return {
        "cluster_accuracy": cluster_accuracy(given.labels, network.types),
        "cluster_accuracy_estimated": cluster_accuracy(estimated.labels, network.types),
        "n_types": n_types,
        "n_types_estimated": estimated.estimated_number,
    }


def _rollout_scores(curve: Floats, predicted: Floats, truth: Floats) -> dict[str, float]:
    """``rollout_steps`` is the number of steps until R2 falls under 0.9."""
    scores = {f"rollout_R2_{k}": curve[k - 1] for k in REPORTED_STEPS if k <= len(curve)}
    last = min(STATE_FIT_STEPS, len(curve)) + 1
    fits = [state_fit(p[:last], t[:last]) for p, t in zip(predicted, truth)]
    r2, pearson = np.mean(fits, axis=0)
    return {**scores, "rollout_steps": steps_above(curve), "test_R2": r2, "test_pearson": pearson}


def _derivative_error(fit: ConnectivityFit, held_out: Sequence[Network]) -> float:
    """Mean squared error of du/dt on held-out runs."""
    errors = [
        fit.rate(run.activity) + (0 if drive is None else drive) - run.derivative
        for run, drive in ((run, additive_inputs(run)) for run in held_out)
    ]
    return float(np.mean(np.square(errors)))
