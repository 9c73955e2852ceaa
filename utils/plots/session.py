"""What a recording is made of: data sets, fields of view, frames, clocks, example traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from utils.plots import style
from utils.plots.time_axis import gap_frames

GAP = 1.5  # a step longer than this many median frame intervals is a gap
QUALITY_COLORS = [style.VERMILLION, style.ORANGE, style.PURPLE, style.SKY, style.GREEN]


def plot_availability(availability: pd.DataFrame) -> Figure:
    """Grid of expected data sets (rows) and collections (columns): found or missing.

    Takes ``session.availability``: dataset, collection, found, required, consequence.
    """
    table = availability.drop_duplicates(["dataset", "collection"])
    collections = list(dict.fromkeys(table["collection"]))
    datasets = list(dict.fromkeys(table["dataset"]))
    state = np.full((len(datasets), len(collections)), np.nan)
    for row in table.itertuples():
        code = 0 if row.found else (2 if row.required else 1)
        state[datasets.index(row.dataset), collections.index(row.collection)] = code
    figure, ax = plt.subplots(
        figsize=(3.5 + 0.5 * len(collections), 1.2 + 0.19 * len(datasets)), layout="constrained"
    )
    colors = ListedColormap([style.SKY, style.ORANGE, style.VERMILLION])
    ax.pcolormesh(state, cmap=colors, vmin=0, vmax=2, edgecolors="white", linewidth=1)
    for i, j in np.argwhere(np.isfinite(state)):
        mark = "✓" if state[i, j] == 0 else "–"
        ax.text(j + 0.5, i + 0.5, mark, ha="center", va="center", fontsize=8)
    ax.set_xticks(np.arange(len(collections)) + 0.5, collections, rotation=45, ha="right")
    ax.set_yticks(np.arange(len(datasets)) + 0.5, datasets)
    ax.invert_yaxis()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    n_found = int(table["found"].sum())
    ax.set_title(
        f"Data sets: {n_found} of {len(table)} found (✓), {len(table) - n_found} missing (–)"
    )
    return figure


def plot_fov_map(neurons: pd.DataFrame) -> Figure:
    """Cells on the brain's surface, seen from above, coloured by area; FOVs by their outline.

    Takes ``session.neurons``: fov, region, ml and ap in µm from bregma.
    """
    figure, ax = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
    ax.set_title("Where the cells are (from above)")
    placed = neurons[np.isfinite(neurons["ml"]) & np.isfinite(neurons["ap"])]
    if placed.empty:
        style.say_empty(ax, "no brain coordinates in this recording")
        return figure
    for area in style.area_order(placed["region"]):
        cells = placed[placed["region"] == area]
        ax.scatter(
            cells["ml"] / 1000,
            cells["ap"] / 1000,
            s=max(2, min(12, 4000 / len(placed))),
            color=style.area_color(area),
            label=f"{area} ({len(cells):,})",
            linewidths=0,
        )
    for fov, cells in placed.groupby("fov"):
        _outline(ax, cells["ml"] / 1000, cells["ap"] / 1000, str(fov))
    ax.set(xlabel="medio-lateral (mm from bregma)", ylabel="anterior (mm from bregma)")
    ax.set_aspect("equal", "datalim")
    style.annotate_n(ax, where="lower left", cells=len(placed), FOVs=placed["fov"].nunique())
    figure.legend(loc="outside right upper", title="area (cells)", markerscale=2)
    return figure


def plot_mean_images(images: Mapping[str, np.ndarray], neurons: pd.DataFrame) -> Figure:
    """Mean image of each FOV with its cells, coloured by area, at their pixel.

    ``images``: FOV name -> (row, column); ``neurons``: fov, region, row, column in pixels.
    """
    names = list(images)
    n_columns = max(min(len(names), 4), 1)
    n_rows = max(-(-len(names) // n_columns), 1)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(2.9 * n_columns, 3.1 * n_rows),
        layout="constrained",
        squeeze=False,
    )
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    if not names:
        figure.suptitle("no mean image in this recording")
    for ax, name in zip(axes.flat, names):
        image = np.asarray(images[name], float)
        low, high = np.nanpercentile(image, [1, 99.5]) if np.isfinite(image).any() else (0, 1)
        ax.imshow(image, cmap=style.IMAGE_CMAP, vmin=low, vmax=max(high, low + 1e-9))
        cells = neurons[neurons["fov"] == name]
        colors = [style.area_color(area) for area in cells["region"]]
        ax.scatter(
            cells["column"], cells["row"], s=14, facecolors="none", edgecolors=colors, lw=0.8
        )
        ax.set(title=f"{name}: {style.count(cells=len(cells))}", xlabel="column (px)")
        ax.spines[:].set_visible(False)
    axes[0, 0].set_ylabel("row (px)")
    return figure


def plot_traces(
    times: np.ndarray,
    traces: np.ndarray,
    labels: Sequence[str],
    unit: str,
    events: np.ndarray | None = None,
    title: str = "Example cells",
) -> Figure:
    """Traces one above the other with a scale bar; lines break at gaps and missing values.

    Parameters
    ----------
    times : (time,) seconds.
    traces : (time, cell) in ``unit``.
    labels : one per cell.
    events : (time, cell) deconvolved activity, arbitrary units, drawn below each trace, each
        cell scaled to its own maximum.
    """
    n_cells = traces.shape[1]
    figure, ax = plt.subplots(figsize=(9, 1.4 + 0.55 * n_cells), layout="constrained")
    ax.set(title=title, xlabel="time (s)")
    if n_cells == 0 or not np.isfinite(traces).any():
        style.say_empty(ax, "no traces to show")
        return figure
    times, traces, events = break_at_gaps(times, traces, events)
    spread = np.nanpercentile(traces, 99.8, axis=0) - np.nanpercentile(traces, 1, axis=0)
    step = float(np.nanpercentile(spread, 80)) or 1.0  # the largest may overlap the next
    for cell in range(n_cells):
        base = -cell * step
        ax.plot(times, traces[:, cell] - np.nanmedian(traces[:, cell]) + base, color="k", lw=0.7)
        if events is not None and np.nanmax(events[:, cell], initial=0) > 0:
            height = 0.3 * step * events[:, cell] / np.nanmax(events[:, cell])
            ax.fill_between(
                times, base - 0.35 * step, base - 0.35 * step + height, color=style.VERMILLION, lw=0
            )
    _scale_bar(ax, times[-1], step, unit)
    ax.set_yticks(-step * np.arange(n_cells), labels)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    if events is not None:
        lines = [Line2D([], [], color=color) for color in ("k", style.VERMILLION)]
        ax.legend(lines, [unit, "deconvolved (scaled per cell)"], loc="upper left", ncols=2)
    return figure


def plot_frame_quality(
    times: Mapping[str, np.ndarray],
    codes: Mapping[str, np.ndarray | None],
    bad: Mapping[str, np.ndarray],
    names: Mapping[int, str],
) -> Figure:
    """One strip per FOV: which frames carry a quality flag, or are excluded as bad.

    Parameters
    ----------
    times : FOV -> (frame,) seconds.
    codes : FOV -> (frame,) quality codes, 0 = ok; None where there are none.
    bad : FOV -> (frame,) bool.
    names : code -> label.
    """
    fovs = list(times)
    figure, ax = plt.subplots(figsize=(9, 1.3 + 0.4 * len(fovs)), layout="constrained")
    flagged = sorted({int(c) for f in fovs if codes[f] is not None for c in np.unique(codes[f])})
    flagged = [code for code in flagged if code != 0]
    counts = dict.fromkeys(flagged, 0)
    for row, fov in enumerate(fovs):
        minutes = times[fov] / 60
        ax.hlines(row, minutes[0], minutes[-1], color=style.LIGHT_GREY, lw=8)
        for color, code in zip(QUALITY_COLORS, flagged):
            if codes[fov] is not None:
                hit = codes[fov] == code
                counts[code] += int(hit.sum())
                ax.vlines(minutes[hit], row - 0.25, row + 0.1, color=color, lw=0.8)
        ax.vlines(minutes[bad[fov]], row + 0.12, row + 0.28, color="k", lw=0.8)
    labels = [f"{names.get(code, f'code {code}')} ({counts[code]:,})" for code in flagged]
    n_bad = sum(int(np.count_nonzero(bad[fov])) for fov in fovs)
    handles = [Line2D([], [], color=color, lw=3) for color in QUALITY_COLORS[: len(flagged)]]
    handles.append(Line2D([], [], color="k", lw=3))
    labels.append(f"excluded as bad ({n_bad:,})")
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    unchecked = [fov for fov in fovs if codes[fov] is None]
    rows = [f"{fov} (no QC file)" if fov in unchecked else fov for fov in fovs]
    ax.set_yticks(range(len(fovs)), rows)
    ax.set_ylim(len(fovs) - 0.5, -0.5)
    n_frames = sum(len(times[fov]) for fov in fovs)
    ax.set(title=f"Frame quality, {style.count(frames=n_frames)} in all FOVs", xlabel="time (min)")
    return figure


def plot_sampling(times: Mapping[str, np.ndarray]) -> Figure:
    """Left: frame intervals over time, with gaps; right: delay of each FOV after the first.

    ``times``: FOV -> (frame,) seconds.
    """
    fovs = list(times)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 3), width_ratios=[2.2, 1], layout="constrained"
    )
    first = np.asarray(times[fovs[0]], float)
    steps = np.diff(first)
    interval = float(np.median(steps))
    gaps = gap_frames(first) - 1  # the steps that are gaps
    left.plot(first[1:] / 60, steps * 1000, ".", ms=2, color=style.BLUE)
    left.set_yscale("log")
    left.set_ylim(500 * interval, 2000 * max(steps.max(), interval))  # rounding is not to be seen
    for gap in gaps[np.argsort(steps[gaps])[::-1][:5]]:
        at = (first[gap + 1] / 60, steps[gap] * 1000)
        left.annotate(
            f"gap of {steps[gap]:.1f} s", at, (-5, 0), textcoords="offset points", ha="right"
        )
    left.set(xlabel="time (min)", ylabel="frame interval (ms)")
    left.set_title(
        f"{fovs[0]}: {interval * 1000:.1f} ms = {1 / interval:.3f} Hz, "
        f"{style.count(frames=len(first), gaps=len(gaps))}"
    )
    delays = [1000 * (np.asarray(times[fov], float)[0] - first[0]) for fov in fovs]
    right.barh(range(len(fovs)), delays, color=style.BLUE)
    for row, (fov, delay) in enumerate(zip(fovs, delays)):
        right.annotate(
            f"{delay:.1f} ms, {len(times[fov]):,} frames",
            (delay, row),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    right.set_yticks(range(len(fovs)), fovs)
    right.invert_yaxis()
    right.set(xlabel=f"first frame after that of {fovs[0]} (ms)", title="Delay between FOVs")
    right.set_xlim(min(0, *delays), max(delays) * 2 + 1)
    return figure


def plot_cell_counts(neurons: pd.DataFrame) -> Figure:
    """Left: cells of each FOV, by area; right: the classifier's probability of being a cell."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 3), width_ratios=[1.6, 1], layout="constrained"
    )
    table = neurons.groupby(["fov", "region"]).size().unstack(fill_value=0)
    base = np.zeros(len(table))
    for area in style.area_order(table.columns):
        left.barh(table.index, table[area], left=base, color=style.area_color(area), label=area)
        base += table[area].to_numpy()
    left.invert_yaxis()
    left.set(title="Cells by FOV and area", xlabel="number of cells")
    left.legend(title="area", loc="center left", bbox_to_anchor=(1, 0.5))
    style.annotate_n(left, where="lower right", cells=len(neurons))
    probability = neurons["cell_probability"].dropna()
    right.set(title="Cell classifier", xlabel="probability of being a cell", ylabel="cells")
    if probability.empty:
        style.say_empty(right, "no classifier output")
    else:
        right.hist(probability, bins=np.linspace(0, 1, 21), color=style.BLUE)
        style.annotate_n(right, where="upper left", cells=len(probability))
    return figure


