"""Figures of predictive distributions: do they say how uncertain they are?"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import style


def plot_calibration(reliability: pd.DataFrame, scores: pd.DataFrame) -> Figure:
    """Reliability of the predicted quantiles, and coverage of the central intervals.

    Parameters
    ----------
    reliability : rows of ``ForecastScores.reliability()`` of one or several models.
    scores : rows of ``ForecastScores.to_frame()`` of the same models, with ``coverage_80`` etc.
    """
    models = list(reliability["model"].unique())
    figure, axes = plt.subplots(
        1, 2, figsize=(8, max(3.2, 1 + 0.22 * len(models))), layout="constrained"
    )
    _reliability(axes[0], reliability)
    _coverage(axes[1], scores, models)
    n = int(reliability.drop_duplicates(["model", "horizon"]).groupby("model")["n"].sum().min())
    title = f"{style.count(forecast_values=n)} per model"
    figure.suptitle(title, fontsize=8, x=0.01, ha="left")
    return figure


def _reliability(ax: Axes, reliability: pd.DataFrame) -> None:
    """Observed minus predicted share: differences too small for a diagonal to show."""
    for model, rows in reliability.groupby("model", sort=False):
        observed = rows.groupby("level")["observed"].mean()  # over horizons
        ax.plot(
            observed.index, observed - observed.index, "o-", ms=2.5,
            color=style.model_color(model), label=model,
        )  # fmt: skip
    ax.axhline(0, color=style.BLACK, lw=0.7)
    reach = max(0.05, 1.1 * np.abs(ax.get_ylim()).max())
    ax.set(
        title="Reliability (0 where calibrated)",
        xlabel="predicted share of the truth below a quantile",
        ylabel="observed - predicted share",
        ylim=(-reach, reach),
    )


def _coverage(ax: Axes, scores: pd.DataFrame, models: list[str]) -> None:
    """Mean over the time ahead as a dot, its range over the time ahead as a line."""
    places = np.arange(len(models))[::-1]
    for column in (name for name in scores if name.startswith("coverage_")):
        nominal = float(column.removeprefix("coverage_")) / 100
        ax.axvline(nominal, color=style.BLACK, lw=0.7, ls="--")
        for place, model in zip(places, models):
            values = scores.loc[scores["model"] == model, column]
            color = style.model_color(model)
            ax.plot([values.min(), values.max()], [place, place], color=color, lw=2, alpha=0.5)
            ax.plot(values.mean(), place, "o", color=color, ms=4)
    ax.grid(axis="y", color=style.LIGHT_GREY, lw=0.3)
    ax.set_yticks(places, models)
    ax.set(title="Coverage (dashed: nominal)", xlabel="share of the truth inside the interval")
