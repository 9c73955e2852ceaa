"""Structure of the population: sorted raster, spectrum, correlations, relation to the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from utils.metrics.population import effective_rank
from utils.plots import style
from utils.plots.blocks import block_means
from utils.plots.session import break_at_gaps
from utils.plots.time_axis import gap_frames, label_frames_with_time

RASTER_UNIT = "activity (z-score)"


def plot_sorted_raster(
    times: np.ndarray,
    activity: np.ndarray,
    order: np.ndarray,
    areas: Sequence[str],
    behaviour: Mapping[str, np.ndarray],
    title: str,
) -> Figure:
    """All cells over all time, in a given order, with the behaviour below.

    Parameters
    ----------
    times : (time,) seconds; gaps are not drawn to scale but marked by a line.
    activity : (time, neuron), z-scored for display over its valid frames.
    order : neurons from top to bottom.
    areas : (neuron,) acronyms, shown as a colour strip.
    behaviour : label with unit -> (time,) values.
    """
    n_signals = len(behaviour)
    figure, axes = plt.subplots(
        1 + n_signals,
        figsize=(9.5, 4.2 + 0.65 * n_signals),
        height_ratios=[6] + [1] * n_signals,
        sharex=True,
        layout="constrained",
        squeeze=False,
    )
    raster = axes[0, 0]
    offset, scale = _moments(activity)
    picture = block_means(activity, order, offset=offset, scale=scale)
    limit = np.nanpercentile(picture, 99) if np.isfinite(picture).any() else 1.0
    cmap = plt.get_cmap(style.ACTIVITY_CMAP).with_extremes(bad=style.MISSING_COLOR)
    image = raster.imshow(picture, aspect="auto", cmap=cmap, vmin=0, vmax=max(limit, 1e-6))
    image.set_extent((0, len(times), len(order), 0))
    raster.set(title=f"{title}, {style.count(cells=len(order))}", yticks=[])
    style.add_colorbar(image, axes[:, 0], RASTER_UNIT)
    _area_strip(raster, [areas[neuron] for neuron in order])
    for ax, (label, values) in zip(axes[1:, 0], behaviour.items()):
        ax.plot(np.arange(len(times)), values, lw=0.5, color="k")
        ax.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        ax.tick_params(labelleft=False, length=2)
    for gap in gap_frames(times):
        for ax in axes[:, 0]:
            ax.axvline(gap, color=style.VERMILLION, lw=0.8, ls=":")
    label_frames_with_time(axes[-1, 0], times)
    axes[-1, 0].set_xlabel("time (min:s; dotted: gap)")
    return figure


def plot_spectrum(
    spectrum: np.ndarray,
    chance: np.ndarray,
    n_bins: int,
    fractions: Sequence[float] = (0.9, 0.99),
) -> Figure:
    """PCA spectrum and cumulated variance, with that of circularly shifted activity.

    Parameters
    ----------
    spectrum : (axis,) fractions of the variance, largest first.
    chance : (shift, axis) the same for shifted activity.
    n_bins : time bins of the activity.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.3), layout="constrained")
    if spectrum.sum() == 0:
        for ax in (left, right):
            style.say_empty(ax, "no variance: all cells are constant")
        return figure
    n_axes = len(spectrum)
    rank = np.arange(1, n_axes + 1)
    shifted = chance.mean(axis=0)
    left.plot(rank, spectrum, color=style.BLUE, label="recorded")
    left.plot(rank, shifted, color=style.GREY, ls="--", label="each cell shifted in time")
    left.set(xscale="log", yscale="log", xlabel="principal axis", ylabel="share of the variance")
    floor = spectrum[spectrum > 1e-9]
    left.set_ylim(bottom=floor.min() / 2 if len(floor) else None)
    left.set_title("PCA spectrum")
    left.legend(loc="lower left")
    style.plain_log_ticks(left.xaxis)
    style.plain_log_ticks(left.yaxis)
    style.annotate_n(left, cells=n_axes, time_bins=n_bins)
    _draw_ranks(right, spectrum, shifted, fractions)
    return figure


def plot_correlation_by_distance(table: pd.DataFrame) -> Figure:
    """Mean pairwise correlation against distance, beside the range of chance.

    Takes low, high (µm, the bin), correlation, n_pairs, chance_low, chance_high.
    """
    figure, ax = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    shown = table[table["n_pairs"] > 0]
    ax.set(xlabel="distance between cells (µm)", ylabel="mean correlation")
    ax.set_title("Correlation by distance")
    if shown.empty:
        style.say_empty(ax, "no pairs of cells with a position")
        return figure
    centre = (shown["low"] + shown["high"]) / 2
    ax.fill_between(
        centre,
        shown["chance_low"],
        shown["chance_high"],
        color=style.LIGHT_GREY,
        lw=0,
        label="chance (95 % of circular shifts)",
    )
    ax.plot(centre, shown["correlation"], "o-", ms=4, color=style.BLUE, label="recorded")
    for x, y, n in zip(centre, shown["correlation"], shown["n_pairs"]):
        ax.annotate(f"{n:,}", (x, y), (0, 6), ha="center", fontsize=7, textcoords="offset points")
    ax.margins(y=0.2)
    ax.legend(title=f"n = {shown['n_pairs'].sum():,} pairs (numbers: per bin)", title_fontsize=8)
    return figure


