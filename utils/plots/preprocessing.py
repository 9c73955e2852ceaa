"""What preprocessing does to a recording: baselines, quality, scaling, blocks, covariates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from utils.plots import style
from utils.plots.session import break_at_gaps
from utils.splits import PASSIVE, SPLIT_NAMES, TEST, TRAIN, UNUSED, VALIDATION, find_segments

_BASELINE_COLORS = [style.VERMILLION, style.GREEN, style.PURPLE]
_BLOCKS = (TRAIN, VALIDATION, TEST, PASSIVE)


def plot_baselines(
    times: np.ndarray,
    fluorescence: np.ndarray,
    baselines: Mapping[str, np.ndarray],
    names: Sequence[str],
    floor: np.ndarray,
) -> Figure:
    """Traces ``(time, cell)`` in detector units with their baselines; one row per cell.

    ``baselines`` maps a label to ``(time, cell)``; ``floor`` (cell,) is the smallest denominator
    of dF/F, drawn as a dotted line; ``times`` in s.
    """
    n_cells = fluorescence.shape[1]
    figure, axes = plt.subplots(
        n_cells, 1, figsize=(8, 0.6 + 1.3 * n_cells), sharex=True, squeeze=False
    )
    for k, ax in enumerate(axes[:, 0]):
        minutes, trace = break_at_gaps(times / 60, fluorescence[:, k])
        ax.plot(minutes, trace, color=style.LIGHT_GREY, linewidth=0.6)
        for color, (label, values) in zip(_BASELINE_COLORS, baselines.items()):
            minutes, baseline = break_at_gaps(times / 60, values[:, k])
            ax.plot(minutes, baseline, color=color, linewidth=1.4, label=label)
        ax.axhline(floor[k], color=style.BLACK, linestyle=":", linewidth=1, label="floor")
        ax.set_title(names[k])
        ax.set_ylabel("F (units)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncol=4)
    axes[-1, 0].set_xlabel("time (min)")
    return figure


def plot_dff_distributions(traces: Mapping[str, np.ndarray]) -> Figure:
    """How often each dF/F occurs, on a symmetric-log axis: one line per way to compute it.

    ``traces`` maps a label to values of any shape; NaN are left out.
    """
    figure, ax = plt.subplots(figsize=(6.5, 3))
    values = {name: v[np.isfinite(v)] for name, v in traces.items()}
    if not any(v.size for v in values.values()):
        style.say_empty(ax, "no value of dF/F")
        return figure
    largest = max(np.abs(v).max(initial=1) for v in values.values())
    tail = 1.05 ** np.arange(np.ceil(np.log(largest) / np.log(1.05)) + 1)  # no step at 1
    edges = np.r_[-tail[::-1], np.linspace(-1, 1, 41)[1:-1], tail]
    for (name, v), color in zip(values.items(), [style.LIGHT_GREY, style.BLUE, style.VERMILLION]):
        label = f"{name}: {v.min(initial=0):.3g} .. {v.max(initial=0):.3g}"
        ax.hist(v, edges, histtype="stepfilled", color=color, alpha=0.6, label=label)
    ax.set_xscale("symlog", linthresh=1)
    ax.set_yscale("log")
    ax.set(xlabel="dF/F (1 = 100 %)", ylabel="samples", title="Range of dF/F")
    ax.legend(loc="upper right")
    size = max((v.size for v in values.values()), default=0)
    style.annotate_n(ax, where="upper left", samples=size)
    return figure


def plot_quality(quality: pd.DataFrame) -> Figure:
    """Distributions over cells of noise level, SNR, baseline and skew of the training block.

    Takes ``SessionFile.quality``; the baseline panel needs the columns of dF/F.
    """
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.7))
    _histogram(axes[0], quality["noise_level"], "noise level (% / √Hz)", "Noise of dF/F")
    _histogram(axes[1], quality["snr"], "(99.5 % − median) / noise", "Signal to noise")
    if "baseline" not in quality:
        style.say_empty(axes[2], "deconvolved activity has no baseline")
        return figure
    floored = quality["baseline_floored"].to_numpy(bool)
    ax = axes[2]
    for chosen, color, label in (
        (~floored, style.BLUE, "baseline is the denominator"),
        (floored, style.VERMILLION, "floor is the denominator"),
    ):
        rows = quality[chosen]
        text = f"{label} ({chosen.sum()})"
        ax.plot(rows["baseline_floor"], rows["baseline"], ".", color=color, label=text)
    limits = [quality["baseline_floor"].min() * 0.9, quality["baseline_floor"].max() * 1.1]
    ax.plot(limits, limits, color=style.GREY, linewidth=0.8)
    ax.set(xlabel="floor (units)", ylabel="typical baseline (units)", title="Denominator of dF/F")
    ax.legend(loc="upper left", fontsize=7)
    return figure


def plot_excluded(excluded: pd.DataFrame) -> Figure:
    """What was left out, by reason: horizontal bars of counts on a log axis, one per kind."""
    table = excluded.groupby(["kind", "reason"], sort=False)["count"].sum().reset_index()
    figure, ax = plt.subplots(figsize=(7, 0.9 + 0.26 * max(len(table), 1)))
    if table.empty:
        style.say_empty(ax, "nothing was left out")
        return figure
    colors = {"frame": style.ORANGE, "neuron": style.VERMILLION, "covariate": style.SKY}
    ax.barh(range(len(table)), table["count"], color=table["kind"].map(colors).tolist())
    for row, count in enumerate(table["count"]):
        ax.text(count, row, f" {count:,}", va="center", fontsize=8)
    ax.set_yticks(range(len(table)), [f"{k}: {r}" for k, r in zip(table["kind"], table["reason"])])
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlim(0.8, table["count"].max() * 4)
    ax.set(xlabel="count (frames, neurons, or frames of a covariate)", title="What was left out")
    return figure


def plot_splits(
    times: np.ndarray, labels: np.ndarray, frame_mask: np.ndarray, activity: np.ndarray
) -> Figure:
    """The blocks of a recording over the mean activity of its neurons.

    ``times`` (time,) s, ``labels`` (time,) of :mod:`utils.splits`, ``frame_mask`` (time,) bool,
    ``activity`` (time, neuron) or its mean (time,).
    """
    figure, (strip, ax) = plt.subplots(
        2, 1, figsize=(9, 2.8), sharex=True, height_ratios=[1, 3], layout="constrained"
    )
    minutes = times / 60
    for code in (*_BLOCKS, UNUSED):
        color = style.SPLIT_COLORS[SPLIT_NAMES[code]]
        for start, stop in find_segments(times, np.asarray(labels) == code):
            strip.axvspan(minutes[start], minutes[stop - 1], color=color, linewidth=0)
    masked = minutes[~np.asarray(frame_mask)]
    strip.plot(masked, np.full(len(masked), 0.5), "|", color=style.BLACK, markersize=14)
    strip.set(yticks=[], ylim=(0, 1))
    strip.set_title("Blocks; black: frames without enough values")
    mean = activity if activity.ndim == 1 else _row_means(activity)
    ax.plot(*break_at_gaps(minutes, mean), color=style.GREY, linewidth=0.5)
    ax.set(xlabel="time (min)", ylabel="mean activity")
    found = [code for code in (*_BLOCKS, UNUSED) if (np.asarray(labels) == code).any()]
    handles = [
        Patch(
            color=style.SPLIT_COLORS[SPLIT_NAMES[code]],
            label=f"{SPLIT_NAMES[code]} ({int((labels == code).sum()):,} frames)",
        )
        for code in found
    ]
    figure.legend(handles=handles, loc="outside upper center", ncol=len(handles))
    return figure


def plot_scaling(raw: np.ndarray, scaled: np.ndarray, labels: np.ndarray) -> Figure:
    """Median and 99.5th percentile of each neuron, before and after scaling, per block.

    ``raw`` and ``scaled`` are ``(time, neuron)``. Scaled by the training block, that block lies
    exactly on its marks and the later ones scatter around them; they would not if they had been
    looked at.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    order = np.argsort(np.nanpercentile(raw[labels == TRAIN], 99.5, axis=0))
    for ax, values, title in zip(axes, (raw, scaled), ("Before scaling", "After scaling")):
        for code in (TRAIN, TEST):
            rows, name = values[labels == code], SPLIT_NAMES[code]
            median, high = np.nanpercentile(rows, [50, 99.5], axis=0)[:, order]
            color = style.SPLIT_COLORS[name]
            ax.plot(high, ".", color=color, label=f"{name}: 99.5 %")
            ax.plot(median, "_", color=color, markersize=4, label=f"{name}: median")
        ax.set(xlabel=f"neuron by amplitude ({style.count(neurons=raw.shape[1])})", title=title)
    axes[0].set_ylabel("activity")
    axes[0].legend(loc="upper left", ncol=2, fontsize=7)
    return figure


