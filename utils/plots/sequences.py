"""Figures of sequences: in which order images are read, and how well texts are predicted."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from utils.plots import style


def plot_readings(image: NDArray, readings: Mapping[str, NDArray]) -> Figure:
    """The way that is gone through an image, from dark to bright, one panel per reading.

    Parameters
    ----------
    image : (height, width).
    readings : name -> (step, 2) row and column of what is heard in each step, in pixels.
    """
    figure, axes = plt.subplots(
        1, len(readings), figsize=(2.6 * len(readings), 2.9), squeeze=False, layout="constrained"
    )
    for ax, (name, places) in zip(axes.flat, readings.items()):
        ax.imshow(image, cmap="gray_r", alpha=0.5)
        rows, columns = np.asarray(places).T
        ax.plot(columns, rows, color=style.GREY, lw=0.8)
        ax.scatter(columns, rows, c=np.arange(len(rows)), cmap="viridis", s=9, zorder=3)
        ax.set_title(f"{name} ({len(rows)} steps)", fontsize=8)
        ax.set(xticks=[], yticks=[])
    return figure


def plot_bits_per_character(
    curves: pd.DataFrame, references: Mapping[str, float], n_characters: int
) -> Figure:
    """How many bits a character costs after each epoch, beside what other predictions need.

    Parameters
    ----------
    curves : ``epoch``, ``train_bits_per_character`` and ``validation_bits_per_character``.
    references : name -> bits per character of the validation text, of which there are
        ``n_characters``; drawn as dashed lines.
    """
    figure, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
    epochs = curves["epoch"] + 1
    for part, color in (("train", style.GREY), ("validation", style.BLUE)):
        ax.plot(epochs, curves[f"{part}_bits_per_character"], "o-", ms=3, color=color, label=part)
    for bits in references.values():
        ax.axhline(bits, color=style.BLACK, ls="--", lw=0.8)
    ax.set(
        xlabel="epoch",
        ylabel=f"bits per character ({style.count(characters=n_characters)})",
        yscale="log",
        xlim=(0.5, len(epochs) + 0.5),
    )
    ax.set_ylim(top=2 * ax.get_ylim()[1])  # room for the legend
    style.plain_log_ticks(ax.yaxis)
    for name, bits in references.items():
        place = (1.01, bits)
        ax.annotate(f"{name}: {bits:.2f}", place, xycoords=ax.get_yaxis_transform(), size=7)
    ax.legend(loc="upper right", ncols=2)
    return figure
