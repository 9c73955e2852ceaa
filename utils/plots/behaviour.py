"""Trials and behaviour: choices, reaction times, and what happens around events."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.metrics.behaviour import CHOSE_RIGHT, mean_and_error, signed_contrast
from utils.plots import style

BLOCK_COLORS = {
    0.2: style.BEHAVIOUR_COLORS["block_0.2"],
    0.5: style.BEHAVIOUR_COLORS["block_0.5"],
    0.8: style.BEHAVIOUR_COLORS["block_0.8"],
}


def plot_psychometric(curve: pd.DataFrame) -> Figure:
    """Choice against contrast, one curve per probability block, Wilson 95 % intervals.

    Takes ``psychometric(trials, by="probabilityLeft")``: probabilityLeft, contrast (%),
    rightward, low, high, n.
    """
    figure, ax = plt.subplots(figsize=(5.2, 3.8), layout="constrained")
    ax.axhline(0.5, color=style.LIGHT_GREY, lw=0.8)
    ax.axvline(0, color=style.LIGHT_GREY, lw=0.8)
    for block, part in curve.groupby("probabilityLeft"):
        color = BLOCK_COLORS.get(round(float(block), 2), style.BLACK)
        label = f"P(left) = {block:g}, {style.count(trials=int(part['n'].sum()))}"
        ax.plot(part["contrast"], part["rightward"], "o-", ms=4, color=color, label=label)
        ax.vlines(part["contrast"], part["low"], part["high"], color=color, lw=1)
    ax.set_xscale("symlog", linthresh=6.25, linscale=0.6)
    ticks = [-100, -25, -6.25, 0, 6.25, 25, 100]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set(
        ylim=(-0.03, 1.03),
        xlabel="contrast (%, left < 0 < right)",
        ylabel="share of rightward choices",
        title="Psychometric curve (95 % Wilson intervals)",
    )
    ax.minorticks_off()
    if curve.empty:
        style.say_empty(ax, "no trials with a choice")
    else:
        ax.legend(loc="upper left")
    return figure


def plot_blocks(trials: pd.DataFrame, window: int = 20) -> Figure:
    """Block structure over the session: P(left), and running choice and performance.

    ``window``: number of past trials in a running mean.
    """
    figure, ax = plt.subplots(figsize=(9, 2.8), layout="constrained")
    number = np.arange(1, len(trials) + 1)
    ax.set(xlabel="trial", ylabel="share", ylim=(-0.03, 1.03), xlim=(0, len(trials) + 1))
    ax.set_title(f"Blocks and behaviour, {style.count(trials=len(trials))}")
    if trials.empty:
        style.say_empty(ax, "no trials")
        return figure
    ax.fill_between(
        number, 0, trials["probabilityLeft"], step="mid", color=style.LIGHT_GREY, lw=0, alpha=0.7
    )
    chose_left = 1 - (trials["choice"] == CHOSE_RIGHT).astype(float)
    chose_left[trials["choice"] == 0] = np.nan
    correct = (trials["feedbackType"] > 0).astype(float)
    running = {"chose left": (chose_left, style.BLUE), "correct": (correct, style.GREEN)}
    for label, (values, color) in running.items():
        mean = values.rolling(window, min_periods=5).mean()
        ax.plot(number, mean, color=color, label=f"{label} (mean of {window} trials)")
    ax.fill_between([], [], color=style.LIGHT_GREY, label="P(stimulus on the left)")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def plot_reaction_times(times: np.ndarray, trials: pd.DataFrame, measured_to: str) -> Figure:
    """Left: distribution; right: median and quartiles by contrast, correct and error apart.

    Parameters
    ----------
    times : (trial,) seconds from the stimulus, NaN where unknown.
    measured_to : what ends the reaction time, e.g. ``"first movement"``.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.2), layout="constrained")
    left.set(xlabel=f"stimulus to {measured_to} (s)", ylabel="trials", title="Reaction times")
    right.set(xlabel="contrast (%)", ylabel="reaction time (s)", title="Median and quartiles")
    shown = np.isfinite(times) & (times > 0)
    if not shown.any():
        style.say_empty(left, "no reaction times")
        style.say_empty(right, "no reaction times")
        return figure
    low, high = np.percentile(times[shown], [0, 99.5])
    bins = np.geomspace(max(low, 0.02), max(high, 0.04), 30)
    left.hist(times[shown], bins=bins, color=style.BLUE)
    left.axvline(np.median(times[shown]), color=style.VERMILLION)
    left.set_xscale("log")
    style.plain_log_ticks(left.xaxis)
    style.annotate_n(left, trials=int(shown.sum()))
    contrast = np.abs(signed_contrast(trials))
    levels = np.unique(contrast)
    for offset, feedback, label in [(-0.12, 1, "correct"), (0.12, -1, "error")]:
        chosen = shown & (trials["feedbackType"].to_numpy() == feedback)
        parts = [times[chosen & (contrast == level)] for level in levels]
        at = [i + offset for i, part in enumerate(parts) if len(part)]
        quartiles = np.array([np.percentile(part, [25, 50, 75]) for part in parts if len(part)])
        if len(quartiles) == 0:
            continue
        color = style.BEHAVIOUR_COLORS["reward" if feedback > 0 else "error"]
        right.plot(at, quartiles[:, 1], "o-", ms=4, color=color, label=_with_n(label, chosen))
        right.vlines(at, quartiles[:, 0], quartiles[:, 2], color=color, lw=1)
    right.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    right.set_ylim(bottom=0)
    right.legend()
    return figure


