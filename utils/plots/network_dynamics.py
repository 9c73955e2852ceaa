"""Figures of a network's activity, and of how long a model of it stays with it."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from utils.metrics import steps_above
from utils.plots import style
from utils.plots.connectivity import type_colors

Floats = NDArray[np.floating]

TRUE, LEARNED = style.BLACK, style.VERMILLION
NEURONS_DRAWN = 6


def plot_activity(activity: Floats, dt: float, types: ArrayLike) -> Figure:
    """All neurons over time as an image, and a few as traces.

    Parameters
    ----------
    activity : (time, n).
    dt : time of a frame.
    types : (n,) shown as colours of the traces.
    """
    n_time, n = activity.shape
    figure, (above, below) = plt.subplots(
        2, figsize=(9, 4.6), height_ratios=[1.3, 1], sharex=True, layout="constrained"
    )
    limit = float(np.percentile(np.abs(activity), 99)) or 1.0
    image = above.imshow(
        activity.T, aspect="auto", cmap=style.SIGNED_CMAP, vmin=-limit, vmax=limit,
        extent=(0, n_time * dt, n, 0), interpolation="auto",
    )  # fmt: skip
    style.add_colorbar(image, above, "activity")
    above.set(ylabel="neuron", title=f"Activity, {style.count(neurons=n, frames=n_time)}")
    time = dt * np.arange(n_time)
    names = np.unique(types)
    for name, color in zip(names, type_colors(len(names))):
        first = np.flatnonzero(np.asarray(types) == name)[0]
        below.plot(time, activity[:, first], color=color, lw=0.8, label=f"neuron {first}")
    below.set(xlabel="time (units of the network)", ylabel="activity")
    below.legend(loc="upper left", bbox_to_anchor=(1, 1), title="first of each type")
    return figure


def plot_rollout(
    true: Floats, predicted: Floats, dt: float, n_neurons: int = NEURONS_DRAWN
) -> Figure:
    """Predicted over true activity from one start state, for neurons spread over the network.

    Parameters
    ----------
    true, predicted : (steps + 1, n), the start state first.
    dt : time of a step.
    """
    shown = np.unique(np.linspace(0, true.shape[1] - 1, min(n_neurons, true.shape[1])).astype(int))
    steps = np.arange(len(true))
    figure, axes = plt.subplots(
        len(shown), figsize=(9, 0.8 + 0.75 * len(shown)), sharex=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax, neuron in zip(axes[:, 0], shown):
        ax.plot(steps, true[:, neuron], color=TRUE, lw=2.5, alpha=0.3, label="network")
        ax.plot(steps, predicted[:, neuron], color=LEARNED, lw=0.9, label="model")
        reach = true[:, neuron]
        margin = 0.3 * max(np.ptp(reach), 1e-6)  # a model that diverges leaves the axes
        ax.set_ylim(reach.min() - margin, reach.max() + margin)
        ax.set_ylabel(f"neuron {neuron}", rotation=0, ha="right", va="center", fontsize=8)
    axes[0, 0].legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)
    axes[-1, 0].set_xlabel(f"step after a held-out start state (1 step: {dt:g} units of time)")
    style.annotate_n(axes[0, 0], neurons=true.shape[1])
    return figure


def plot_rollout_r2(
    curves: Mapping[str, Floats],
    lyapunov_steps: float = np.inf,
    threshold: float = 0.9,
    **counts: int,
) -> Figure:
    """R2 of the first k steps of a rollout, over k.

    Parameters
    ----------
    curves : name of a model -> (steps,).
    lyapunov_steps : Lyapunov time of the network in steps; inf where it is not chaotic.
    threshold : drawn, with the step at which each curve falls under it.
    counts : what was pooled, e.g. ``neurons=100, starts=4``.
    """
    figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    longest = max(len(curve) for curve in curves.values())
    for (name, curve), color in zip(curves.items(), style.CYCLE):
        steps = steps_above(curve, threshold)
        held = f"{steps:,} steps" if steps < len(curve) else f"all {steps:,} steps"
        label = f"{name}: {held} above {threshold:g}"
        ax.plot(np.arange(1, len(curve) + 1), np.maximum(curve, -1), color=color, label=label)
    ax.axhline(threshold, color=style.BLACK, lw=0.7, ls=":")
    for k in range(1, 4):
        if k * lyapunov_steps <= longest:
            ax.axvline(k * lyapunov_steps, color=style.LIGHT_GREY, lw=0.8, zorder=0)
    chaos = f"{lyapunov_steps:,.0f} steps" if np.isfinite(lyapunov_steps) else "none, not chaotic"
    ax.set(xlabel="steps from the start state", ylabel="R2 of all steps so far", ylim=(-0.1, 1.03))
    ax.set_title(f"Rollout; Lyapunov time (grey, up to 3): {chaos}")
    ax.legend(loc="lower left")
    style.annotate_n(ax, where="lower right", **counts)
    return figure
