"""Figures of what a V1 twin sees: frames along the gaze, receptive fields, most exciting movies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from utils.plots import style

MOST_STRIP = 12  # images in a row


def plot_frames(
    frames: np.ndarray,
    seconds: np.ndarray,
    eyepos: np.ndarray,
    px_per_deg: float,
    title: str,
    n_shown: int = 8,
) -> Figure:
    """Some frames of a stretch of a recording above the direction of gaze.

    Parameters
    ----------
    frames : (time, H, W) grey levels 0 .. 255 around the centre of gaze.
    seconds : (time,).
    eyepos : (time, 2) azimuth and elevation in deg; NaN, where the eye was lost, is a gap.
    title : what is shown, e.g. the stimulus type and the trial.
    """
    places = np.unique(np.linspace(0, len(frames) - 1, n_shown).round().astype(int))
    figure = plt.figure(figsize=(1.25 * n_shown, 3.6), layout="constrained")
    grid = figure.add_gridspec(2, len(places), height_ratios=(1.1, 1))
    for column, place in enumerate(places):
        ax = figure.add_subplot(grid[0, column])
        draw_image(ax, frames[place], px_per_deg, (0, 255), style.IMAGE_CMAP)
        ax.set_title(f"{1000 * (seconds[place] - seconds[0]):.0f} ms", fontsize=8, loc="center")
        label_degrees(ax, first=column == 0)
    gaze = figure.add_subplot(grid[1, :])
    since = 1000 * (seconds - seconds[0])
    for axis, (name, color) in enumerate(
        (("azimuth", style.BLUE), ("elevation", style.VERMILLION))
    ):
        gaze.plot(since, eyepos[:, axis], color=color, label=name)
    gaze.plot(since[places], np.full(len(places), 1.02), "|", color=style.GREY, clip_on=False,
              transform=gaze.get_xaxis_transform())  # fmt: skip
    gaze.set(xlabel="time (ms)", ylabel="gaze (deg)")
    gaze.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle(f"{title}, {style.count(frames=len(frames))}", fontsize=9.5, x=0.01, ha="left")
    return figure


def plot_strips(
    maps: np.ndarray,
    lags_ms: np.ndarray,
    px_per_deg: float,
    cells: Sequence[str],
    label: str,
    centres: np.ndarray | None = None,
) -> Figure:
    """Spike-triggered averages or energies, one row per cell and one image per lag.

    Each row has a colour scale of its own, centred on 0, whose end is written beside it.

    Parameters
    ----------
    maps : (cell, lag, H, W).
    lags_ms : (lag,) from the frame to the response; later lags than 12 are not shown.
    cells : their names, with what is worth knowing of each, e.g. the number of spikes.
    label : what the maps are, e.g. ``"STA (z)"``.
    centres : (cell, 2) deg, marked by a cross.
    """
    maps, lags_ms = maps[:, :MOST_STRIP], lags_ms[:MOST_STRIP]
    figure, axes = _strip_axes(len(maps), len(lags_ms))
    for row, (movie, name) in enumerate(zip(maps, cells)):
        reach = _reach(movie)
        for column, ax in enumerate(axes[row]):
            draw_image(ax, movie[column], px_per_deg, (-reach, reach), style.SIGNED_CMAP)
            if centres is not None:
                ax.plot(*centres[row], "+", color=style.BLACK, ms=6, mew=0.8)
            if row == 0:
                ax.set_title(f"{lags_ms[column]:.0f} ms", fontsize=8, loc="center")
            label_degrees(ax, first=column == 0 and row == len(maps) - 1)
        _name_row(axes[row, 0], name)
        _write_beside(axes[row, -1], f"±{reach:.3g}")
    figure.suptitle(f"{label}, {style.count(cells=len(maps))}", fontsize=9.5, x=0.01, ha="left")
    return figure


def plot_most_exciting(
    movies: np.ndarray,
    rates_hz: np.ndarray,
    blank_hz: np.ndarray,
    rate_hz: float,
    px_per_deg: float,
    cells: Sequence[str],
) -> Figure:
    """Most exciting movies, one row per cell: the last frames before the rate.

    Parameters
    ----------
    movies : (cell, frame, H, W) as (grey level - 127) / 255.
    rates_hz, blank_hz : (cell,) rate at the end of the movie and of a grey screen.
    rate_hz : frames per second.
    cells : their names.
    """
    movies = movies[:, -MOST_STRIP:]
    n_frames = movies.shape[1]
    figure, axes = _strip_axes(len(movies), n_frames)
    for row, (movie, name) in enumerate(zip(movies, cells)):
        reach = _reach(movie)
        for column, ax in enumerate(axes[row]):
            draw_image(ax, movie[column], px_per_deg, (-reach, reach), style.IMAGE_CMAP)
            if row == 0:
                before = 1000 * (n_frames - 1 - column) / rate_hz
                ax.set_title(f"-{before:.0f} ms" if before else "0 ms", fontsize=8, loc="center")
            label_degrees(ax, first=column == 0 and row == len(movies) - 1)
        _name_row(axes[row, 0], name)
        _write_beside(axes[row, -1], f"{rates_hz[row]:.0f} Hz\n(grey: {blank_hz[row]:.1f})")
    figure.suptitle(
        f"Most exciting inputs, {style.count(cells=len(movies))}; grey levels of each row: its own",
        fontsize=9.5, x=0.01, ha="left",
    )  # fmt: skip
    return figure


def plot_fields(
    maps: Mapping[str, np.ndarray],
    px_per_deg: float,
    cells: Sequence[str],
    centres: Mapping[str, np.ndarray],
) -> Figure:
    """Where cells look, one row per source of the map and one column per cell.

    Parameters
    ----------
    maps : source -> (cell, H, W) from 0 upwards, e.g. from the noise and from the model's gradient.
    cells : their names.
    centres : name -> (cell, 2) deg, e.g. of the truth; drawn into all maps.
    """
    n_cells = len(cells)
    figure, axes = plt.subplots(
        len(maps), n_cells, figsize=(1.3 + 1.25 * n_cells, 0.6 + 1.35 * len(maps)), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    colors = (style.VERMILLION, style.SKY, style.GREEN, style.ORANGE)
    for row, (source, values) in enumerate(maps.items()):
        for column, ax in enumerate(axes[row]):
            top = float(np.nanmax(values[column], initial=1e-12))
            draw_image(ax, values[column], px_per_deg, (0, top), style.ACTIVITY_CMAP)
            for (name, places), color, marker in zip(centres.items(), colors, "+xos"):
                filled = {"mfc": "none"} if marker in "os" else {}
                ax.plot(*places[column], marker, color=color, ms=7, mew=1.2, label=name, **filled)
            if row == 0:
                ax.set_title(cells[column], fontsize=8, loc="center")
            label_degrees(ax, first=column == 0 and row == len(maps) - 1)
        _name_row(axes[row, 0], source)
    handles = axes[0, 0].get_legend_handles_labels()
    if centres:
        figure.legend(*handles, loc="outside right upper")
    figure.suptitle(
        f"Receptive fields, {style.count(cells=n_cells)}", fontsize=9.5, x=0.01, ha="left"
    )
    return figure


def draw_image(
    ax: Axes, image: np.ndarray, px_per_deg: float, limits: tuple[float, float], cmap: str
) -> AxesImage:
    """An image (H, W) on axes in deg from the centre of gaze, up is up."""
    height, width = image.shape
    right, up = width / 2 / px_per_deg, height / 2 / px_per_deg
    return ax.imshow(
        image, cmap=cmap, vmin=limits[0], vmax=limits[1], extent=(-right, right, -up, up)
    )


def label_degrees(ax: Axes, first: bool) -> None:
    """Ticks in deg for the first image of a row of equal ones, none for the others."""
    if first:
        reach = ax.get_xlim()[1]
        tick = np.floor(reach * 10) / 10 if reach < 1 else np.floor(reach)
        ax.set_xticks([-tick, tick])
        ax.set_yticks([-tick, tick])
        ax.tick_params(labelsize=6, length=2)
        ax.set_xlabel("deg", fontsize=7, labelpad=0)
    else:
        ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, lw=0.4, color=style.LIGHT_GREY)


def _strip_axes(n_rows: int, n_columns: int) -> tuple[Figure, np.ndarray]:
    return plt.subplots(
        n_rows, n_columns, figsize=(2.2 + 0.78 * n_columns, 0.5 + 0.88 * n_rows), squeeze=False,
        layout="constrained",
    )  # fmt: skip


def _reach(movie: np.ndarray) -> float:
    """Largest size of a value, for a colour scale around 0; 1 where there is none."""
    known = np.abs(movie[np.isfinite(movie)])
    return float(known.max()) or 1.0 if known.size else 1.0


def _name_row(ax: Axes, name: str) -> None:
    ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)


def _write_beside(ax: Axes, text: str) -> None:
    ax.text(1.06, 0.5, text, transform=ax.transAxes, fontsize=7, va="center", color=style.GREY)
