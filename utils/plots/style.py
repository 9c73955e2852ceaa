"""One look for all figures: colours of areas, splits, models and behaviour, and small helpers.

Call :func:`use_style` once, at the top of a notebook. The base colours are those of Okabe and
Ito (2008), which stay apart for readers with a colour vision deficiency; areas of one family
share a hue and differ in lightness, so a label always goes with the colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#7F7F7F"
LIGHT_GREY = "#C8C8C8"
CYCLE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY)

SPLIT_COLORS = {
    "train": BLUE,
    "validation": ORANGE,
    "test": VERMILLION,
    "passive": PURPLE,
    "unused": LIGHT_GREY,
}

# Baselines in greys, so that a fitted model stands out against all of them; linear models in
# blues, those that see the population in greens, networks in warm colours.
MODEL_COLORS = {
    "persistence": "#4D4D4D",
    "mean": "#7F7F7F",
    "train_mean": "#A6A6A6",
    "exponential": "#8C8CA8",
    "linear": SKY,
    "nlinear": "#2CA6C4",
    "dlinear": "#3B6FD4",
    "rlinear": "#7B9FE0",
    "ar16": BLUE,
    "var": "#12355B",
    "population_ridge": GREEN,
    "population_network": "#00572F",
    "tsmixer": ORANGE,
    "patchtst": PURPLE,
    "itransformer": "#762A83",
    "autoformer": "#8C510A",
    "informer": VERMILLION,
    "elm": "#C51B7D",
    "elm_cell": "#C51B7D",
    "elm_deaf": "#E59AC6",
    "gnn": "#B2182B",
    "oracle": BLACK,
}
_OTHER_MODELS = ("#C51B7D", "#5AAE61", "#A6761D", "#35978F", "#E7298A", "#67001F")

BEHAVIOUR_COLORS = {
    "wheel": BLACK,
    "licks": SKY,
    "pupil": PURPLE,
    "motion_energy": GREEN,
    "stimulus": BLUE,
    "movement": GREEN,
    "reward": GREEN,
    "error": VERMILLION,
    "feedback": GREEN,
    "left": BLUE,
    "right": VERMILLION,
    "block_0.2": VERMILLION,
    "block_0.5": GREY,
    "block_0.8": BLUE,
}

ACTIVITY_CMAP = "gray_r"  # activity from 0 upwards
SIGNED_CMAP = "RdBu_r"  # correlations and z-scores, centred on 0
IMAGE_CMAP = "gray"  # mean images
MISSING_COLOR = "#BFD3E6"  # missing data in an image: no level of grey, so never read as activity

# Family of an area: its hue and its areas; the first one has the pure hue.
AREA_FAMILIES = {
    "VIS": (BLUE, ("VISp", "VISl", "VISal", "VISrl", "VISa", "VISam", "VISpm", "VISli")),
    "RSP": (PURPLE, ("RSPagl", "RSPd", "RSPv")),
    "SS": (ORANGE, ("SSp-bfd", "SSp-tr", "SSp-ul", "SSp-ll", "SSp-m", "SSp-n", "SSp-un", "SSs")),
    "MO": (VERMILLION, ("MOp", "MOs")),
    "AUD": (GREEN, ("AUDp", "AUDpo", "AUDd", "AUDv")),
}


def use_style() -> None:
    """Set matplotlib's defaults for all figures that follow."""
    mpl.rcParams.update(
        {
            "figure.dpi": 90,
            "savefig.dpi": 150,
            "figure.constrained_layout.use": True,
            "font.size": 9,
            "axes.titlesize": 9.5,
            "axes.titlelocation": "left",
            "axes.labelsize": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=CYCLE),
            "image.interpolation": "nearest",
            "legend.frameon": False,
            "legend.fontsize": 8,
            "lines.linewidth": 1.2,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
        }
    )


def area_family(acronym: str) -> str:
    """Family of an Allen acronym (``VISp`` -> ``VIS``); ``"other"`` where it has none."""
    matches = [family for family in AREA_FAMILIES if str(acronym).startswith(family)]
    return matches[0] if matches else "other"


def area_color(acronym: str) -> str:
    """Colour of an area: the family's hue in a shade of its own."""
    family = area_family(acronym)
    if family == "other":
        return GREY
    hue, members = AREA_FAMILIES[family]
    place = members.index(acronym) if acronym in members else len(members) - 1
    n_shades = max(len(members), 3)
    stride = 1 if n_shades == 3 else 3  # neighbours in a long list get unlike shades
    return _shade(hue, (stride * place % n_shades) / (n_shades - 1))