def plot_correlation_by_area(table: pd.DataFrame, areas: Sequence[str]) -> Figure:
    """Mean correlation of all pairs of areas; a dot marks what lies inside the range of chance.

    Takes one row per pair of areas, row by row of the matrix (groups of
    ``area_groups``): correlation, n_pairs, chance_low, chance_high.
    """
    n = len(areas)
    figure, ax = plt.subplots(figsize=(2.6 + 0.55 * n, 1.6 + 0.5 * n), layout="constrained")
    mean = table["correlation"].to_numpy().reshape(n, n)
    mean = np.where(np.isfinite(mean), mean, mean.T)  # each pair is counted on one side only
    inside = table["correlation"].between(table["chance_low"], table["chance_high"])
    dots = inside.to_numpy().reshape(n, n)
    finite = np.abs(mean[np.isfinite(mean)])
    limit = max(float(finite.max(initial=0)), 1e-3)
    cmap = plt.get_cmap(style.SIGNED_CMAP).with_extremes(bad=style.LIGHT_GREY)
    image = ax.imshow(mean, cmap=cmap, vmin=-limit, vmax=limit)
    for row, column in np.argwhere(dots | dots.T):
        ax.plot(column, row, ".", color="k", ms=3)
    ax.set_xticks(range(n), areas, rotation=90)
    ax.set_yticks(range(n), areas)
    ax.set_title(f"Correlation by area, {style.count(pairs=int(table['n_pairs'].sum()))}")
    ax.set_xlabel("dot: not beyond chance" if inside.any() else "all beyond chance")
    style.add_colorbar(image, ax, "mean correlation")
    return figure


def plot_state_relation(
    times: np.ndarray,
    state: np.ndarray,
    state_label: str,
    component: np.ndarray,
    correlations: np.ndarray,
    chance: np.ndarray,
) -> Figure:
    """How activity follows arousal: first principal component over time, and all cells.

    Parameters
    ----------
    state, component : (time,) without missing values; both drawn as z-scores.
    correlations : (neuron,) correlation of each cell with the state.
    chance : (neuron,) the same with circularly shifted activity.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.5, 3.2), width_ratios=[1.7, 1], layout="constrained"
    )
    for values, color, label in [
        (component, style.GREY, "first principal component"),
        (state, style.BEHAVIOUR_COLORS["pupil"], state_label),
    ]:
        scores = (values - values.mean()) / max(values.std(), 1e-12)
        minutes, scores = break_at_gaps(times / 60, scores)
        left.plot(minutes, scores, lw=0.8, color=color, label=label)
    r = np.corrcoef(state, component)[0, 1]
    left.set(xlabel="time (min)", ylabel="z-score", title=f"State and population, r = {r:.2f}")
    left.legend(loc="upper right", ncols=2)
    style.annotate_n(left, where="lower right", time_bins=len(times))
    widest = 1.05 * np.nanmax(np.abs(np.concatenate([correlations, chance])), initial=0.1)
    bins = np.linspace(-widest, widest, 41)
    for values, color, label in [
        (chance, style.LIGHT_GREY, "shifted in time"),
        (correlations, style.BLUE, "recorded"),
    ]:
        kept = values[np.isfinite(values)]
        right.hist(kept, bins=bins, color=color, alpha=0.75, label=label)
    right.locator_params(axis="x", nbins=6)
    right.set(xlabel=f"correlation with {state_label}", ylabel="cells", title="All cells")
    right.legend(loc="upper left")
    style.annotate_n(right, cells=int(np.isfinite(correlations).sum()))
    return figure


def _draw_ranks(
    ax: Axes, spectrum: np.ndarray, shifted: np.ndarray, fractions: Sequence[float]
) -> None:
    """Cumulated variance, and how many axes hold the given fractions of it."""
    rank = np.arange(1, len(spectrum) + 1)
    for values, color, ls in [(spectrum, style.BLUE, "-"), (shifted, style.GREY, "--")]:
        ax.plot(rank, np.cumsum(values), color=color, ls=ls)
    for fraction in fractions:
        at = effective_rank(spectrum, fraction)
        ax.plot([0, at, at], [fraction, fraction, 0], color=style.VERMILLION, lw=0.8, ls=":")
        ax.annotate(
            f"{fraction:.0%}: {at} axes",
            (at, 0.03),
            (-3, 0),
            textcoords="offset points",
            ha="right",
            rotation=90,
            fontsize=8,
            color=style.VERMILLION,
        )
    ax.set(xlabel="number of axes", ylabel="cumulated share", ylim=(0, 1.02))
    ax.set_xlim(left=0)
    ax.set_title("Effective rank")


def _moments(activity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of each neuron over its valid frames; 0 and 1 where it has none."""
    n = np.isfinite(activity).sum(axis=0)
    mean = np.nansum(activity, axis=0) / np.maximum(n, 1)
    spread = np.sqrt(np.nansum(np.square(activity - mean), axis=0) / np.maximum(n, 1))
    return mean, np.where(spread > 0, spread, 1)


def _area_strip(ax: Axes, areas: Sequence[str]) -> None:
    """Colour of each row's area, left of the raster, with a legend below the figure."""
    order = style.area_order(areas)
    if len(areas):
        colors = np.array([to_rgb(style.area_color(area)) for area in areas])
        strip = ax.inset_axes((-0.018, 0, 0.012, 1))
        strip.imshow(colors[:, None], aspect="auto")
        strip.set_axis_off()
    handles = [plt.Rectangle((0, 0), 1, 1, color=style.area_color(area)) for area in order]
    ax.figure.legend(handles, order, loc="outside lower center", ncols=min(len(order), 9) or 1)
