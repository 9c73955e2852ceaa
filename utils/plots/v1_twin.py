"""Figures of how good a V1 twin is: against the oracle and the floors, the truth, and the data."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import style

TWIN = style.VERMILLION
FLOOR_COLORS = ("#4D4D4D", style.SKY, style.GREEN, style.ORANGE)


def plot_scores(scores: pd.DataFrame, floors: tuple[str, ...] = ()) -> Figure:
    """Bits per spike of each cell against what the truth scores, and against the floors.

    Parameters
    ----------
    scores : one row per cell: ``twin``, the columns ``floors``, and ``oracle`` where it is known;
        bits per spike. Without an oracle the cells stand by rank.
    floors : names of columns, e.g. ``("behaviour", "linear-nonlinear")``.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    known = "oracle" in scores
    order = scores.sort_values("oracle" if known else "twin")
    x = order["oracle"].to_numpy() if known else np.arange(len(order))
    for name, color in zip(floors, FLOOR_COLORS):
        left.plot(x, order[name], "o", ms=3, mew=0, color=color, label=_with_median(order, name))
    left.plot(x, order["twin"], "o", ms=5, mew=0, color=TWIN, label=_with_median(order, "twin"))
    left.axhline(0, color=style.BLACK, lw=0.7)
    left.set(ylabel="bits per spike")
    if known:
        top = float(np.nanmax(x, initial=0.1))
        left.plot(
            [0, top], [0, top], color=style.BLACK, lw=0.7, label=_with_median(order, "oracle")
        )
        left.plot([0, top], [0, 0.8 * top], color=style.BLACK, lw=0.7, ls=":", label="80 % of it")
        left.set(xlabel="oracle: the true rates (bits per spike)")
    else:
        left.set(xlabel="cell, by rank")
    left.set_title(f"0 is the mean rate of training, {style.count(cells=len(scores))}")
    left.legend(loc="upper left")
    _compare(right, scores, floors)
    return figure


def plot_recovery(truth: pd.DataFrame, estimates: Mapping[str, pd.DataFrame]) -> Figure:
    """Estimated against true receptive fields: place, orientation, frequency, F1/F0.

    Parameters
    ----------
    truth : one row per cell: azimuth, elevation (deg), ori (deg), sf (c/deg), f1_f0, is_complex.
    estimates : where they come from -> the same cells, with some of these columns.
    """
    columns = ("azimuth", "elevation", "ori", "sf", "f1_f0")
    labels = ("azimuth (deg)", "elevation (deg)", "orientation (deg)", "frequency (c/deg)", "F1/F0")
    figure, axes = plt.subplots(1, 5, figsize=(12.5, 3.4), layout="constrained")
    colors = (TWIN, style.GREY, style.SKY, style.GREEN)
    for ax, column, label in zip(axes, columns, labels):
        line = np.array([truth[column].min(), truth[column].max()])
        ax.plot(line, line, color=style.BLACK, lw=0.7)
        for (name, table), color in zip(estimates.items(), colors):
            if column in table:
                _recovered(ax, column, truth, table, color, name)
        ax.set(xlabel=f"true {label}", ylabel=f"estimated {label}")
        ax.legend(fontsize=6.5, loc="upper left", bbox_to_anchor=(0, -0.22), borderpad=0)
    figure.suptitle(
        f"{style.count(cells=len(truth))}; circles: complex, triangles: simple",
        fontsize=9.5, x=0.01, ha="left",
    )  # fmt: skip
    axes[2].set(xticks=[0, 45, 90, 135, 180], yticks=[0, 45, 90, 135, 180])
    axes[3].set(xscale="log", yscale="log")
    for axis in (axes[3].xaxis, axes[3].yaxis):
        style.plain_log_ticks(axis)
    return figure


def plot_learning_curve(table: pd.DataFrame) -> Figure:
    """How the score grows with the minutes of data, one line per model.

    Parameters
    ----------
    table : one row per model, minutes and cell: ``model``, ``minutes`` of training data,
        ``fraction`` of the oracle's bits per spike.
    """
    figure, ax = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    for k, (model, rows) in enumerate(table.groupby("model", sort=False)):
        quartiles = rows.groupby("minutes")["fraction"].quantile([0.25, 0.5, 0.75]).unstack()
        color = style.CYCLE[k % len(style.CYCLE)]
        n_cells = rows.groupby("minutes")["fraction"].count().min()
        label = f"{model} ({style.count(cells=int(n_cells))})"
        ax.fill_between(quartiles.index, quartiles[0.25], quartiles[0.75], color=color, alpha=0.15)
        ax.plot(quartiles.index, quartiles[0.5], "o-", ms=4, color=color, label=label)
    ax.axhline(0.8, color=style.BLACK, lw=0.7, ls=":")
    ax.axhline(0, color=style.BLACK, lw=0.7)
    ax.set(xscale="log", xlabel="minutes of training data (all sessions)")
    ax.set(ylabel="bits per spike over the oracle's\n(median and quartiles of cells)")
    style.plain_log_ticks(ax.xaxis)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _with_median(scores: pd.DataFrame, name: str) -> str:
    return f"{name} (median {scores[name].median():.2f})"


def _compare(ax: Axes, scores: pd.DataFrame, floors: tuple[str, ...]) -> None:
    """The twin against each floor, cell by cell."""
    if not floors:
        style.say_empty(ax, "no floors to compare with")
        return
    for name, color in zip(floors, FLOOR_COLORS):
        both = scores[["twin", name]].dropna()
        wins = (both["twin"] > both[name]).mean()
        label = f"{name}: twin better in {wins:.0%} (n = {len(both):,})"
        ax.plot(both[name], both["twin"], "o", ms=4, mew=0, color=color, label=label)
    ends = ax.axis()
    line = [min(ends[0], ends[2]), max(ends[1], ends[3])]
    ax.plot(line, line, color=style.BLACK, lw=0.7)
    ax.set(xlabel="floor (bits per spike)", ylabel="twin (bits per spike)", title="Cell by cell")
    ax.legend(loc="lower right", fontsize=7)


def _recovered(
    ax: Axes, column: str, truth: pd.DataFrame, table: pd.DataFrame, color: str, name: str
) -> None:
    """Points with the median error; orientations are drawn next to the true ones."""
    true, found = truth[column].to_numpy(float), table[column].to_numpy(float)
    if column == "ori":
        found = true + (found - true + 90) % 180 - 90
    error = found / true if column == "sf" else np.abs(found - true)
    median = float(np.nanmedian(error)) if np.isfinite(error).any() else np.nan
    what = "ratio" if column == "sf" else "error"
    label = f"{name}: median {what} {median:.2g} (n = {np.isfinite(error).sum()})"
    for which, marker in ((truth["is_complex"], "o"), (~truth["is_complex"], "^")):
        ax.plot(true[which], found[which], marker, ms=4, mew=0, color=color, alpha=0.8,
                label=label if marker == "o" else None)  # fmt: skip