def plot_covariates(
    times: np.ndarray, values: np.ndarray, names: Sequence[str], stretch: tuple[float, float]
) -> Figure:
    """Covariates ``(time, covariate)`` over a stretch of time (start, stop) in s.

    Continuous ones as lines in units of their training spread, stimulus types as bars.
    """
    chosen = (times >= stretch[0]) & (times <= stretch[1])
    stimuli = [i for i, name in enumerate(names) if name.startswith("stimulus_")]
    lines = [i for i in range(len(names)) if i not in stimuli]
    figure, axes = plt.subplots(
        len(lines) + 1,
        1,
        figsize=(9, 1.6 + 0.62 * len(lines)),
        sharex=True,
        height_ratios=[1] * len(lines) + [2.6],
    )
    seconds = times[chosen]
    for ax, i in zip(axes, lines):
        ax.plot(seconds, values[chosen, i], color=style.BLACK, linewidth=0.8)
        ax.set_ylabel(names[i].replace("_", "\n", 1), rotation=0, ha="right", va="center")
        ax.set_yticks([])
    ax = axes[-1]
    labels = [names[i].removeprefix("stimulus_").replace("_", " ") for i in stimuli]
    ax.pcolormesh(
        seconds, np.arange(len(stimuli)), values[np.ix_(chosen, stimuli)].T, cmap="gray_r"
    )
    ax.set_yticks(range(len(stimuli)), labels, fontsize=7)
    ax.invert_yaxis()
    ax.set(xlabel="time (s)")
    axes[0].set_title("Covariates (continuous ones z-scored on the training block)")
    return figure


