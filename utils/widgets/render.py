"""The browser's picture: a pure function of a recording and a view.

Activity is reduced to pixels before anything is drawn, from the coarsest level of the time
pyramid that still has a row per pixel, so that the whole recording is drawn as fast as a minute.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from utils.plots import style
from utils.plots.blocks import MAX_COLUMNS, MAX_ROWS, block_means
from utils.plots.time_axis import clock_text, gap_frames, label_frames_with_time
from utils.widgets.recording import Recording

SIZE = (10, 6.4)  # of the picture, in units of 100 pixels
LEVEL_FACTOR = 4
_EVENT_ROWS = ("stimulus", "reward", "error")
_BOX = (0.112, 0.075, 0.808, 0.87)  # left, bottom, width, height of the axes in the figure
_GAP = 0.018  # between lanes

Lane = tuple[float, float]  # bottom and top, 0 to 1


@dataclass(frozen=True)
class View:
    """What is shown. Frames and rows count from 0; ``stop`` and ``last`` are one past the end."""

    start: int = 0
    stop: int = 1500
    first: int = 0
    last: int = 1_000_000
    order: str = "original"
    cell: int = 0  # column of the activity matrix
    contrast: float = 2.0  # z-score that is drawn black

    def fitted(self, recording: Recording) -> View:
        """The nearest view that lies inside the recording, at least 2 frames and 1 row."""
        width = min(max(self.stop - self.start, 2), recording.n_frames)
        start = min(max(self.start, 0), recording.n_frames - width)
        height = min(max(self.last - self.first, 1), recording.n_neurons)
        first = min(max(self.first, 0), recording.n_neurons - height)
        return replace(
            self,
            start=start,
            stop=start + width,
            first=first,
            last=first + height,
            cell=min(max(self.cell, 0), recording.n_neurons - 1),
            contrast=max(float(self.contrast), 0.1),
        )


def render(recording: Recording, view: View) -> bytes:
    """The picture as PNG bytes."""
    canvas = FigureCanvasAgg(draw(recording, view))
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def picture(recording: Recording, view: View) -> np.ndarray:
    """z-scored activity in view as an image ``(row, column)`` of block means, NaN = missing."""
    activity = _frames(recording, view.start, view.stop)[0]
    offset, scale = recording.moments
    rows = recording.order(view.order)[view.first : view.last]
    return block_means(activity, rows, offset=offset, scale=scale)


def draw(recording: Recording, view: View, figure: Figure | None = None) -> Figure:
    """The same picture as a matplotlib figure: in ``figure``, or in a new one.

    All parts are lanes of one axes, whose y runs from 0 to 1, and its labels are texts: making
    axes and ticks takes matplotlib longer than drawing what is in them.
    """
    view = view.fitted(recording)
    figure = Figure(figsize=SIZE, dpi=100) if figure is None else figure
    ax = figure.add_axes(_BOX)
    lanes = _lanes(["events", "raster", *recording.behaviour, "cell"])
    ticks: dict[float, str] = {}  # y -> label
    ticks |= _draw_events(ax, lanes["events"], recording, view)
    ticks |= _draw_raster(ax, lanes["raster"], recording, view)
    for label, values in recording.behaviour.items():
        ticks |= _draw_signal(ax, lanes[label], label, values, view)
    ticks |= _draw_cell(ax, lanes["cell"], recording, view)
    for gap in gap_frames(recording.times):
        if view.start < gap < view.stop:
            ax.axvline(gap, color=style.SKY, lw=1, ls="--")
    ax.set(ylim=(0, 1), yticks=[], autoscale_on=False)
    for y, text in ticks.items():
        ax.text(-0.005, y, text, transform=ax.transAxes, ha="right", va="center", fontsize=7)
    ax.tick_params(labelsize=7, length=2)
    ax.spines[:].set_visible(False)
    label_frames_with_time(ax, recording.times, view.start, view.stop)
    ax.set_title(_title(recording, view), fontsize=9, loc="left", pad=3)
    return figure


def _title(recording: Recording, view: View) -> str:
    first, last = recording.times[view.start], recording.times[view.stop - 1]
    shown = style.count(cells=view.last - view.first, frames=view.stop - view.start)
    origin = " · simulated data" if recording.simulated else ""
    return (
        f"{recording.name} · {clock_text(round(first))} to {clock_text(round(last))} · {shown} · "
        f"order: {view.order}{origin}"
    )


def _lanes(names: list[str]) -> dict[str, Lane]:
    """Bottom and top of each lane, from top to bottom of the axes."""
    weights = {"events": 1.0, "raster": 9.0, "cell": 1.8}
    heights = np.array([weights.get(name, 0.8) for name in names])
    unit = (1 - _GAP * (len(names) - 1)) / heights.sum()
    tops = 1 - np.concatenate([[0], np.cumsum(heights * unit + _GAP)[:-1]])
    return {name: (top - h * unit, top) for name, top, h in zip(names, tops, heights)}


def _draw_events(ax: Axes, lane: Lane, recording: Recording, view: View) -> dict[float, str]:
    names = [name for name in _EVENT_ROWS if name in recording.events]
    if not names:
        _say(ax, lane, "no trials")
    edges = np.linspace(lane[1], lane[0], len(names) + 1)
    for name, top, bottom in zip(names, edges, edges[1:]):
        frames = event_frames(recording, name)
        frames = frames[(frames >= view.start) & (frames < view.stop)]
        ax.vlines(frames, bottom, top, color=style.BEHAVIOUR_COLORS[name], lw=1)
    return {(top + bottom) / 2: name for name, top, bottom in zip(names, edges, edges[1:])}


def _draw_raster(ax: Axes, lane: Lane, recording: Recording, view: View) -> dict[float, str]:
    bottom, top = lane
    cmap = colormaps[style.ACTIVITY_CMAP].with_extremes(bad=style.MISSING_COLOR)
    extent = (view.start, view.stop, bottom, top)
    limits = {"cmap": cmap, "vmin": 0, "vmax": view.contrast, "aspect": "auto"}
    ax.imshow(picture(recording, view), extent=extent, interpolation="nearest", **limits)
    order = recording.order(view.order)[view.first : view.last]
    height = (top - bottom) / len(order)
    for row in np.flatnonzero(order == view.cell):
        marker = {"color": style.VERMILLION, "ms": 6, "clip_on": False}
        ax.plot(_right_of(view, 0.016), top - (row + 0.5) * height, "<", **marker)
    _draw_scale(ax, (bottom, bottom + 0.4 * (top - bottom)), view, limits)
    if "region" in recording.neurons:
        _draw_areas(ax, lane, recording.neurons["region"].to_numpy()[order], view)
    label = f"row (of {recording.n_neurons:,})"
    _label(ax, lane, label, rotation=90, x=-0.06)
    rows = np.unique(np.linspace(view.first, view.last - 1, 6).round().astype(int))
    return {top - (row - view.first + 0.5) * height: f"{row}" for row in rows}


def _draw_scale(ax: Axes, lane: Lane, view: View, limits: dict) -> None:
    """The colour bar of the raster, right of it."""
    bottom, top = lane
    extent = (_right_of(view, 0.03), _right_of(view, 0.04), bottom, top)
    gradient = np.linspace(0, view.contrast, 64)[::-1, None]
    ax.imshow(gradient, extent=extent, clip_on=False, **limits)
    for y, text in [(bottom, "0"), (top, f"≥ {view.contrast:g}"), (top + 0.03, "z-score")]:
        ax.text(_right_of(view, 0.045), y, text, fontsize=7, va="center")


def _draw_areas(ax: Axes, lane: Lane, areas: np.ndarray, view: View) -> None:
    """A strip with the area of each row, right of the raster, and the names of the areas."""
    n_rows = min(len(areas), MAX_ROWS)
    shown = areas[np.arange(n_rows) * len(areas) // n_rows]
    colors = {area: to_rgb(style.area_color(area)) for area in set(shown)}
    extent = (_right_of(view, 0.002), _right_of(view, 0.008), *lane)
    strip = np.array([colors[area] for area in shown])[:, None]
    ax.imshow(strip, extent=extent, aspect="auto", clip_on=False)
    named = style.area_order(colors)[:12]
    heights = lane[1] - 0.026 * (np.arange(len(named)) + 0.6)
    places = np.full(len(named), _right_of(view, 0.03))
    shades = [colors[area] for area in named]
    ax.scatter(places, heights, 18, shades, marker="s", clip_on=False)
    for area, y in zip(named, heights):
        ax.text(_right_of(view, 0.042), y, area, fontsize=7, va="center")


def _draw_signal(
    ax: Axes, lane: Lane, label: str, values: np.ndarray, view: View
) -> dict[float, str]:
    shown = np.asarray(values[view.start : view.stop], float)[:, None]
    line = block_means(shown, max_columns=MAX_COLUMNS)[0]
    _label(ax, lane, label.replace(" (", "\n("))
    low, high = _trace(ax, lane, line, view, "k")
    return {lane[1]: f"{high:.3g}"} if high > low else {}


def _draw_cell(ax: Axes, lane: Lane, recording: Recording, view: View) -> dict[float, str]:
    activity, step = _frames(recording, view.start, view.stop)
    area = (
        f", {recording.neurons['region'].iloc[view.cell]}" if "region" in recording.neurons else ""
    )
    mean = "" if step == 1 else f"\nmean of {step}"
    _label(ax, lane, f"cell {view.cell}{area}\n{recording.unit.split(' by')[0]}{mean}")
    trace = np.asarray(activity[:, view.cell], float)
    low, high = _trace(ax, lane, trace, view, style.VERMILLION)
    return {lane[0]: f"{low:.3g}", lane[1]: f"{high:.3g}"} if high > low else {}


def _trace(ax: Axes, lane: Lane, values: np.ndarray, view: View, color: str) -> tuple[float, float]:
    """Draw values over the view, from their minimum to their maximum; returns both."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        _say(ax, lane, "no value in view")
        return 0.0, 0.0
    low, high = float(finite.min()), float(finite.max())
    x = view.start + (np.arange(len(values)) + 0.5) * (view.stop - view.start) / len(values)
    y = lane[0] + (values - low) / ((high - low) or 1) * (lane[1] - lane[0])
    ax.plot(x, y, lw=0.7, color=color)
    return low, high