def break_at_gaps(times: np.ndarray, *columns: np.ndarray | None) -> tuple[np.ndarray | None, ...]:
    """Insert a NaN row in every gap, so that a line drawn through the values is interrupted."""
    times = np.asarray(times, float)
    gaps = gap_frames(times)
    broken = [np.insert(times, gaps, times[gaps])]
    for values in columns:
        filled = None if values is None else np.insert(np.asarray(values, float), gaps, np.nan, 0)
        broken.append(filled)
    return tuple(broken)


def _outline(ax: Axes, x: pd.Series, y: pd.Series, name: str) -> None:
    left, right, bottom, top = x.min(), x.max(), y.min(), y.max()
    ax.plot([left, right, right, left, left], [bottom, bottom, top, top, bottom], color="k", lw=0.6)
    ax.annotate(name, (left, top), (1, 2), textcoords="offset points", fontsize=7)


def _scale_bar(ax: Axes, x: float, step: float, unit: str) -> None:
    """A vertical bar of a round height, above the last trace's end."""
    height = 10 ** np.floor(np.log10(step))
    bottom = 0.3 * step
    ax.plot([x, x], [bottom, bottom + height], color="k", lw=3, clip_on=False)
    ax.annotate(
        f"{height:g} {unit}",
        (x, bottom + height / 2),
        (6, 0),
        textcoords="offset points",
        va="center",
        annotation_clip=False,
    )