def plot_around_event(
    groups: Mapping[str, np.ndarray],
    lags: np.ndarray,
    *,
    event: str,
    ylabel: str,
    title: str,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Mean ± standard error around an event, one line per group of trials.

    Parameters
    ----------
    groups : label -> (trial, lag) values, NaN where missing.
    lags : (lag,) seconds after the event.
    """
    figure, ax = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
    _lines(ax, groups, lags, colors)
    ax.set(xlabel=f"time after {event} (s)", ylabel=ylabel, title=title)
    if ax.get_legend_handles_labels()[0]:
        ax.legend()
    return figure


def plot_area_responses(
    responses: Mapping[str, Mapping[str, np.ndarray]],
    lags: np.ndarray,
    n_cells: Mapping[str, int],
    *,
    event: str,
    ylabel: str,
    title: str,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Activity around an event, one panel per area, one line per condition.

    Parameters
    ----------
    responses : area -> condition -> (trial, lag), the mean over the area's cells.
    n_cells : area -> number of cells in that mean.
    """
    areas = list(responses)
    n_columns = max(min(len(areas), 4), 1)
    n_rows = max(-(-len(areas) // n_columns), 1)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(max(2.6 * n_columns, 5.2), 0.9 + 2.1 * n_rows),
        layout="constrained",
        sharex=True,
        squeeze=False,
    )
    for ax in axes.flat[len(areas) :]:
        ax.set_axis_off()
    for ax, area in zip(axes.flat, areas):
        _lines(ax, responses[area], lags, colors)
        ax.set_title(f"{area}, {style.count(cells=n_cells[area])}")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    for index, ax in enumerate(axes.flat[: len(areas)]):
        if index + n_columns >= len(areas):  # nothing below
            ax.set_xlabel(f"time after {event} (s)")
            ax.tick_params(labelbottom=True)
        if index % n_columns == 0:
            ax.set_ylabel(ylabel)
    if areas:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))
    else:
        style.say_empty(axes[0, 0], "no area to show")
    return figure


def plot_event_rates(
    rates: Mapping[str, tuple[np.ndarray, int]],
    edges: np.ndarray,
    *,
    event: str,
    ylabel: str,
    title: str,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Rate of a point process (licks) around an event: steps, one line per group.

    ``rates``: label -> (rate per bin in 1/s, number of events).
    """
    figure, ax = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
    for label, (rate, n_events) in rates.items():
        color = (colors or {}).get(label)
        ax.stairs(
            rate,
            edges,
            baseline=None,
            color=color,
            lw=1.3,
            label=f"{label}, {style.count(events=n_events)}",
        )
    ax.axvline(0, color=style.LIGHT_GREY, lw=0.8, zorder=0)
    ax.set(xlabel=f"time after {event} (s)", ylabel=ylabel, title=title)
    ax.set_ylim(bottom=0)
    if rates:
        ax.legend()
    else:
        style.say_empty(ax, "nothing to show")
    return figure


def _lines(
    ax: Axes,
    groups: Mapping[str, np.ndarray],
    lags: np.ndarray,
    colors: Mapping[str, str] | None,
) -> None:
    ax.axvline(0, color=style.LIGHT_GREY, lw=0.8, zorder=0)
    drawn = False
    for label, values in groups.items():
        if not np.isfinite(values).any():
            continue
        mean, error, _ = mean_and_error(values)
        n_trials = int(np.isfinite(values).any(axis=1).sum())
        (line,) = ax.plot(
            lags,
            mean,
            color=(colors or {}).get(label),
            label=f"{label}, {style.count(trials=n_trials)}",
        )
        ax.fill_between(lags, mean - error, mean + error, color=line.get_color(), alpha=0.2, lw=0)
        drawn = True
    if not drawn:
        style.say_empty(ax, "no trials to show")


def _with_n(label: str, chosen: np.ndarray) -> str:
    return f"{label}, {style.count(trials=int(np.count_nonzero(chosen)))}"