def plot_shared_frames(shares: Mapping[str, np.ndarray], window: int) -> Figure:
    """How many frames of each test window are also in some training window, per way to split.

    ``shares`` maps a label to ``(window,)`` shares between 0 and 1.
    """
    figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
    edges = np.linspace(0, 1, 33)
    for (name, values), color in zip(shares.items(), (style.VERMILLION, style.BLUE)):
        text = f"{name}: mean {values.mean():.0%} (n = {len(values):,})"
        ax.hist(values, edges, color=color, alpha=0.6, label=text)
    ax.set(
        xlabel=f"share of the {window} frames of a test window seen in training",
        ylabel="test windows",
        title="What a random split gives away",
    )
    ax.legend(loc="upper center")
    return figure


def _histogram(ax: Axes, values: pd.Series, label: str, title: str) -> None:
    known = values[np.isfinite(values)]
    ax.hist(known, bins=min(40, max(len(known) // 2, 5)), color=style.BLUE)
    median = float(known.median()) if len(known) else np.nan
    ax.axvline(median, color=style.VERMILLION, label=f"median {median:.3g}")
    ax.set(xlabel=label, ylabel="cells", title=f"{title} ({style.count(cells=len(known))})")
    ax.legend(loc="upper right")


def _row_means(activity: np.ndarray) -> np.ndarray:
    """Mean over the neurons that have a value, NaN where none has."""
    present = np.isfinite(activity)
    count = present.sum(axis=1)
    total = np.where(present, activity, 0).sum(axis=1)
    return np.where(count, total / np.maximum(count, 1), np.nan)
