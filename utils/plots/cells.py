"""Figures of cells as ELM neurons: scores, forecasts of the next frame, what these rest on."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import style

SMALLEST_LOSS = 1e-3  # of R2, that the colours of an anatomy span at least


def plot_cell_scores(by_cell: pd.DataFrame) -> Figure:
    """R2 of the next frame and area under the precision-recall curve of events, cell by cell.

    ``by_cell`` is of :class:`utils.evaluation.cells.CellScores`. Its first model orders the cells
    and has its intervals drawn; grey bars are the share of events, which is chance. R2 below the
    axis is an arrow at its edge.
    """
    models = list(by_cell["model"].unique())
    tables = {name: rows.set_index("cell") for name, rows in by_cell.groupby("model", sort=False)}
    first = tables[models[0]].sort_values("r2", ascending=False)
    places = np.arange(len(first))
    figure, axes = plt.subplots(
        2, figsize=(2.4 + 0.42 * len(first), 4.6), sharex=True, layout="constrained"
    )
    chance = first["n_events"] / first["n_frames"]
    axes[1].bar(places, chance, width=0.8, color=style.LIGHT_GREY, label="share of events")
    axes[0].vlines(
        places, first["r2_low"], first["r2_high"], color=style.model_color(models[0]), lw=1.5
    )
    floor = min(-0.05, float(first["r2"].min()) - 0.05)
    for rank, name in enumerate(models):
        rows, shown = tables[name].loc[first.index], tables[name].loc[first.index, "r2"] >= floor
        dot = {"color": style.model_color(name), "ms": 3.5 if rank else 5, "zorder": 9 - rank}
        axes[0].plot(places[shown], rows["r2"][shown], "o", label=name, **dot)
        axes[0].plot(places[~shown], np.full((~shown).sum(), floor), "v", **dot)
        axes[1].plot(places, rows["auprc"], "o", **dot)
    axes[0].axhline(0, color=style.BLACK, lw=0.7)
    axes[0].set(
        ylabel="R2 of the activity", title=f"The next frame, {style.count(cells=len(first))}"
    )
    axes[1].set(ylabel="events: AUPRC", xlabel="cell", xticks=places)
    axes[1].set_xticklabels(first.index, fontsize=7)
    figure.legend(loc="outside right upper")
    return figure


def plot_cell_forecasts(
    seconds: np.ndarray,
    truth: np.ndarray,
    activity: np.ndarray,
    probability: np.ndarray,
    thresholds: np.ndarray,
    cells: Sequence[int],
    unit: str,
) -> Figure:
    """What cells did, what was said one frame before, and the probability of an event.

    Parameters
    ----------
    seconds : (frame,) of the frames that are forecast.
    truth, activity, probability : (frame, cell).
    thresholds : (cell,) above which a frame is an event.
    cells : their names, one row each.
    """
    figure, axes = plt.subplots(
        len(cells), figsize=(9.5, 1.3 * len(cells) + 0.6), sharex=True, layout="constrained",
        squeeze=False,
    )  # fmt: skip
    since = seconds - seconds[0]
    for place, ax in enumerate(axes[:, 0]):
        ax.plot(since, truth[:, place], color=style.LIGHT_GREY, lw=1.5, label="recorded")
        ax.plot(since, activity[:, place], color=style.BLUE, lw=1, label="said a frame before")
        ax.axhline(thresholds[place], color=style.GREY, lw=0.6, ls=":", label="threshold")
        ax.set_ylabel(f"cell {cells[place]}", rotation=0, ha="right", va="center")
        chance = ax.twinx()
        chance.fill_between(since, probability[:, place], color=style.VERMILLION, alpha=0.25, lw=0)
        chance.set(ylim=(0, 2.5), yticks=[0, 1])
        chance.tick_params(colors=style.VERMILLION)
    filled = plt.Rectangle((0, 0), 1, 1, color=style.VERMILLION, alpha=0.25, lw=0)
    lines, labels = axes[0, 0].get_legend_handles_labels()
    axes[0, 0].legend(
        [*lines, filled], [*labels, "probability of an event"], ncols=4, loc="lower right",
        bbox_to_anchor=(1, 1),
    )  # fmt: skip
    axes[-1, 0].set_xlabel("time (s)")
    figure.supylabel(unit, fontsize=8)
    return figure


def plot_cell_anatomy(anatomy: pd.DataFrame) -> Figure:
    """What the cells of each area lose without each of their inputs, mean over cells.

    ``anatomy`` is of :func:`utils.models.elm.cell_anatomy.cell_anatomy`. A cross is a branch that
    no cell of the area has.
    """
    groups = anatomy["region"] if "region" in anatomy else pd.Series("all", anatomy.index)
    table = anatomy.pivot_table(index=groups, columns="branch", values="r2_loss")
    counts = anatomy.groupby(groups)["cell"].nunique()
    table = table.loc[style.area_order(table.index), style.area_order(table.columns)]
    figure, ax = plt.subplots(
        figsize=(2.6 + 0.55 * table.shape[1], 1.3 + 0.36 * table.shape[0]), layout="constrained"
    )
    reach = max(float(np.nanmax(np.abs(table))), SMALLEST_LOSS)
    image = ax.imshow(table, cmap=style.SIGNED_CMAP, vmin=-reach, vmax=reach, aspect="auto")
    _write_values(ax, table, reach)
    ax.set_xticks(np.arange(table.shape[1]), table.columns, rotation=45, ha="right")
    rows = [f"{area} ({counts[area]})" for area in table.index]
    ax.set_yticks(np.arange(len(rows)), rows)
    ax.set(xlabel="inputs taken from another time", ylabel="cells of (n)")
    ax.set_title(f"Loss of R2, {style.count(cells=int(counts.sum()))}")
    style.add_colorbar(image, ax, "loss of R2")
    return figure


def _write_values(ax: Axes, table: pd.DataFrame, reach: float) -> None:
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        text = "x" if np.isnan(value) else f"{value:.3f}".replace("0.", ".")
        color = "white" if abs(value) > 0.6 * reach else style.BLACK
        ax.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