def _label(ax: Axes, lane: Lane, text: str, rotation: int = 0, x: float = -0.047) -> None:
    ax.text(
        x,
        (lane[0] + lane[1]) / 2,
        text,
        transform=ax.transAxes,
        rotation=rotation,
        ha="center" if rotation else "right",
        va="center",
        fontsize=7,
    )


def _say(ax: Axes, lane: Lane, text: str) -> None:
    """What stands in a lane that has nothing to show."""
    at = (0.5, (lane[0] + lane[1]) / 2)
    ax.text(
        *at, text, transform=ax.transAxes, ha="center", va="center", fontsize=7, color=style.GREY
    )


def _right_of(view: View, share: float) -> float:
    """An x to the right of the view, by a share of its width."""
    return view.stop + share * (view.stop - view.start)


def event_frames(recording: Recording, name: str) -> np.ndarray:
    """Frame in which each event falls; -1 for one outside the recording or in a gap."""
    times = recording.times
    events = np.asarray(recording.events[name], float)
    frames = np.searchsorted(times, events, side="right") - 1
    interval = np.median(np.diff(times)) if len(times) > 1 else np.inf
    late = events - times[np.clip(frames, 0, None)] > 1.5 * interval
    return np.where((frames < 0) | late | ~np.isfinite(events), -1, frames)


def _frames(recording: Recording, start: int, stop: int) -> tuple[np.ndarray, int]:
    """Rows of the coarsest level with a row per pixel, and how many frames a row stands for."""
    level = 0
    while (
        level + 1 < len(recording.levels)
        and (stop - start) // LEVEL_FACTOR ** (level + 1) >= MAX_COLUMNS
    ):
        level += 1
    step = LEVEL_FACTOR**level
    return recording.levels[level][start // step : -(-stop // step)], step
