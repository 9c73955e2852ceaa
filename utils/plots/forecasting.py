"""Figures of forecasts: examples, learning, skill by horizon, by model, by area and by neuron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import style

BASELINE_NAMES = {
    "persistence": "the last value",
    "mean": "the context mean",
    "train_mean": "the train mean",
    "ar16": "AR16 ridge",
}


def plot_skill_by_horizon(
    scores: pd.DataFrame, baselines: Sequence[str] = ("persistence", "mean", "ar16")
) -> Figure:
    """Skill of each model over each baseline against the time ahead.

    Parameters
    ----------
    scores : rows of ``ForecastScores.to_frame()`` of one or several models.
    baselines : one panel each. Bands are 95 % intervals, where estimable.
    """
    figure, axes = plt.subplots(
        1, len(baselines), figsize=(3.3 * len(baselines), 3.1), layout="constrained", squeeze=False
    )
    for ax, baseline in zip(axes[0], baselines):
        rows = scores[(scores["baseline"] == baseline) & (scores["model"] != baseline)]
        for model, line in rows.groupby("model", sort=False):
            color = style.model_color(model)
            ax.plot(line["seconds"], line["skill"], "o-", ms=2.5, color=color, label=model)
            ax.fill_between(
                line["seconds"], line["low"], line["high"], color=color, alpha=0.2, lw=0
            )
        ax.axhline(0, color=style.BLACK, lw=0.7)
        ax.set(
            title=f"over {BASELINE_NAMES.get(baseline, baseline)}",
            xlabel="time ahead (s)",
            ylabel="skill, 1 - MSE ratio",
        )
        _keep_readable(ax, rows["skill"])
        ax.legend()
    n_blocks = int(scores["n_blocks"].min())
    bands = "95 % intervals" if scores["low"].notna().any() else "intervals not estimable"
    figure.suptitle(f"n = {n_blocks} test blocks of 1 min; {bands}", fontsize=8, x=0.01, ha="left")
    return figure


def plot_example_forecasts(
    seconds: np.ndarray,
    truth: np.ndarray,
    origins: np.ndarray,
    forecasts: Mapping[str, np.ndarray],
    neurons: Sequence[int],
    unit: str,
) -> Figure:
    """What some cells did, and what was forecast from a few moments on.

    Parameters
    ----------
    seconds : (time,) of the shown stretch.
    truth : (time, neuron) activity of it.
    origins : (window,) index into ``seconds`` of the first forecast frame of each window.
    forecasts : model -> (window, horizon, neuron).
    neurons : columns to show, one row each.
    """
    figure, axes = plt.subplots(
        len(neurons), figsize=(9.5, 1.1 * len(neurons) + 0.6), sharex=True, layout="constrained",
        squeeze=False,
    )  # fmt: skip
    since = seconds - seconds[0]
    for ax, neuron in zip(axes[:, 0], neurons):
        ax.plot(since, truth[:, neuron], color=style.LIGHT_GREY, lw=1, label="recorded")
        for rank, (model, values) in enumerate(forecasts.items()):
            width = max(2.6 - 0.9 * rank, 1)  # thinner ones on top, so that equal ones show
            for k, origin in enumerate(origins):
                stretch = since[origin : origin + values.shape[1]]
                label = model if k == 0 else None
                color = style.model_color(model)
                ax.plot(stretch, values[k, :, neuron], color=color, lw=width, label=label)
        for origin in origins:
            ax.axvline(since[origin], color=style.GREY, lw=0.5, ls=":")
        ax.set_ylabel(f"cell {neuron}", rotation=0, ha="right", va="center")
    axes[0, 0].legend(ncols=len(forecasts) + 1, loc="lower right", bbox_to_anchor=(1, 1))
    axes[-1, 0].set_xlabel("time (s); dotted: the moment of the forecast")
    figure.supylabel(unit, fontsize=8)
    return figure


def plot_learning_curves(curves: pd.DataFrame, best_epoch: int) -> Figure:
    """Training and validation loss of each epoch; the epoch whose weights are kept is marked."""
    figure, ax = plt.subplots(figsize=(4.4, 3), layout="constrained")
    for name in ("train", "validation"):
        color = style.SPLIT_COLORS[name]
        ax.plot(curves["epoch"] + 1, curves[f"{name}_loss"], "o-", ms=3, color=color, label=name)
    ax.axvline(best_epoch + 1, color=style.GREY, lw=0.8, ls="--", label="kept")
    ax.set(
        xlabel=f"epoch (n = {len(curves)})",
        ylabel="loss (dropout only in training)",
        title="Learning curves",
        xticks=curves["epoch"] + 1 if len(curves) <= 12 else [],
    )
    ax.legend()
    return figure


def plot_leaderboard(
    board: pd.DataFrame, baselines: Sequence[str] = ("persistence", "mean", "ar16")
) -> Figure:
    """Skill of all models over each baseline, all frames ahead together, best model on top.

    ``board`` comes from ``utils.evaluation.leaderboard`` and holds one recording.
    """
    figure, axes = plt.subplots(
        1, len(baselines), figsize=(3.2 * len(baselines), 1.2 + 0.32 * len(board)),
        sharey=True, layout="constrained", squeeze=False,
    )  # fmt: skip
    places = np.arange(len(board))[::-1]
    for ax, baseline in zip(axes[0], baselines):
        skill, low, high = (board[f"over_{baseline}_{part}"] for part in ("skill", "low", "high"))
        for place, model, s, a, b in zip(places, board["model"], skill, low, high):
            color = style.model_color(model)
            ax.plot([a, b], [place, place], color=color, lw=2)
            ax.plot(s, place, "o", color=color, ms=5)
        ax.axvline(0, color=style.BLACK, lw=0.7)
        ax.set(
            title=f"over {BASELINE_NAMES.get(baseline, baseline)}",
            xlabel="skill, 1 - MSE ratio",
            yticks=places,
            yticklabels=board["model"],
        )
    n_blocks = int(board["n_blocks"].min())
    bars = "bars: 95 % intervals" if n_blocks >= 10 else "intervals not estimable"
    figure.suptitle(f"n = {n_blocks} test blocks of 1 min; {bars}", fontsize=8, x=0.01, ha="left")
    return figure


def plot_skill_by_area(
    per_neuron: Mapping[str, pd.DataFrame], baseline: str = "mean", smallest: int = 3
) -> Figure:
    """Skill of single cells by area, one box per model.

    Parameters
    ----------
    per_neuron : model -> ``ForecastScores.per_neuron``, with the column ``region``.
    smallest : areas with fewer cells are left out.
    """
    column = f"over_{baseline}_skill"
    counts = next(iter(per_neuron.values()))["region"].value_counts()
    areas = [area for area in style.area_order(counts.index) if counts[area] >= smallest]
    figure, ax = plt.subplots(figsize=(2.8 + 1.3 * len(areas), 3.2), layout="constrained")
    if not areas:
        style.say_empty(ax, f"no area with {smallest} cells is known")
        return figure
    width = 0.8 / len(per_neuron)
    for k, (model, table) in enumerate(per_neuron.items()):
        values = [table.loc[table["region"] == area, column].dropna() for area in areas]
        boxes = ax.boxplot(
            values,
            positions=np.arange(len(areas)) + (k - (len(per_neuron) - 1) / 2) * width,
            widths=0.8 * width,
            patch_artist=True,
            showfliers=False,
            medianprops={"color": style.BLACK},
        )
        for box in boxes["boxes"]:
            box.set(facecolor=style.model_color(model), alpha=0.8)
        boxes["boxes"][0].set_label(model)
    ax.axhline(0, color=style.BLACK, lw=0.7)
    ax.set(
        xticks=np.arange(len(areas)),
        xticklabels=[f"{area}\nn = {counts[area]} cells" for area in areas],
        ylabel=f"skill over {BASELINE_NAMES.get(baseline, baseline)}",
        title="Single cells by area (median, quartiles, whiskers 1.5 IQR)",
    )
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_cells_against(
    model: pd.DataFrame, other: pd.DataFrame, names: tuple[str, str], column: str = "r2"
) -> Figure:
    """Each cell's score under two models; above the diagonal the first one is better."""
    figure, ax = plt.subplots(figsize=(3.6, 3.4), layout="constrained")
    x, y = other[column].to_numpy(), model[column].to_numpy()
    scored = np.isfinite(x) & np.isfinite(y)
    ax.plot(x[scored], y[scored], "o", ms=3, alpha=0.6, color=style.model_color(names[0]), mew=0)
    low, high = np.quantile(np.r_[x[scored], y[scored]], [0.01, 1]) if scored.any() else (0, 1)
    span = [low - 0.05 * (high - low), high + 0.05 * (high - low)]
    ax.plot(span, span, color=style.BLACK, lw=0.7)
    better = np.mean(y[scored] > x[scored]) if scored.any() else np.nan
    ax.set(
        xlim=span,
        ylim=span,
        xlabel=f"{column.upper()} of {names[1]}",
        ylabel=f"{column.upper()} of {names[0]}",
        title=f"{names[0]} better in {better:.0%} of cells",
    )
    style.annotate_n(ax, where="lower right", cells=int(scored.sum()))
    return figure


def _keep_readable(ax: Axes, skill: pd.Series) -> None:
    """A hopeless baseline must not squeeze all others into a line."""
    if len(skill) and skill.min() < -0.5:
        ax.set_ylim(-0.55, max(float(skill.max()), 0) + 0.08)
