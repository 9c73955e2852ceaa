"""Figures of decoding: images of activity, scores beside the baselines, what was recovered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import style

METRICS = {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "r2": "R²"}
COLORS = {
    "constant": style.LIGHT_GREY,
    "linear on means": style.SKY,
    "linear on images": style.BLUE,
}


def plot_mean_images(
    images: Mapping[str, np.ndarray],
    channels: Sequence[str],
    frequencies: np.ndarray,
    times: np.ndarray,
    counts: Mapping[str, int],
) -> Figure:
    """Mean image of each condition (row) in each channel (column).

    Parameters
    ----------
    images : condition -> (channel, frequency, time) in training deviations.
    frequencies : (frequency,) Hz, 0 for the slow level.
    times : (time,) s from the stimulus.
    counts : condition -> number of windows.
    """
    n_rows, n_columns = len(images), len(channels)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(1.2 + 1.5 * n_columns, 0.8 + 1.5 * n_rows),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    reach = max(np.abs(image).max() for image in images.values()) or 1.0
    edges = np.arange(len(frequencies) + 1)
    step = times[1] - times[0] if len(times) > 1 else 1.0
    borders = np.r_[times - step / 2, times[-1] + step / 2]
    for row, (condition, image) in zip(axes, images.items()):
        for ax, values in zip(row, image):
            mesh = ax.pcolormesh(borders, edges, values, cmap="RdBu_r", vmin=-reach, vmax=reach)
            ax.axvline(0, color=style.GREY, lw=0.8)
        row[0].set_ylabel(f"{condition}\n(n = {counts[condition]})\nfrequency (Hz)", fontsize=7)
    shown = np.unique(np.linspace(1, len(frequencies) - 1, 4).round().astype(int))
    labels = ["slow", *(f"{frequencies[k]:.2g}" for k in shown)]
    axes[0, 0].set_yticks([0.5, *(shown + 0.5)], labels)
    for top, bottom, channel in zip(axes[0], axes[-1], channels):
        top.set_title(channel, fontsize=8)
        bottom.set_xlabel("s from stimulus", fontsize=7)
    style.add_colorbar(mesh, axes.ravel().tolist(), "deviations")
    return figure


def plot_decoding(scores: pd.DataFrame) -> Figure:
    """Scores with their intervals, one panel per target, chance as a line.

    Parameters
    ----------
    scores : target, metric, model, score, low, high, chance, n; of several metrics of a target
        the first is shown.
    """
    first = scores.groupby("target", sort=False)["metric"].first()
    models = list(dict.fromkeys(scores["model"]))
    others = iter((style.VERMILLION, style.PURPLE, style.GREEN))
    colors = {name: COLORS[name] if name in COLORS else next(others) for name in models}
    figure, axes = plt.subplots(
        1,
        len(first),
        figsize=(1.5 + 1.6 * len(first), 0.9 + 0.35 * len(models)),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for ax, (target, metric) in zip(axes[0], first.items()):
        rows = scores[(scores["target"] == target) & (scores["metric"] == metric)]
        ax.axvline(rows["chance"].iloc[0], color=style.LIGHT_GREY, lw=1)
        for place, row in enumerate(rows.itertuples()):
            ax.plot([row.low, row.high], [-place, -place], color=colors[row.model], lw=2)
            ax.plot(row.score, -place, "o", color=colors[row.model], ms=5)
        ax.set_title(f"{target} (n = {rows['n'].iloc[0]})", fontsize=8)
        ax.set_xlabel(METRICS[metric], fontsize=8)
        ax.margins(y=0.15)
    axes[0, 0].set_yticks(-np.arange(len(models)), models)
    return figure


def plot_recovered(
    truth: Mapping[str, np.ndarray], predictions: Mapping[str, Mapping[str, np.ndarray]]
) -> Figure:
    """Predicted over true values, one row per model, one panel per quantity.

    Parameters
    ----------
    truth : quantity -> (sample,).
    predictions : model -> quantity -> (sample,).
    """
    figure, axes = plt.subplots(
        len(predictions),
        len(truth),
        figsize=(0.8 + 2.2 * len(truth), 0.6 + 2.1 * len(predictions)),
        squeeze=False,
        layout="constrained",
    )
    for row, (model, said) in zip(axes, predictions.items()):
        for ax, (quantity, true) in zip(row, truth.items()):
            ends = [true.min(), true.max()]
            ax.plot(ends, ends, color=style.GREY, lw=1)
            ax.plot(true, said[quantity], "o", color=style.BLUE, ms=3, alpha=0.6)
            ax.set(xlabel=f"true {quantity}", ylabel="predicted")
            ax.set_title(f"{model} (n = {len(true)})", fontsize=8)
    return figure
