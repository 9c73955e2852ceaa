"""Figures of responses of V1 cells and of their twins: rates, tuning, saccades, quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import style

DATA, MODEL, ABLATED, TRUTH = style.BLACK, style.VERMILLION, style.SKY, style.GREEN
QUALITY = {  # column -> axis label; columns without a value are left out
    "rate_hz": "rate (Hz)",
    "missing": "missing bins (share)",
    "contamination": "contamination (share)",
    "reliability": "reliability over repeats (r)",
    "bits_per_spike": "twin (bits/spike)",
}


def plot_rates(
    seconds: np.ndarray,
    counts: np.ndarray,
    rates: Mapping[str, np.ndarray],
    rate_hz: float,
    cells: Sequence[str],
) -> Figure:
    """Spikes of cells as ticks, and rates of models over time, one row per cell.

    Parameters
    ----------
    seconds : (time,).
    counts : (time, cell) spikes per bin.
    rates : name -> (time, cell) spikes per bin; ``"truth"`` is drawn first and thick.
    rate_hz : bins per second.
    cells : their names.
    """
    figure, axes = plt.subplots(
        len(cells), figsize=(9.5, 0.8 + 1.2 * len(cells)), sharex=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    since = seconds - seconds[0]
    colors = dict(zip((name for name in rates if name != "truth"), _MODEL_COLORS))
    for row, ax in enumerate(axes[:, 0]):
        for name, values in sorted(rates.items(), key=lambda item: item[0] != "truth"):
            look = (
                {"color": style.LIGHT_GREY, "lw": 2.5}
                if name == "truth"
                else {"color": colors[name]}
            )
            ax.plot(since, values[:, row] * rate_hz, label=name, **look)
        limit = 1.02 * max(float(np.nanmax(v[:, row], initial=0)) for v in rates.values()) * rate_hz
        limit = max(limit, 1.0)
        heights = np.minimum(np.nan_to_num(counts[:, row]), 3) / 3
        ax.vlines(since, -0.03 * limit - 0.22 * limit * heights, -0.03 * limit, color=DATA, lw=0.6)
        ax.set(ylim=(-0.28 * limit, limit))
        ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= limit])
        ax.set_ylabel(cells[row], rotation=0, ha="right", va="center")
        style.annotate_n(ax, spikes=int(np.nansum(counts[:, row])))
    axes[0, 0].legend(ncols=len(rates), loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)
    axes[-1, 0].set_xlabel("time (s); ticks: spikes of a bin, longest: 3 or more")
    figure.supylabel("rate (Hz)", fontsize=9)
    return figure


def plot_tuning(
    means: Mapping[str, np.ndarray],
    sfs: np.ndarray,
    orientations: np.ndarray,
    rate_hz: float,
    cells: Sequence[str],
    preferred: Mapping[str, np.ndarray],
) -> Figure:
    """Mean rates over spatial frequency and orientation of gratings: a row per source.

    Parameters
    ----------
    means : source (data, twin) -> (sf, orientation, cell) spikes per bin.
    sfs, orientations : (sf,) c/deg and (orientation,) deg of the gratings.
    rate_hz : bins per second.
    cells : their names.
    preferred : name -> (cell, 2) preferred sf (c/deg) and orientation (deg), drawn into all maps.
    """
    figure, axes = plt.subplots(
        len(means), len(cells), figsize=(1.6 + 1.7 * len(cells), 0.9 + 1.5 * len(means)),
        sharex=True, sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    octaves = np.log2(sfs)
    x, y = _edges(orientations), _edges(octaves)
    for row, (source, values) in enumerate(means.items()):
        for column, ax in enumerate(axes[row]):
            image = ax.pcolormesh(
                x, y, values[..., column] * rate_hz, cmap=style.ACTIVITY_CMAP, vmin=0
            )
            bar = style.add_colorbar(image, ax, "")
            bar.ax.tick_params(labelsize=6)
            for (name, peaks), color, marker in zip(preferred.items(), _MODEL_COLORS, "+xo"):
                sf, ori = peaks[column]
                look = {"mfc": "none"} if marker == "o" else {}
                ax.plot(ori, np.log2(sf), marker, color=color, ms=8, mew=1.5, label=name, **look)
            ax.set(xlim=x[[0, -1]], ylim=y[[0, -1]])
            if row == 0:
                ax.set_title(cells[column], fontsize=8)
        axes[row, 0].set_ylabel(f"{source}\nfrequency (c/deg)")
    axes[0, 0].set_xticks([0, 45, 90, 135])
    ticks = octaves[:: max(1, len(octaves) // 4)]
    axes[0, 0].set_yticks(ticks, [f"{2**octave:.1f}" for octave in ticks])
    shown = style.count(gratings=len(sfs) * len(orientations), cells=len(cells))
    figure.suptitle(f"Mean rate (Hz, colour bars), {shown}", fontsize=9.5, x=0.01, ha="left")
    figure.supxlabel("orientation of the wave vector (deg)", fontsize=9)
    if preferred:
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def plot_saccades(
    lags_s: np.ndarray,
    data: np.ndarray,
    model: np.ndarray,
    ablated: np.ndarray,
    kernel: np.ndarray,
    rate_hz: float,
    cells: Sequence[str],
    n_saccades: int,
    true_kernel: np.ndarray | None = None,
) -> Figure:
    """Rates around saccades above, the relative change that a saccade makes below.

    Parameters
    ----------
    lags_s : (lag,) after the onset.
    data, model, ablated : (lag, cell) averages in spikes per bin: counts, twin, and the twin
        without behaviour.
    kernel : (lag, cell) relative change of the twin's rate by behaviour.
    rate_hz : bins per second.
    cells : their names.
    true_kernel : (lag, cell), where it is known.
    """
    figure, axes = plt.subplots(
        2, len(cells), figsize=(1.8 + 1.9 * len(cells), 4), sharex=True, sharey="row",
        squeeze=False, layout="constrained",
    )  # fmt: skip
    lags = 1000 * lags_s
    for column, (above, below) in enumerate(axes.T):
        above.plot(lags, data[:, column] * rate_hz, color=style.GREY, lw=1, label="data")
        above.plot(lags, model[:, column] * rate_hz, color=MODEL, label="twin")
        above.plot(lags, ablated[:, column] * rate_hz, color=ABLATED, label="without behaviour")
        if true_kernel is not None:
            below.plot(lags, 100 * true_kernel[:, column], color=TRUTH, lw=2, label="truth")
        below.plot(lags, 100 * kernel[:, column], color=MODEL, label="twin: with / without")
        above.set_title(cells[column], fontsize=8)
        for ax in (above, below):
            ax.axvline(0, color=style.LIGHT_GREY, lw=0.8, zorder=0)
        below.axhline(0, color=style.LIGHT_GREY, lw=0.8, zorder=0)
    above, below = axes[:, 0]
    above.set(ylabel="rate (Hz)", ylim=(0, None))
    below.set(ylabel="change of the rate (%)")
    figure.supxlabel(
        f"time after the onset of a saccade (ms), {style.count(saccades=n_saccades)}", fontsize=9
    )
    for ax in axes[:, -1]:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def plot_quality(table: pd.DataFrame) -> Figure:
    """What speaks for and against each cell: one panel per measure, flagged cells in red.

    Parameters
    ----------
    table : one row per cell, with any of :data:`QUALITY`, and ``flags``: words, empty for a good
        cell.
    """
    columns = [name for name in QUALITY if name in table and table[name].notna().any()]
    flagged = (table["flags"] != "").to_numpy()
    order = np.argsort(-table["rate_hz"].to_numpy(), kind="stable")
    rows, bad = np.arange(len(table)), flagged[order]
    figure, axes = plt.subplots(
        1, len(columns) + 1, figsize=(3.2 + 1.7 * len(columns), 1.2 + 0.14 * len(table)),
        sharey=True, layout="constrained",
    )  # fmt: skip
    for ax, name in zip(axes, columns):
        values = table[name].to_numpy(float)[order]
        ax.plot(values[~bad], rows[~bad], "o", ms=3.5, mew=0, color=style.BLUE)
        ax.plot(values[bad], rows[bad], "o", ms=3.5, mew=0, color=style.VERMILLION)
        for row in rows[np.isnan(values)]:
            ax.plot(0, row, "x", ms=3, color=style.GREY, clip_on=False,
                    transform=ax.get_yaxis_transform())  # fmt: skip
        ax.set_xlabel(QUALITY[name])
        ax.grid(axis="y", color=style.LIGHT_GREY, lw=0.2)
        ax.margins(x=0.08)
    for row in rows[bad]:
        flags = table["flags"].iloc[order[row]]
        axes[-1].text(0, row, flags, fontsize=6, va="center", color=style.VERMILLION)
    axes[-1].set_axis_off()
    axes[0].set_yticks(rows, [_cell_name(name) for name in table.index[order]], fontsize=6)
    axes[0].set(ylim=(len(table) - 0.5, -0.5), ylabel="cell, by rate")
    figure.suptitle(
        f"Quality, {style.count(cells=len(table))}, {int(bad.sum())} flagged; cross: unknown",
        fontsize=9.5, x=0.01, ha="left",
    )  # fmt: skip
    return figure


_MODEL_COLORS = (style.VERMILLION, style.SKY, style.GREEN, style.ORANGE, style.PURPLE)


def _cell_name(index: object) -> str:
    """Data set and cell, or just the cell."""
    return " ".join(map(str, index)) if isinstance(index, tuple) else str(index)


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders half way between neighbouring centres; 1 wide around a single one."""
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.r_[2 * centres[0] - middles[0], middles, 2 * centres[-1] - middles[-1]]
