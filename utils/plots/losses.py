"""Figures of the loss study: what a loss costs in squared error and gives for events."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import style

MEASURES = {  # column -> title, whether more is better (None: neither)
    "mse": ("squared error\n(change, %)", False),
    "crps": ("CRPS\n(change, %)", False),
    "auprc": ("events: area under\nprecision-recall", True),
    "event_f1": ("events: F1", True),
    "event_share": ("forecast of an event\n(share of its size)", None),
    "coverage_80": ("truth inside the\n80 % interval", None),
}
RELATIVE = ("mse", "crps")


def plot_losses(table: pd.DataFrame, reference: str) -> Figure:
    """One row per loss, one panel per measure.

    Parameters
    ----------
    table : index = loss; columns of :data:`MEASURES`. Of ``mse`` and ``crps`` the change against
        the row ``reference`` is shown; ``event_share`` is the mean forecast at events over the
        mean truth there, both from the neuron's mean.
    """
    shown = table[list(MEASURES)].copy()
    for column in RELATIVE:
        shown[column] = 100 * (shown[column] / shown.loc[reference, column] - 1)
    figure, axes = plt.subplots(
        1, len(MEASURES), figsize=(10, 0.8 + 0.3 * len(table)), sharey=True, layout="constrained"
    )
    rows = np.arange(len(shown))[::-1]
    for ax, (column, (title, more_is_better)) in zip(axes, MEASURES.items()):
        line = 0.8 if column == "coverage_80" else shown.loc[reference, column]
        ax.axvline(line, color=style.LIGHT_GREY, lw=1)
        ax.plot(shown[column], rows, "o", color=style.BLUE, ms=5)
        for value, row in zip(shown[column], rows):
            text = f"{value:+.1f}" if column in RELATIVE else f"{value:.3f}"
            ax.annotate(text, (value, row), (0, 5), textcoords="offset points", ha="center", size=6)
        arrow = {True: "  (more is better)", False: "  (less is better)", None: ""}[more_is_better]
        ax.set_title(title, fontsize=8)
        ax.set_xlabel(arrow, fontsize=7)
        ax.margins(x=0.25, y=0.12)
    axes[0].set_yticks(rows, shown.index)
    return figure


def plot_predicted_spread(spreads: Mapping[str, np.ndarray], bounds: tuple[float, float]) -> Figure:
    """Distribution of predicted spreads, in units of each neuron's standard deviation.

    Parameters
    ----------
    spreads : loss -> half the width between the 16 and 84 % quantiles, any shape.
    bounds : range in which the regulariser leaves the scale alone.
    """
    figure, ax = plt.subplots(figsize=(5.5, 3), layout="constrained")
    low = min(np.quantile(values, 0.001) for values in spreads.values())
    bins = np.geomspace(max(min(low, bounds[0] / 2), 1e-6), bounds[1] * 2, 80)
    for label, values in spreads.items():
        share = np.full(values.size, 1 / values.size)
        ax.hist(values.ravel(), bins, weights=share, histtype="step", lw=1.2, label=label)
    for bound in bounds:
        ax.axvline(bound, color=style.GREY, ls=":", lw=1)
    n = next(iter(spreads.values())).size
    ax.set(
        xscale="log",
        xlabel="predicted spread (sd of the neuron)",
        ylabel=f"share of forecast entries (n = {n:,})",
    )
    ax.legend()
    return figure


def plot_event_forecasts(
    seconds: np.ndarray, truth: np.ndarray, forecasts: Mapping[str, np.ndarray], n_events: int
) -> Figure:
    """Mean activity about the onset of events, and what was forecast for these frames.

    Parameters
    ----------
    seconds : (time,) from the onset.
    truth, forecasts : (time,) in units of each neuron's standard deviation from its mean.
    """
    figure, ax = plt.subplots(figsize=(5.5, 3), layout="constrained")
    ax.plot(seconds, truth, color=style.BLACK, lw=1.6, label="recorded")
    colors = (color for color in style.CYCLE if color != style.BLACK)
    for (label, values), color in zip(forecasts.items(), cycle(colors)):
        ax.plot(seconds, values, lw=1, color=color, label=label)
    ax.axvline(0, color=style.LIGHT_GREY, lw=0.8)
    ax.set(
        xlabel=f"time from the onset of an event (s), n = {n_events:,} events",
        ylabel="activity (sd from the mean)",
    )
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
