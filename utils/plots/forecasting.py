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
    "population_ridge": "population ridge",
    "oracle": "the oracle",
}
REFERENCES = ("mean", "ar16", "population_ridge")
SMALLEST_REACH = 0.05  # of a skill axis


def plot_skill_by_horizon(
    scores: pd.DataFrame, baselines: Sequence[str] = ("persistence", "mean", "ar16")
) -> Figure:
    """Skill of each model over each baseline against the time ahead.

    Parameters
    ----------
    scores : rows of ``ForecastScores.to_frame()`` of one or several models, or several seeds.
    baselines : one panel each. Bands are 95 % intervals, where estimable; where several seeds of a
        model are given, the line is their mean and each is a dot. The oracle, where it is among
        the scored baselines, is the dashed line that no forecast can exceed.
    """
    figure, axes = _panels(len(baselines))
    for ax, baseline in zip(axes, baselines):
        rows = scores[(scores["baseline"] == baseline) & (scores["model"] != baseline)]
        ends = _lines(ax, rows, "skill", "low", "high")
        ceiling = _ceiling(scores, baseline)
        if len(ceiling):
            ax.plot(ceiling.index, ceiling, "--", color=style.model_color("oracle"), label="oracle")
            ends["oracle"] = ceiling.iloc[-1]
        ax.axhline(0, color=style.BLACK, lw=0.7)
        _keep_readable(ax, rows["skill"], ceiling)
        title = f"over {BASELINE_NAMES.get(baseline, baseline)}"
        ax.set(title=title, xlabel="time ahead (s)", ylabel="skill, 1 - MSE ratio")
        _name_lines(ax, ends, rows["seconds"])
    return _say_how_sure(figure, scores)


def plot_oracle_fraction(scores: pd.DataFrame) -> Figure:
    """How far each model gets from the context mean (0) to the oracle (1), by the time ahead.

    ``scores`` are rows of ``ForecastScores.to_frame()`` that were scored with an oracle; several
    seeds of a model are shown as dots about their mean.
    """
    if "of_oracle" not in scores:
        raise ValueError("scores have no of_oracle: score with score_forecasts(..., oracle=...)")
    figure, (ax,) = _panels(1, width=4.2)
    rows = scores[scores["baseline"] == scores["baseline"].iloc[0]]
    rows = rows[~rows["model"].isin(["mean", "oracle"])]
    ends = _lines(ax, rows, "of_oracle", "of_oracle_low", "of_oracle_high")
    for place, name in ((0, "mean"), (1, "oracle")):
        ax.axhline(place, color=style.model_color(name), lw=1, ls="--")
        ends[name] = place
    ax.set(xlabel="time ahead (s)", ylabel="part of (oracle - context mean)", title="")
    _keep_readable(ax, rows["of_oracle"], pd.Series([1.0]))
    _name_lines(ax, ends, rows["seconds"])
    return _say_how_sure(figure, scores)


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
    board: pd.DataFrame,
    baselines: Sequence[str] = REFERENCES,
    seeds: pd.DataFrame | None = None,
) -> Figure:
    """Skill of all models over each baseline, all frames ahead together, best model on top.

    Parameters
    ----------
    board : of ``utils.evaluation.leaderboard``, of one recording. Where it has ``of_oracle``, a
        further panel shows the part of the way from the context mean to the oracle.
    baselines : one panel each; those that are not in the board are left out.
    seeds : rows of ``ForecastScores.summary()``, one per seed, shown as small dots.
    """
    panels = {
        f"over_{name}": (f"over_{name}_skill", f"over {BASELINE_NAMES.get(name, name)}")
        for name in baselines
        if f"over_{name}_skill" in board
    }
    if "of_oracle" in board:
        panels["of_oracle"] = ("of_oracle", "of (oracle - context mean)")
    figure, axes = plt.subplots(
        1, len(panels), figsize=(1.4 + 2.3 * len(panels), 1.1 + 0.24 * len(board)),
        sharey=True, layout="constrained", squeeze=False,
    )  # fmt: skip
    places = dict(zip(board["model"], np.arange(len(board))[::-1]))
    for ax, (prefix, (column, title)) in zip(axes[0], panels.items()):
        floor = -_reach(board[column])
        for row in board.to_dict("records"):
            span = [row[f"{prefix}_low"], row[f"{prefix}_high"]]
            _dot_and_bar(ax, places[row["model"]], row[column], span, row["model"], floor)
        if seeds is not None:
            known = seeds[seeds["model"].isin(board["model"])]
            ax.plot(
                known[column].clip(lower=floor), known["model"].map(places) - 0.28, "o",
                ms=2.5, color=style.GREY, mew=0,
            )  # fmt: skip
        ax.axvline(0, color=style.BLACK, lw=0.7)
        ax.grid(axis="y", color=style.LIGHT_GREY, lw=0.3)
        ax.set_title(title, fontsize=8.5)
        ax.set(xlabel="skill, 1 - MSE ratio" if column != "of_oracle" else "fraction")
        ax.set(yticks=list(places.values()), yticklabels=list(places))
        ax.margins(x=0.08)
    n_blocks = int(board["n_blocks"].min())
    estimable = board[[f"{prefix}_low" for prefix in panels]].notna().any(axis=None)
    bars = "bars: 95 % intervals" if estimable else "intervals not estimable"
    dots = "; small dots: seeds" if seeds is not None else ""
    title = f"n = {n_blocks} test blocks of 1 min; {bars}{dots}"
    figure.suptitle(title, fontsize=8, x=0.01, ha="left")
    return figure


