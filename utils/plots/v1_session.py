"""Figures of the twin of a session: what was on the screen, receptive fields, contrasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import style
from utils.plots.v1_stimuli import draw_image, label_degrees

COLORS = (style.GREY, style.VERMILLION, style.BLUE)


def plot_screen(frames: np.ndarray, titles: Sequence[str], px_per_deg: float) -> Figure:
    """Frames (frame, H, W), grey levels 0 .. 255, of the visual field, each with its title."""
    n = len(frames)
    figure, axes = plt.subplots(1, n, figsize=(1.45 * n, 1.9), squeeze=False, layout="constrained")
    for column, (ax, frame, title) in enumerate(zip(axes[0], frames, titles)):
        draw_image(ax, frame, px_per_deg, (0, 255), style.IMAGE_CMAP)
        ax.set_title(title, fontsize=7.5, loc="center")
        label_degrees(ax, first=column == 0)
    return figure


def plot_session_fields(estimates: Mapping[str, pd.DataFrame], truth: pd.DataFrame) -> Figure:
    """Azimuth and elevation of receptive fields, estimated against true.

    Parameters
    ----------
    estimates : where they come from -> azimuth and elevation (deg) of each cell.
    truth : the same cells.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.6), layout="constrained")
    for ax, axis in zip(axes, ("azimuth", "elevation")):
        line = [truth[axis].min(), truth[axis].max()]
        ax.plot(line, line, color=style.BLACK, lw=0.7)
        for (name, table), color in zip(estimates.items(), COLORS):
            ax.plot(truth[axis], table[axis], "o", ms=4, mew=0, alpha=0.7, color=color, label=name)
        ax.set(xlabel=f"true {axis} (deg)", ylabel=f"{axis} (deg)")
    axes[0].legend()
    figure.suptitle(style.count(cells=len(truth)), fontsize=9.5, x=0.01, ha="left")
    return figure


def plot_contrasts(responses: Mapping[str, pd.DataFrame]) -> Figure:
    """Contrast responses: median and quartiles over cells, each relative to full contrast.

    Parameters
    ----------
    responses : source -> (cell, contrast), with columns from ``c0`` to ``c1``.
    """
    figure, ax = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
    for (name, table), color in zip(responses.items(), (style.BLACK, *COLORS)):
        contrasts = [float(column[1:]) for column in table]
        places = np.arange(len(contrasts))
        relative = table.div(table["c1"].where(table["c1"] > 0), axis=0)
        low, middle, high = relative.quantile([0.25, 0.5, 0.75]).to_numpy()
        ax.plot(places, middle, "o-", ms=4, color=color, label=name)
        ax.fill_between(places, low, high, color=color, alpha=0.15, lw=0)
    ax.set_xticks(places, [f"{100 * contrast:g}" for contrast in contrasts])
    ax.set(xlabel="contrast (%)", ylabel="response (of full contrast)")
    ax.legend()
    count = style.count(cells=len(table))
    ax.set_title(f"Gratings on the left, {count}: median, quartiles", fontsize=9.5)
    return figure