def area_order(acronyms: Iterable[str]) -> list[str]:
    """The distinct areas, family by family: the order of every legend and matrix."""
    listed = [area for _, members in AREA_FAMILIES.values() for area in members]
    families = [*AREA_FAMILIES, "other"]

    def place(area: str) -> tuple[int, int, str]:
        known = listed.index(area) if area in listed else len(listed)
        return families.index(area_family(area)), known, area

    return sorted({str(area) for area in acronyms}, key=place)


def model_color(name: str) -> str:
    """Colour of a model; a name that is not listed gets the same one on every call."""
    if name in MODEL_COLORS:
        return MODEL_COLORS[name]
    return _OTHER_MODELS[sum(name.encode()) % len(_OTHER_MODELS)]


def count(**counts: int) -> str:
    """``count(cells=1200, trials=3)`` -> ``"n = 1,200 cells, 3 trials"``."""
    return "n = " + ", ".join(
        f"{n:,} {unit[:-1] if n == 1 and unit.endswith('s') else unit}".replace("_", " ")
        for unit, n in counts.items()
    )


def annotate_n(ax: Axes, *, where: str = "upper right", **counts: int) -> None:
    """Write ``n = ...`` into a corner of an axes: ``annotate_n(ax, cells=24, trials=300)``."""
    vertical, horizontal = where.split()
    ax.text(
        {"left": 0.02, "right": 0.98}[horizontal],
        {"upper": 0.98, "lower": 0.02}[vertical],
        count(**counts),
        transform=ax.transAxes,
        ha=horizontal,
        va={"upper": "top", "lower": "bottom"}[vertical],
        fontsize=8,
        color="#333333",
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1},
        zorder=10,
    )


def label_ends(ax: Axes, x: float, ends: Mapping[str, float], colors: Mapping[str, str]) -> None:
    """Name lines at their right ends ``name -> y``, pushed apart so that no names overlap.

    To be called when the limits of the axes are final.
    """
    low, high = ax.get_ylim()
    height = ax.get_window_extent().height / ax.figure.dpi * 72  # points
    gap = (high - low) * 8.5 / height
    names = sorted((name for name in ends if np.isfinite(ends[name])), key=ends.get)
    places = [min(max(ends[name], low), high) for name in names]
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + gap)
    top = high + 0.02 * (high - low)
    for k in reversed(range(len(places))):  # back below the upper end of the axes
        places[k] = min(places[k], top)
        top = places[k] - gap
    for name, place in zip(names, places):
        ax.annotate(
            name,
            (x, min(max(ends[name], low), high)),
            xytext=(1.07, place),
            textcoords=ax.get_yaxis_transform(),
            color=colors[name],
            fontsize=7,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colors[name],
                "lw": 0.5,
                "relpos": (0, 0.5),
                "shrinkA": 0,
                "shrinkB": 1,
            },
        )


def add_colorbar(image: ScalarMappable, ax: Axes | Iterable[Axes], label: str) -> Colorbar:
    """A slim colour bar beside an axes (or several), with the quantity and its unit as label."""
    bar = np.ravel(np.asarray(ax, dtype=object))[0].figure.colorbar(
        image, ax=ax, label=label, fraction=0.05, pad=0.02, aspect=25
    )
    bar.outline.set_visible(False)
    return bar


def mark_simulated(figure: Figure, simulated: bool = True) -> Figure:
    """Write "simulated data" below a figure, in a strip that the layout keeps free."""
    if simulated:
        height = 0.2 / figure.get_figheight()
        if figure.get_layout_engine() is not None:
            figure.get_layout_engine().set(rect=(0, height, 1, 1 - height))
        figure.text(0.995, 0.01, "simulated data", ha="right", va="bottom", fontsize=7, color=GREY)
    return figure


def plain_log_ticks(axis: Axis) -> None:
    """Ticks 1, 2, 5, 10, ... of a logarithmic axis, written as plain numbers."""
    low, high = axis.get_view_interval()
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = np.sort(np.outer(10.0**decades, [1, 2, 5]).ravel())
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    if len(ticks) > 7:
        ticks = ticks[np.isclose(np.log10(ticks) % 1, 0)]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


def say_empty(ax: Axes, why: str) -> None:
    """What stands in an axes that has nothing to show."""
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color=GREY)
    ax.set(xticks=[], yticks=[])


def _shade(color: str, lightness: float) -> str:
    """The colour mixed with white, from the pure colour (0) to 60 % white (1)."""
    rgb = np.asarray(to_rgb(color))
    return to_hex(rgb + (1 - rgb) * 0.6 * lightness)
