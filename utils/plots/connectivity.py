"""Figures of a network's connectivity and functions, learned beside true.

Weights are (n, n), [post, pre]: rows receive, columns send.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from utils.metrics import connectivity_scores
from utils.plots import style

Floats = NDArray[np.floating]

TRUE, LEARNED = style.BLACK, style.VERMILLION
MOST_POINTS = 10_000  # more are drawn as a density
INTERVALS_DRAWN = 100


def plot_weights(
    true: Floats, learned: Floats, types: ArrayLike | None = None, percentile: float = 99.0
) -> Figure:
    """True and learned weights, and their difference, on one scale.

    Parameters
    ----------
    true, learned : (n, n) [post, pre].
    types : (n,) true types in the order of the neurons; thin lines part them.
    percentile : of the absolute true weights that are not 0; colours end there, because a few
        weights of a heavy-tailed network would leave all others pale.
    """
    n = len(true)
    strength = np.abs(true[true != 0])
    limit = float(np.percentile(strength, percentile)) if len(strength) else 1.0
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.5), sharey=True, layout="constrained")
    panels = {"true": true, "learned": learned, "learned - true": learned - true}
    for ax, (name, weights) in zip(axes, panels.items()):
        image = ax.imshow(
            weights, cmap=_signed_cmap(), vmin=-limit, vmax=limit, interpolation="auto"
        )
        ax.set(title=name, xlabel="sender")
        ax.spines[:].set_visible(False)
        for border in _type_borders(types):
            ax.axhline(border, color=style.GREY, lw=0.4)
            ax.axvline(border, color=style.GREY, lw=0.4)
    axes[0].set_ylabel("receiver")
    bar = style.add_colorbar(image, axes, f"weight (ends: {percentile:g} % of true weights)")
    bar.ax.tick_params(labelsize=7)
    figure.suptitle(f"Connectivity, {style.count(neurons=n)}", fontsize=9.5, x=0.01, ha="left")
    return figure


def plot_weight_scatter(true: Floats, learned: Floats, margin: Floats | None = None) -> Figure:
    """Learned over true weights, with the line through them; the weak ones enlarged beside.

    Parameters
    ----------
    true, learned : (n, n) [post, pre], without the diagonal in the figure.
    margin : (n, n) half the width of 95 % intervals, drawn for some of the weights.
    """
    off = ~np.eye(len(true), dtype=bool)
    x, y = true[off], learned[off]
    scores = connectivity_scores(learned, true)
    figure, axes = plt.subplots(1, 2, figsize=(8.5, 4), layout="constrained")
    reach = float(np.abs(np.r_[x, y[np.isfinite(y)]]).max(initial=1e-12))
    near = float(np.percentile(np.abs(x), 95)) if x.any() else 0.0
    for ax, limit, title in (
        (axes[0], reach, "all weights"),
        (axes[1], near or reach, "the weakest 95 %"),
    ):
        _cloud(ax, x, y, 1.05 * limit)
        ends = np.array([-1.05, 1.05]) * limit
        ax.plot(ends, ends, color=TRUE, lw=0.7, label="equal")
        ax.plot(ends, scores["slope"] * ends, color=LEARNED, lw=0.9, ls="--",
                label=f"slope {scores['slope']:.3f}")  # fmt: skip
        ax.set(xlim=ends, ylim=ends, xlabel="true weight", ylabel="learned weight", title=title)
    if margin is not None:
        shown = np.random.default_rng(0).permutation(len(x))[:INTERVALS_DRAWN]
        low, high = y[shown] - margin[off][shown], y[shown] + margin[off][shown]
        axes[1].vlines(x[shown], low, high, color=style.SKY, lw=0.8, label="95 % interval")
    axes[1].legend(loc="upper left")
    style.annotate_n(axes[0], where="lower right", pairs=len(x))
    figure.suptitle(
        f"R2 = {scores['r2']:.4f}, Spearman {scores['spearman']:.3f}, AUPRC of the strongest edges "
        f"{scores['auprc']:.3f} (chance {scores['auprc_chance']:.2f})",
        fontsize=9.5, x=0.01, ha="left",
    )  # fmt: skip
    return figure


def plot_eigenvalues(true: Floats, learned: Floats) -> Figure:
    """Eigenvalues of true and learned weights in the complex plane; dotted: true radius."""
    figure, ax = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    spectra = {
        "true": (true, {"color": TRUE, "mfc": "none", "ms": 5, "mew": 0.6}),
        "learned": (learned, {"color": LEARNED, "ms": 2.5, "mew": 0}),
    }
    for name, (weights, look) in spectra.items():
        if not np.isfinite(weights).all():
            continue
        values = np.linalg.eigvals(weights)
        radius = np.abs(values).max()
        label = f"{name}, radius {radius:.3f}"
        ax.plot(values.real, values.imag, "o", label=label, **look)
        if name == "true":
            angle = np.linspace(0, 2 * np.pi, 200)
            ax.plot(radius * np.cos(angle), radius * np.sin(angle), color=TRUE, lw=0.6, ls=":")
    ax.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
    ax.set_title(f"Eigenvalues of the weights, {style.count(neurons=len(true))}")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def plot_psi(u: Floats, learned: Floats, true: Floats) -> Figure:
    """What senders pass on, learned over true.

    Parameters
    ----------
    u : (point, sender) activity.
    learned, true : (point, sender) psi, 0 at u = 0; the learned one on the scale of the true one.
    """
    figure, ax = plt.subplots(figsize=(4.8, 3.3), layout="constrained")
    for sender, color in enumerate(type_colors(learned.shape[1])):
        ax.plot(u[:, sender], true[:, sender], color=color, lw=4, alpha=0.3)
        ax.plot(u[:, sender], learned[:, sender], color=color, lw=1)
    ax.plot([], [], color=style.GREY, lw=4, alpha=0.3, label="true")
    ax.plot([], [], color=style.GREY, lw=1, label="learned")
    ax.set_xscale("symlog", linthresh=1)
    ax.set(xlabel="activity of the sender (linear up to 1)", ylabel="psi (message per weight)")
    ax.set_title(f"What senders pass on, {style.count(senders=learned.shape[1])}, one per type")
    ax.legend(loc="upper left")
    return figure


def plot_phi(u: Floats, learned: Floats, types: ArrayLike, true: Floats) -> Figure:
    """What neurons do by themselves, a panel per true type; below, how far that is from the truth.

    Parameters
    ----------
    u : (point, neuron) activity, where it was seen.
    learned, true : (point, neuron) phi, the part of du/dt that depends on the neuron alone; the
        truth is drawn of the neuron that was seen over the widest range.
    types : (neuron,) true types.
    """
    names = np.unique(types)
    figure, axes = plt.subplots(
        2, len(names), figsize=(1.4 + 2.1 * len(names), 4), height_ratios=[1.6, 1], sharex=True,
        sharey="row", squeeze=False, layout="constrained",
    )  # fmt: skip
    for (above, below), name, color in zip(axes.T, names, type_colors(len(names))):
        members = np.flatnonzero(np.asarray(types) == name)
        widest = members[np.argmax(np.ptp(u[:, members], axis=0))]
        above.plot(u[:, members], learned[:, members], color=color, lw=0.4, alpha=0.6)
        above.plot([], [], color=color, lw=0.8, label="learned, each neuron")
        above.plot(u[:, widest], true[:, widest], color=TRUE, ls="--", lw=1, label="true")
        error = learned[:, members] - true[:, members]
        below.plot(u[:, members], error, color=color, lw=0.4, alpha=0.6)
        below.axhline(0, color=TRUE, ls="--", lw=0.7)
        above.set_title(f"type {name}")
        below.set_xlabel("activity")
        style.annotate_n(above, where="lower left", neurons=len(members))
    axes[0, 0].set_ylabel("phi (per unit of time)")
    axes[1, 0].set_ylabel("learned - true")
    axes[0, 0].legend(loc="upper right")
    return figure


def plot_embeddings(embeddings: Floats, true: ArrayLike, found: ArrayLike) -> Figure:
    """Neurons by what was learned about each, coloured by true type and by the type found.

    Parameters
    ----------
    embeddings : (n, dimension); of more than two the first two principal axes are drawn.
    true, found : (n,) types; names of found types are arbitrary.
    """
    points = _two_dimensional(embeddings)
    figure, axes = plt.subplots(
        1, 2, figsize=(8, 3.4), sharex=True, sharey=True, layout="constrained"
    )
    for ax, labels, title in zip(axes, (true, found), ("true types", "types found")):
        names = np.unique(labels)
        for name, color in zip(names, type_colors(len(names))):
            of_type = np.asarray(labels) == name
            ax.plot(*points[of_type].T, "o", ms=4, mew=0, alpha=0.7, color=color,
                    label=f"{name} ({of_type.sum()})")  # fmt: skip
        ax.set(title=f"{title}: {len(names)}", xlabel="first axis")
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axes[0].set_ylabel("second axis")
    figure.suptitle(
        f"Learned embeddings, {style.count(neurons=len(points))}", fontsize=9.5, x=0.01, ha="left"
    )
    return figure


def type_colors(n_types: int) -> list:
    """A colour per type: those of the style for few, shades of a map for many."""
    if n_types <= len(style.CYCLE):
        return list(style.CYCLE[:n_types])
    return [plt.get_cmap("turbo")(k / (n_types - 1)) for k in range(n_types)]


def _cloud(ax: Axes, x: Floats, y: Floats, limit: float) -> None:
    """Points, or their density where there are many."""
    if len(x) <= MOST_POINTS:
        ax.plot(x, y, "o", ms=2, mew=0, alpha=0.5, color=style.BLUE)
        return
    image = ax.hexbin(x, y, gridsize=80, extent=(-limit, limit, -limit, limit), bins="log",
                      mincnt=1, cmap="viridis", lw=0)  # fmt: skip
    style.add_colorbar(image, ax, "pairs")


def _type_borders(types: ArrayLike | None) -> Floats:
    """Places between neighbours of unlike type; none where types are mixed."""
    if types is None:
        return np.empty(0)
    changes = np.flatnonzero(np.diff(np.asarray(types)))
    return changes + 0.5 if len(changes) < len(np.unique(types)) else np.empty(0)


def _two_dimensional(embeddings: Floats) -> Floats:
    centred = embeddings - embeddings.mean(axis=0)
    if centred.shape[1] < 2:
        return np.column_stack([centred, np.zeros(len(centred))])
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T


def _signed_cmap() -> plt.Colormap:
    return plt.get_cmap(style.SIGNED_CMAP).with_extremes(bad=style.LIGHT_GREY)
