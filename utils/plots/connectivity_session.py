"""Figures of a session's connectivity: blocks between areas, halves, rollouts, truth."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from utils.plots import style

SIGNIFICANT = 0.05  # p values below are marked
WEIGHT = "sd of the receiver per s"


def plot_area_blocks(tests: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean weights between areas, one panel for each test, and which are more than chance.

    Parameters
    ----------
    tests : name of the chance -> table of :mod:`utils.evaluation.connectivity_session`, all of the
        same areas. A star is a corrected p below .05, a dot an uncorrected one.

    Colours span the blocks between areas; those within may lie beyond.
    """
    first = next(iter(tests.values()))
    areas = style.area_order(first["to"])
    size = 1.5 + 0.3 * len(areas)
    figure, axes = plt.subplots(
        1,
        len(tests),
        figsize=(0.9 + size * len(tests), size),
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    other = first[first["to"] != first["from"]]["strength"]
    reach = float(np.abs(other).max()) or 1.0
    for ax, (name, table) in zip(axes[0], tests.items()):
        image = ax.imshow(_matrix(table, "strength", areas), cmap=style.SIGNED_CMAP,
                          vmin=-reach, vmax=reach)  # fmt: skip
        _mark(ax, table, areas, reach)
        ax.set_xticks(range(len(areas)), areas, rotation=90)
        ax.set(xlabel="from", title=f"chance: {name}")
        ax.spines[:].set_visible(False)
    cells = {row.to: round(0.5 + np.sqrt(0.25 + row.n_pairs)) for row in _within(first)}
    axes[0, 0].set_yticks(range(len(areas)), [f"{area} ({cells[area]})" for area in areas])
    axes[0, 0].set_ylabel("to (cells)")
    bar = style.add_colorbar(image, axes[0], f"mean weight\n({WEIGHT})")
    bar.ax.tick_params(labelsize=7)
    return figure


def plot_halves(
    entries: tuple[NDArray, NDArray], blocks: tuple[NDArray, NDArray] | None = None
) -> Figure:
    """W of the first and the second half of a recording, entry by entry and block by block.

    Parameters
    ----------
    entries : two arrays (neuron, neuron) [to, from].
    blocks : two arrays (pair of areas,).
    """
    off = ~np.eye(len(entries[0]), dtype=bool)
    panels = {"weights": tuple(each[off] for each in entries)}
    if blocks is not None:
        panels["blocks between areas"] = blocks
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.5 * len(panels), 3.2), layout="constrained", squeeze=False
    )
    for ax, (name, (first, second)) in zip(axes[0], panels.items()):
        reach = 1.05 * float(np.abs([first, second]).max()) or 1.0
        if len(first) > 2000:
            ax.hexbin(first, second, gridsize=50, bins="log", cmap="Greys", mincnt=1, lw=0,
                      extent=(-reach, reach, -reach, reach))  # fmt: skip
        else:
            ax.plot(first, second, "o", ms=3, color=style.BLUE, mew=0, alpha=0.7)
        _cross(ax, reach)
        r = np.corrcoef(first, second)[0, 1] if np.ptp(first) and np.ptp(second) else np.nan
        ax.set(
            xlabel=f"first half ({WEIGHT})", ylabel="second half", title=f"{name}: r = {r:.2f}",
            aspect="equal",
        )  # fmt: skip
        style.annotate_n(ax, where="upper left", pairs=len(first))
    return figure


def plot_rollout(scores: pd.DataFrame, **counts: int) -> Figure:
    """R2 of forecasts about the train mean, by the time ahead, one line per model.

    ``scores`` are rows of ``ForecastScores.to_frame()``; ``counts`` say what they rest on, such as
    ``cells=300, windows=2000``. Models that leave the axes below are named there with the R2 of
    their last frame.
    """
    figure, ax = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
    rows = scores.drop_duplicates(["model", "horizon"])
    curves = {name: one.set_index("seconds")["r2"] for name, one in rows.groupby("model")}
    best = max(float(curve.max()) for curve in curves.values())
    floor = -0.35 * max(best, 0.02)
    ends = {}
    for name, curve in curves.items():
        width = 2.2 if name == "gnn" else 1.2
        ax.plot(curve.index, curve, color=style.model_color(name), lw=width, label=name)
        ends[name] = float(curve.iloc[-1])
    ax.axhline(0, color=style.BLACK, lw=0.7)
    seconds = rows["seconds"]
    ax.set(
        xlabel="time ahead (s)", ylabel="R2 about the train mean", ylim=(floor, 1.1 * best),
        xlim=(0, seconds.max()), title=f"Forecasts of the test block, {style.count(**counts)}",
    )  # fmt: skip
    ax.figure.get_layout_engine().set(w_pad=0.06)
    names = {f"{name} ({end:.2f})" if end < floor else name: end for name, end in ends.items()}
    colors = dict(zip(names, (style.model_color(name) for name in ends)))
    style.label_ends(ax, seconds.max(), names, colors)
    return figure


def plot_block_truth(pairs: pd.DataFrame) -> Figure:
    """Blocks that were found over the coupling that a simulated session was made with.

    ``pairs`` is of :func:`utils.evaluation.connectivity_session.pair_table`.
    """
    figure, ax = plt.subplots(figsize=(3.8, 3.4), layout="constrained")
    coupled = (pairs["coupling"] != 0).to_numpy()
    jitter = np.random.default_rng(0).normal(0, 0.01, len(pairs))
    for chosen, color, label in (
        (~coupled, style.GREY, "not coupled"),
        (coupled, style.VERMILLION, "coupled"),
    ):
        x = pairs["coupling"][chosen] + jitter[chosen] * (label == "not coupled")
        name = f"{label}, n = {chosen.sum()}"
        ax.plot(x, pairs["strength"][chosen], "o", ms=4, color=color, mew=0, alpha=0.6, label=name)
    ax.axhline(0, color=style.BLACK, lw=0.7)
    ax.axvline(0, color=style.BLACK, lw=0.7)
    ax.set(
        xlabel="true coupling of the areas' latents", ylabel=f"mean weight ({WEIGHT})",
        title=f"Pairs of areas, {style.count(pairs=len(pairs))}",
    )  # fmt: skip
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _within(table: pd.DataFrame) -> list:
    return list(table[table["to"] == table["from"]].itertuples())


def _matrix(table: pd.DataFrame, column: str, areas: list[str]) -> NDArray:
    return table.pivot(index="to", columns="from", values=column).loc[areas, areas].to_numpy()


def _mark(ax: Axes, table: pd.DataFrame, areas: list[str], reach: float) -> None:
    """A star for what is corrected, a dot for what is not."""
    strength, p, corrected = (
        _matrix(table, column, areas) for column in ("strength", "p", "p_corrected")
    )
    for (row, column), value in np.ndenumerate(strength):
        text = (
            "*"
            if corrected[row, column] < SIGNIFICANT
            else "·"
            if p[row, column] < SIGNIFICANT
            else ""
        )
        color = "white" if abs(value) > 0.6 * reach else style.BLACK
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color=color)


def _cross(ax: Axes, reach: float) -> None:
    ax.axhline(0, color=style.GREY, lw=0.5)
    ax.axvline(0, color=style.GREY, lw=0.5)
    ax.plot([-reach, reach], [-reach, reach], color=style.BLACK, lw=0.7)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