def plot_skill_by_area(
    per_neuron: Mapping[str, pd.DataFrame],
    baselines: Sequence[str] = ("mean", "ar16"),
    smallest: int = 3,
) -> Figure:
    """Skill of single cells by area: median and quartiles, one mark per model.

    Parameters
    ----------
    per_neuron : model -> ``ForecastScores.per_neuron``, with the column ``region``.
    baselines : one panel each, below one another; those that were not scored are left out.
    smallest : areas with fewer cells are left out.
    """
    first = next(iter(per_neuron.values()))
    counts = first["region"].value_counts()
    areas = [area for area in style.area_order(counts.index) if counts[area] >= smallest]
    baselines = [name for name in baselines if f"over_{name}_skill" in first]
    figure, axes = plt.subplots(
        len(baselines), figsize=(2.6 + (0.5 + 0.13 * len(per_neuron)) * len(areas),
        0.7 + 2.4 * len(baselines)), sharex=True, layout="constrained", squeeze=False,
    )  # fmt: skip
    for ax, baseline in zip(axes[:, 0], baselines):
        if not areas:
            style.say_empty(ax, f"no area with {smallest} cells is known")
            continue
        for k, (model, table) in enumerate(per_neuron.items()):
            offset = 0.8 * ((k + 0.5) / len(per_neuron) - 0.5)
            _quartiles(ax, table, areas, f"over_{baseline}_skill", model, offset)
        ax.axhline(0, color=style.BLACK, lw=0.7)
        for border in np.arange(len(areas) - 1) + 0.5:
            ax.axvline(border, color=style.LIGHT_GREY, lw=0.5)
        labels = [f"{area}\nn = {counts[area]} cells" for area in areas]
        ax.set_xticks(np.arange(len(areas)), labels)
        ax.set_ylabel(f"skill over {BASELINE_NAMES.get(baseline, baseline)}")
    if areas:
        axes[0, 0].set_title("Single cells by area (median and quartiles)")
        axes[0, 0].legend(loc="upper left", bbox_to_anchor=(1, 1))
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


def _panels(n: int, width: float = 3.6) -> tuple[Figure, np.ndarray]:
    figure, axes = plt.subplots(
        1, n, figsize=(width * n + 0.3, 3.4), layout="constrained", squeeze=False
    )
    return figure, axes[0]


def _lines(ax: Axes, rows: pd.DataFrame, value: str, low: str, high: str) -> dict[str, float]:
    """One line per model against seconds; returns where each ends."""
    ends = {}
    for model, line in rows.groupby("model", sort=False):
        color = style.model_color(model)
        mean = line.groupby("seconds")[[value, low, high]].mean()
        if len(mean) < len(line):
            ax.plot(line["seconds"], line[value], "o", ms=2, color=color, alpha=0.6, mew=0)
        else:
            ax.fill_between(mean.index, mean[low], mean[high], color=color, alpha=0.12, lw=0)
        ax.plot(mean.index, mean[value], "-", color=color, label=model)
        ends[model] = mean[value].iloc[-1]
    return ends


def _name_lines(ax: Axes, ends: dict[str, float], seconds: pd.Series) -> None:
    # constrained layout makes room for the names only after they are there: keep it free now
    ax.figure.get_layout_engine().set(w_pad=0.06)
    if len(seconds):
        style.label_ends(ax, seconds.max(), ends, {name: style.model_color(name) for name in ends})


def _ceiling(scores: pd.DataFrame, baseline: str) -> pd.Series:
    """Skill of the oracle over a baseline by seconds, from the skills of a model over both."""
    scores = scores[scores["model"] != "oracle"]
    one = scores[scores["model"] == scores["model"].iloc[0]]
    mse = one.assign(mse=1 - one["skill"]).groupby(["baseline", "seconds"])["mse"].mean()
    if "oracle" not in mse.index:
        return pd.Series(dtype=float)
    return 1 - mse[baseline] / mse["oracle"]


def _dot_and_bar(
    ax: Axes, place: float, value: float, span: list[float], model: str, floor: float
) -> None:
    """A dot with its interval; a hopeless one becomes an arrow at the edge with its number."""
    color = style.model_color(model)
    if value < floor:
        ax.plot(floor, place, "<", color=color, ms=5)
        ax.text(floor, place, f"   {value:.2f}", color=color, fontsize=7, va="center")
        return
    ax.plot(np.clip(span, floor, None), [place, place], color=color, lw=2)
    ax.plot(value, place, "o", color=color, ms=5)


def _quartiles(
    ax: Axes, table: pd.DataFrame, areas: list[str], column: str, model: str, offset: float
) -> None:
    color = style.model_color(model)
    groups = [table.loc[table["region"] == area, column].dropna() for area in areas]
    places = np.arange(len(areas)) + offset
    low, middle, high = np.transpose([group.quantile([0.25, 0.5, 0.75]) for group in groups])
    ax.vlines(places, low, high, color=color, lw=2, alpha=0.5)
    ax.plot(places, middle, "o", color=color, ms=4, label=model)


def _say_how_sure(figure: Figure, scores: pd.DataFrame) -> Figure:
    n_blocks = int(scores["n_blocks"].min())
    bands = "95 % intervals" if scores["low"].notna().any() else "intervals not estimable"
    title = f"n = {n_blocks} test blocks of 1 min; {bands}"
    figure.suptitle(title, fontsize=8, x=0.01, ha="left")
    return figure


def _keep_readable(ax: Axes, skill: pd.Series, ceiling: pd.Series) -> None:
    """A hopeless model must not squeeze all others into a line."""
    reach = _reach(pd.concat([skill, ceiling]))
    if skill.min() < -reach / 2:
        ax.set_ylim(-0.55 * reach, 1.1 * reach)


def _reach(skill: pd.Series) -> float:
    """How far an axis goes to both sides: as far as the best model."""
    return max(float(skill.max()), SMALLEST_REACH) if len(skill) else SMALLEST_REACH
