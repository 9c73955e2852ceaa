"""Figures of an ELM neuron: what goes in and comes out, its states, its weights, its learning.

Times are in ms where the neuron's ``delta_t`` is; for other neurons ``unit`` names what it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from utils.plots import style
from utils.plots.blocks import block_means

EXCITATORY, INHIBITORY = style.VERMILLION, style.BLUE
TRUE, PREDICTED = style.BLACK, style.GREEN
QUANTILES = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}
DENSE = 0.3  # share of inputs that are not zero, above which they are an image, not a raster
MOST_OUTPUTS = 4  # that are drawn as lines


def plot_prediction(
    times: np.ndarray,
    inputs: np.ndarray,
    probability: np.ndarray,
    spikes: np.ndarray,
    voltage: np.ndarray,
    true_voltage: np.ndarray,
) -> Figure:
    """Input, predicted and true spikes, predicted and true somatic voltage of one window.

    Parameters
    ----------
    times : (time,) ms.
    inputs : (time, input), excitatory spikes above and inhibitory ones below 0.
    probability, spikes : (time,) predicted probability of a spike in each ms, and 1 at true ones.
    voltage, true_voltage : (time,) mV.
    """
    figure, (top, middle, bottom) = _stacked(3, (2.2, 1, 1.3), height=4.6)
    _draw_inputs(top, times, inputs)
    middle.plot(times, probability, color=PREDICTED, lw=1)
    limit = max(1.25 * float(probability.max()), 0.1)
    at = times[spikes > 0]
    label = f"true spikes (n = {len(at):,})"
    middle.plot(at, np.full(len(at), 0.93 * limit), "v", color=TRUE, ms=4, mew=0, label=label)
    middle.set(ylabel="spike\nprobability", ylim=(-0.03 * limit, limit))
    bottom.plot(times, true_voltage, color=TRUE, lw=1, label="true")
    bottom.plot(times, voltage, color=PREDICTED, lw=1, label="predicted")
    bottom.set(ylabel="soma (mV)", xlabel="time (ms)")
    for ax, columns in ((middle, 1), (bottom, 2)):
        ax.legend(ncols=columns, loc="lower right", bbox_to_anchor=(1.01, 0.96), borderpad=0)
    rmse = np.sqrt(np.mean((voltage - true_voltage) ** 2))
    _title(figure, f"{_count_window(inputs)}; RMSE of the voltage {rmse:.2f} mV")
    return figure


def plot_outputs(
    times: np.ndarray,
    inputs: np.ndarray,
    outputs: np.ndarray,
    targets: np.ndarray,
    unit: str = "ms",
) -> Figure:
    """Input, and outputs beside their targets over time, a row each; the first four outputs.

    Parameters
    ----------
    times : (time,) in ``unit``.
    inputs : (time, input).
    outputs, targets : (time, output).
    """
    shown = min(outputs.shape[1], MOST_OUTPUTS)
    figure, axes = _stacked(1 + shown, (2, *[1] * shown), height=2 + 0.9 * shown)
    _draw_inputs(axes[0], times, inputs)
    for k, ax in enumerate(axes[1:]):
        ax.plot(times, targets[:, k], color=TRUE, lw=1, label="true")
        ax.plot(times, outputs[:, k], color=PREDICTED, lw=1, label="predicted")
        ax.set_ylabel(f"output {k}")
    axes[1].legend(ncols=2, loc="lower right", bbox_to_anchor=(1.01, 0.94), borderpad=0)
    axes[-1].set_xlabel(f"time ({unit})")
    _title(figure, f"{_count_window(inputs)}; {shown} of {outputs.shape[1]} outputs")
    return figure


def plot_class_probabilities(
    times: np.ndarray,
    inputs: np.ndarray,
    probabilities: np.ndarray,
    labels: np.ndarray,
    unit: str = "ms",
) -> Figure:
    """Input, and the probability of every class over time with the true one marked.

    Parameters
    ----------
    times : (time,) in ``unit``.
    inputs : (time, input).
    probabilities : (time, class).
    labels : (time,) true class of each step, or () that of the whole sequence.
    """
    figure, (top, bottom) = _stacked(2, (1, 1), height=4)
    _draw_inputs(top, times, inputs)
    image = _image(bottom, times, probabilities, style.ACTIVITY_CMAP, (0, 1))
    style.add_colorbar(image, bottom, "probability")
    labels = np.broadcast_to(labels, len(times))
    bottom.plot(times, labels, ".", color=style.VERMILLION, ms=2, label="true class")
    bottom.set(xlabel=f"time ({unit})", ylabel="class")
    bottom.legend(loc="lower right", bbox_to_anchor=(1.01, 0.96), borderpad=0, markerscale=4)
    _title(figure, f"{_count_window(inputs)}, {probabilities.shape[1]} classes")
    return figure


def plot_states(
    times: np.ndarray,
    branch: np.ndarray,
    memory: np.ndarray,
    tau_m: np.ndarray,
    unit: str = "ms",
) -> Figure:
    """What branches and memory hold over one window.

    Parameters
    ----------
    times : (time,) in ``unit``.
    branch : (time, branch).
    memory : (time, memory); units are shown by time constant, shortest on top, each relative to
        its own largest size, since those that forget slowly also stay small.
    tau_m : (memory,) in ``unit``.
    """
    figure, (top, bottom) = _stacked(2, (1, 1), height=4.6)
    limit = float(np.quantile(np.abs(branch), 0.998)) or 1.0
    image = _image(top, times, branch, style.SIGNED_CMAP, (-limit, limit))
    style.add_colorbar(image, top, "branch state")
    top.set(ylabel="branch", title=_count_branches(branch.shape[1]))
    order = np.argsort(tau_m, kind="stable")
    largest = np.abs(memory).max(axis=0)
    relative = (memory / np.where(largest > 0, largest, 1))[:, order]
    image = _image(bottom, times, relative, style.SIGNED_CMAP, (-1, 1))
    style.add_colorbar(image, bottom, "memory state / largest")
    rows = np.unique(np.linspace(0, len(order) - 1, 7).round().astype(int))
    bottom.set_yticks(rows, [_three_digits(tau) for tau in tau_m[order][rows]])
    bottom.set(ylabel=f"time constant ({unit})", xlabel=f"time ({unit})")
    bottom.set_title(style.count(memory_units=len(order)))
    return figure


def plot_parameters(tau_m: np.ndarray, w_s: np.ndarray, unit: str = "ms") -> Figure:
    """Time constants of the memory, synaptic weights, and synapses that died.

    Parameters
    ----------
    tau_m : (memory,) in ``unit``.
    w_s : (branch, synapse) weights from 0 upwards, NaN where a synapse is not connected. One of
        exactly 0 is dead: the rectifier passes no gradient, so it stays 0.
    """
    figure, axes = plt.subplots(2, 2, figsize=(9, 4.8), layout="constrained")
    (taus, weights), (branches, dead) = axes
    taus.plot(np.arange(1, len(tau_m) + 1), np.sort(tau_m), "o", ms=3, color=PREDICTED, mew=0)
    taus.set(xlabel="memory unit, by rank", ylabel=f"time constant ({unit})")
    taus.set_title(f"Memory, {style.count(units=len(tau_m))}")
    _log_where_wide(taus)
    connected = w_s[np.isfinite(w_s)]
    living = connected[connected > 0]
    weights.hist(living, bins=40, color=EXCITATORY)
    weights.set(xlabel="weight of a living synapse", ylabel="synapses", xlim=(0, None))
    weights.set_title(f"Synapses, n = {len(living):,} living of {len(connected):,}")
    _draw_weights_by_branch(branches, w_s)
    counts = np.isfinite(w_s).sum(axis=1)
    share = (w_s == 0).sum(axis=1) / np.maximum(counts, 1)
    dead.bar(np.arange(len(w_s)), 100 * share, width=1, color=style.GREY)
    dead.set(xlabel="branch", ylabel="dead synapses (%)", ylim=(0, max(105 * share.max(), 5)))
    dead.set_title(f"Dead synapses, n = {(connected == 0).sum():,} of {len(connected):,}")
    for ax in (taus, branches, dead):
        _count_in_ones(ax.xaxis)
    return figure


def plot_memory_dynamics(table: pd.DataFrame, unit: str = "ms") -> Figure:
    """How time constants, memory and synapses change over a training.

    Parameters
    ----------
    table : one row per epoch; ``epoch``, quantiles (:data:`QUANTILES`) over the memory units of
        ``tau_m``, ``activity`` (mean size of the state) and ``saturation`` (share of updates whose
        tanh is near its bound) as ``tau_m_median`` etc., ``dead_synapses`` (share), ``n_memory``,
        ``n_synapses`` and ``n_updates`` (frames that a unit was watched in).
    """
    figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
    taus, activity, saturation, dead = axes
    epochs = table["epoch"] + 1
    _draw_quantiles(taus, epochs, table, "tau_m", PREDICTED)
    _draw_quantiles(activity, epochs, table, "activity", style.PURPLE)
    _draw_quantiles(saturation, epochs, 100 * table, "saturation", style.ORANGE)
    dead.plot(epochs, 100 * table["dead_synapses"], "o-", ms=3, color=style.GREY)
    units, updates, synapses = table[["n_memory", "n_updates", "n_synapses"]].iloc[-1].astype(int)
    taus.set(ylabel=f"time constant ({unit})", title=style.count(memory_units=units))
    activity.set(ylabel="mean size of the state", title=style.count(memory_units=units))
    saturation.set(ylabel="saturated updates (%)", title=style.count(updates_of_each_unit=updates))
    dead.set(ylabel="dead synapses (%)", title=style.count(synapses=synapses))
    _log_where_wide(taus)
    for ax in axes:
        ax.set_xlabel("epoch")
        _count_in_ones(ax.xaxis)
    for ax, least in ((activity, 1e-3), (saturation, 1), (dead, 1)):
        top = max(1.05 * ax.dataLim.ymax, least)
        ax.set_ylim(-0.03 * top, top)
    handles, labels = taus.get_legend_handles_labels()
    figure.legend(handles, [f"{x} of the units" for x in labels], loc="outside upper left", ncols=3)
    return figure


def plot_receptive_profile(weights: pd.DataFrame, synapses: Mapping[str, int]) -> Figure:
    """Where cells get their input from: weight by area.

    Parameters
    ----------
    weights : index = cell, columns = area of the input (or another name of a branch), summed or
        mean weight. A single cell is shown as bars, several as the share of each cell's total.
    synapses : area -> number of synapses of a cell from there.
    """
    areas = [*style.area_order(weights.columns)]
    labels = [f"{area}\nn = {synapses[area]:,}" for area in areas]
    values = weights[areas].to_numpy(float)
    n_cells, n_areas = values.shape
    height = 3 if n_cells == 1 else 1.6 + min(0.2 * n_cells, 5)
    figure, ax = plt.subplots(figsize=(2 + 0.62 * n_areas, height), layout="constrained")
    if n_cells == 1:
        ax.bar(range(n_areas), values[0], color=[style.area_color(area) for area in areas])
        ax.set(ylabel="synaptic weight", title=f"Inputs of cell {weights.index[0]}")
    else:
        total = values.sum(axis=1, keepdims=True)
        share = 100 * values / np.where(total > 0, total, np.nan)
        cmap = plt.get_cmap(style.ACTIVITY_CMAP).with_extremes(bad=style.MISSING_COLOR)
        image = ax.imshow(share, aspect="auto", cmap=cmap, vmin=0)
        style.add_colorbar(image, ax, "share of the cell's weight (%)")
        ax.set(ylabel="cell", title=f"Inputs by area, {style.count(cells=n_cells)}")
        if n_cells <= 25:
            ax.set_yticks(range(n_cells), weights.index)
    ax.set_xticks(range(n_areas), labels)
    ax.set_xlabel("area of the input (n: synapses of a cell)")
    return figure


def _stacked(n: int, ratios: tuple[float, ...], height: float) -> tuple[Figure, list[Axes]]:
    """Axes below one another that share time."""
    figure, axes = plt.subplots(
        n, figsize=(9.5, height), height_ratios=ratios, sharex=True, layout="constrained"
    )
    return figure, list(axes)


def _title(figure: Figure, text: str) -> None:
    figure.suptitle(text, fontsize=8, x=0.01, ha="left")


def _count_branches(n: int) -> str:
    return f"n = {n:,} branch{'es' if n > 1 else ''}"


def _three_digits(value: float) -> str:
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")


def _count_in_ones(axis: Axis) -> None:
    axis.get_major_locator().set_params(integer=True)
    low, high = sorted(axis.get_view_interval())
    whole = np.arange(np.ceil(low), np.floor(high) + 1, dtype=int)
    if len(whole) <= 3:  # so few that the locator would go on to fractions
        axis.set_ticks(whole)


def _log_where_wide(ax: Axes) -> None:
    """A logarithmic axis has no ticks to read a narrow range from."""
    if ax.dataLim.ymax > 4 * ax.dataLim.ymin:
        ax.set_yscale("log")
        style.plain_log_ticks(ax.yaxis)


def _count_window(inputs: np.ndarray) -> str:
    return style.count(frames=len(inputs), inputs=inputs.shape[1])


def _draw_inputs(ax: Axes, times: np.ndarray, inputs: np.ndarray) -> None:
    """Spikes as dots; inputs that are hardly ever 0 as an image."""
    frame, index = np.nonzero(inputs)
    if len(frame) > DENSE * inputs.size:
        limit = float(np.quantile(np.abs(inputs), 0.998)) or 1.0
        image = _image(ax, times, inputs, style.SIGNED_CMAP, (-limit, limit))
        style.add_colorbar(image, ax, "input")
    else:
        positive = inputs[frame, index] > 0
        kinds = [("excitatory ", positive, EXCITATORY), ("inhibitory ", ~positive, INHIBITORY)]
        if positive.all():
            kinds = [("", positive, style.BLACK)]
        size = float(np.clip(100 / np.sqrt(1 + len(frame)), 1.6, 4))  # points
        for kind, chosen, color in kinds:
            label = f"{kind}spikes (n = {chosen.sum():,})"
            at = times[frame[chosen]], index[chosen]
            ax.plot(*at, "o", ms=size, color=color, mew=0, label=label, rasterized=True)
        ax.set_ylim(inputs.shape[1] - 0.5, -0.5)
        ax.legend(
            ncols=2, loc="lower right", bbox_to_anchor=(1.01, 0.98), borderpad=0,
            markerscale=4 / size,
        )  # fmt: skip
    half = _half_frame(times)
    ax.set_xlim(times[0] - half, times[-1] + half)
    ax.set_ylabel("input")


def _image(
    ax: Axes, times: np.ndarray, values: np.ndarray, cmap: str, limits: tuple[float, float]
) -> AxesImage:
    """(time, row) as an image whose axes count ``times`` and rows."""
    half = _half_frame(times)
    image = ax.imshow(
        block_means(np.asarray(values, np.float32)),
        aspect="auto",
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
        extent=(times[0] - half, times[-1] + half, values.shape[1] - 0.5, -0.5),
    )
    _count_in_ones(ax.yaxis)
    return image


def _half_frame(times: np.ndarray) -> float:
    return float(times[1] - times[0]) / 2 if len(times) > 1 else 0.5


def _draw_weights_by_branch(ax: Axes, w_s: np.ndarray) -> None:
    """Median and quartiles of each branch; a branch without a synapse stays empty."""
    shown = np.flatnonzero(np.isfinite(w_s).any(axis=1))
    low, middle, high = np.nanquantile(w_s[shown], [0.25, 0.5, 0.75], axis=1)
    ax.vlines(shown, low, high, color=EXCITATORY, lw=2, alpha=0.4)
    ax.plot(shown, middle, "o", ms=3 if len(w_s) < 200 else 1.5, color=EXCITATORY, mew=0)
    ax.set(xlabel="branch", ylabel="weight", ylim=(0, None))
    ax.set_title(f"Median and quartiles by branch, {_count_branches(len(shown))}")


def _draw_quantiles(
    ax: Axes, epochs: pd.Series, table: pd.DataFrame, column: str, color: str
) -> None:
    """Median and bands over the memory units."""
    for low, high, alpha, label in (
        ("min", "max", 0.15, "all"),
        ("q25", "q75", 0.35, "middle half"),
    ):
        span = table[f"{column}_{low}"], table[f"{column}_{high}"]
        ax.fill_between(epochs, *span, color=color, alpha=alpha, lw=0, label=label)
    ax.plot(epochs, table[f"{column}_median"], "o-", ms=3, color=color, label="median")
