"""Figures of spoken digits: their spikes, and how often models name them."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from utils.plots import style

COLUMNS = 4


def plot_rasters(
    records: Sequence[tuple[NDArray, NDArray]],
    titles: Sequence[str],
    n_channels: int,
    used_seconds: float,
) -> Figure:
    """Spikes of recordings, one panel each.

    Parameters
    ----------
    records : times (s) and channels of the spikes.
    used_seconds : what comes later is not used, and drawn in grey.
    """
    n_rows = -(-len(records) // COLUMNS)
    figure, axes = plt.subplots(
        n_rows,
        COLUMNS,
        figsize=(9, 0.5 + 1.9 * n_rows),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, (times, channels), title in zip(axes.flat, records, titles):
        ax.plot(times, channels, ".", ms=1.5, mew=0, color=style.BLACK)
        ax.set_title(f"{title} ({len(times):,} spikes)", fontsize=8)
    latest = max(float(times.max(initial=0)) for times, _ in records)
    for ax in axes.flat:
        ax.axvspan(used_seconds, max(latest, used_seconds), color=style.LIGHT_GREY, lw=0, alpha=0.5)
        ax.set_visible(ax in axes.flat[: len(records)])
    axes[0, 0].set(ylim=(0, n_channels), xlim=(0, None))
    figure.supxlabel("time (s); grey: not used", fontsize=9)
    figure.supylabel("channel", fontsize=9)
    return figure


def plot_accuracies(table: pd.DataFrame, chance: float, n_examples: int) -> Figure:
    """Share of right answers of several models, with intervals.

    Parameters
    ----------
    table : index = model; columns ``accuracy``, ``low`` and ``high`` (0 .. 1), and ``baseline``
        (bool), of those that are shown in grey.
    """
    figure, ax = plt.subplots(figsize=(6, 0.9 + 0.32 * len(table)), layout="constrained")
    rows = np.arange(len(table))[::-1]
    for row, (_, score) in zip(rows, table.iterrows()):
        color = style.GREY if score["baseline"] else style.BLUE
        ax.plot([score["low"], score["high"]], [row, row], color=color, lw=2)
        ax.plot(score["accuracy"], row, "o", color=color, ms=6)
        place = (score["accuracy"], row)
        text = f"{score['accuracy']:.1%}"
        ax.annotate(text, place, (0, 6), textcoords="offset points", ha="center", size=7)
    ax.axvline(chance, color=style.LIGHT_GREY, ls="--", lw=1)
    ax.annotate(" chance", (chance, rows[-1] - 0.45), size=7, color=style.GREY, va="bottom")
    ax.set_yticks(rows, table.index)
    ax.set(
        xlim=(0, 1),
        ylim=(-0.5, len(table) - 0.3),
        xlabel=f"right answers, 95 % Wilson intervals ({style.count(test_examples=n_examples)})",
    )
    return figure
