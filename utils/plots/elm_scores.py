"""Figures of how good ELM neurons are: by size, spike by spike, mV by mV, and class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import style


class NeuronIOScore(NamedTuple):
    """How well a neuron predicts the NeuronIO test set."""

    num_memory: int
    parameters: int
    auc: float
    rmse_mv: float


# Spieler et al., "The Expressive Leaky Memory Neuron", ICLR 2024: branched ELM neurons, version 1,
# official test set; of each size one training, of the largest also the best one.
PUBLISHED = (
    NeuronIOScore(1, 4601, 0.9437, 1.332),
    NeuronIOScore(5, 5077, 0.9757, 0.811),
    NeuronIOScore(10, 5852, 0.9878, 0.698),
    NeuronIOScore(15, 6827, 0.9915, 0.663),
    NeuronIOScore(20, 8002, 0.9922, 0.638),
    NeuronIOScore(30, 10952, 0.9929, 0.613),
    NeuronIOScore(50, 19252, 0.9934, 0.601),
    NeuronIOScore(100, 54002, 0.9935, 0.614),
    NeuronIOScore(100, 54002, 0.9946, 0.564),
)
AUC_TICKS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998)
SPIKES_PER_BIN = 10  # of the reliability, at least


def plot_scores_by_size(scores: pd.DataFrame) -> Figure:
    """AUC of spikes and RMSE of the voltage against size, beside the published figures.

    Parameters
    ----------
    scores : one row per neuron: ``name``, ``num_memory``, ``parameters``, ``auc``, ``rmse_mv`` and
        ``simulations`` (how many were scored). Rows of one name are joined by a line.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    published = pd.DataFrame(PUBLISHED).assign(name="published (official test set)")
    colors = (style.BLUE, style.VERMILLION, style.GREEN, style.ORANGE, style.PURPLE, style.SKY)
    for ax, column in zip(axes, ("auc", "rmse_mv")):
        _draw_published(ax, published, column)
        for k, (name, rows) in enumerate(scores.groupby("name", sort=False)):
            rows = rows.sort_values("parameters")
            label = f"{name} ({style.count(simulations=int(rows['simulations'].min()))})"
            color = colors[k % len(colors)]
            ax.plot(rows["parameters"], rows[column], "o-", ms=4, color=color, label=label)
        ax.set(xscale="log", xlabel="parameters (numbers: memory units)")
        ax.margins(x=0.1, y=0.12)
        style.plain_log_ticks(ax.xaxis)
    shown = np.r_[published["auc"], scores["auc"]]
    axes[0].set_yscale("logit")
    ticks = [
        tick for tick in AUC_TICKS if np.nanmin(shown) - 0.02 <= tick <= np.nanmax(shown) + 0.002
    ]
    axes[0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[0].set_yticks([], minor=True)
    axes[0].set(ylabel="AUC of spikes (more is better)", title="Spikes")
    axes[1].set(ylabel="RMSE of the voltage (mV; less is better)", title="Somatic voltage")
    axes[1].set_ylim(bottom=0)
    axes[1].legend(loc="upper right")
    return figure


def plot_errors(
    probability: np.ndarray, spikes: np.ndarray, voltage: np.ndarray, true_voltage: np.ndarray
) -> Figure:
    """Is a spike of predicted probability p seen in a share p of ms, and how far is the voltage?

    Parameters
    ----------
    probability, spikes : predicted probability of a spike in a ms, and 1 at true ones; any shape.
    voltage, true_voltage : mV, of the same shape.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    _draw_reliability(left, np.ravel(probability), np.ravel(spikes) > 0)
    error = np.ravel(voltage) - np.ravel(true_voltage)
    reach = max(float(np.quantile(np.abs(error), 0.999)), 1e-3)
    bins = np.linspace(-reach, reach, 82)
    right.hist(np.clip(error, -reach, reach), bins, color=style.GREEN)
    right.axvline(0, color=style.BLACK, lw=0.7)
    right.set(
        yscale="log",
        xlabel="predicted - true voltage (mV; outermost bars: all beyond)",
        ylabel=f"ms (n = {error.size:,})",
        title=f"Voltage: bias {error.mean():+.2f} mV, RMSE {np.sqrt(np.mean(error**2)):.2f} mV",
    )
    return figure


def plot_confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """What was answered instead of what: rows are true classes, in percent of their examples.

    Parameters
    ----------
    matrix : (true class, answered class) numbers of examples.
    classes : their names.
    """
    n, accuracy = int(matrix.sum()), np.trace(matrix) / max(matrix.sum(), 1)
    side = 2 + 0.24 * len(classes)
    figure, ax = plt.subplots(figsize=(side + 0.8, side), layout="constrained")
    totals = matrix.sum(axis=1, keepdims=True)
    percent = 100 * matrix / np.where(totals > 0, totals, np.nan)
    cmap = plt.get_cmap(style.ACTIVITY_CMAP).with_extremes(bad=style.MISSING_COLOR)
    image = ax.imshow(percent, cmap=cmap, vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(percent):
        if value >= 0.5:
            color = "white" if value > 55 else "black"
            ax.text(column, row, f"{value:.0f}", ha="center", va="center", size=6, color=color)
    style.add_colorbar(image, ax, "answers (% of the true class; blue: no examples)")
    places = np.arange(len(classes))
    ax.set_xticks(places, classes, rotation=90)
    ax.set_yticks(places, classes)
    ax.set(xlabel="answered", ylabel="true")
    ax.set_title(f"{accuracy:.1%} right, {style.count(examples=n)}")
    return figure


def _draw_published(ax: Axes, published: pd.DataFrame, column: str) -> None:
    """Every size as a grey diamond with its number of memory units."""
    first = published.drop_duplicates("num_memory")
    ax.plot(first["parameters"], first[column], "-", color=style.LIGHT_GREY, lw=1)
    x, y = published["parameters"], published[column]
    ax.plot(x, y, "D", ms=4, color=style.GREY, label=published["name"].iloc[0])
    for row in first.itertuples():
        at = row.parameters, getattr(row, column)
        place = (5, -8) if column == "auc" else (4, 4)  # outside of the bend of the line
        ax.annotate(
            f"{row.num_memory}", at, place, textcoords="offset points", size=7, color=style.GREY
        )


def _draw_reliability(ax: Axes, probability: np.ndarray, spikes: np.ndarray) -> None:
    """Predicted against observed share of ms, in bins that are to hold equally many spikes."""
    ax.set(title=f"Spikes, n = {spikes.size:,} ms with {spikes.sum():,} spikes")
    if not spikes.any() or not probability.any():
        style.say_empty(ax, "no true or no predicted spikes")
        return
    n_bins = int(np.clip(spikes.sum() // SPIKES_PER_BIN, 1, 20))
    order = np.argsort(probability)
    expected = np.cumsum(probability[order])
    borders = np.searchsorted(expected, expected[-1] * np.arange(1, n_bins) / n_bins)
    parts = [part for part in np.split(order, borders) if len(part)]
    x = np.array([probability[part].mean() for part in parts])
    y = np.array([spikes[part].mean() for part in parts])
    low = min(x.min(), y[y > 0].min()) / 2
    seen = y > 0
    ax.plot([low, 1], [low, 1], color=style.BLACK, lw=0.7)
    ax.plot(x, np.maximum(y, low), "-", color=style.GREEN, lw=0.7)
    ax.plot(x[seen], y[seen], "o", ms=4, color=style.GREEN)
    ax.plot(x[~seen], np.full((~seen).sum(), 1.15 * low), "v", ms=5, color=style.GREEN)
    ax.set(xscale="log", yscale="log", xlim=(low, 1.5), ylim=(low, 1.5))
    ax.set(xlabel="predicted probability", ylabel="share of ms with a spike (triangle: none)")
    style.plain_log_ticks(ax.xaxis)
    style.plain_log_ticks(ax.yaxis)
    style.annotate_n(ax, where="lower right", bins=len(parts))
