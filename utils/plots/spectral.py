"""Figures of spectral models: images, what heads say, learned filters, sounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from utils.plots import style
from utils.signals.spectra import SpectrogramConfig

COLUMNS = 4
MOST_RESPONSES = 4  # filters whose frequency response is drawn
N_RESPONSE = 4096  # points of a frequency response

Floats = NDArray[np.floating]


def image_axes(spectrogram: SpectrogramConfig) -> tuple[Floats, Floats]:
    """Centres of rows (Hz) and of columns (s) of an image."""
    frames = np.arange(spectrogram.width) * spectrogram.hop_length + spectrogram.n_fft / 2
    seconds = frames / spectrogram.sample_rate
    if spectrogram.type == "stft":
        bins = np.arange(1, spectrogram.height + 1)
        return bins * spectrogram.sample_rate / spectrogram.n_fft, seconds
    top = spectrogram.freq_max_ratio * spectrogram.sample_rate / 2
    low, high = np.log1p(np.divide((spectrogram.freq_min, top), 700))
    return 700 * np.expm1(np.linspace(low, high, spectrogram.height + 2)[1:-1]), seconds


def plot_images(
    images: NDArray, scale: NDArray, titles: Sequence[str], spectrogram: SpectrogramConfig
) -> Figure:
    """Images of sounds, one panel each.

    Parameters
    ----------
    images : (n, H, W), grey levels 0 .. 255.
    scale : (n, 2), dB of the levels 0 and 255.
    titles : of the panels; their range in dB is added.
    spectrogram : how they were made.
    """
    hertz, seconds = image_axes(spectrogram)
    figure, axes = _panels(len(images), height=2.1)
    for ax, image, (low, high), title in zip(axes, images, scale, titles):
        drawn = ax.pcolormesh(
            seconds, hertz, image / 255, shading="nearest", cmap=style.ACTIVITY_CMAP, vmin=0, vmax=1
        )
        ax.set_title(f"{title}\n{low:.0f} to {high:.0f} dB", fontsize=8)
    style.add_colorbar(drawn, axes, "level, 0 to 1 of the image's range in dB")
    figure.supxlabel("time (s)", fontsize=9)
    figure.supylabel("frequency (Hz)", fontsize=9)
    return figure


def plot_heads(pairs: Mapping[str, tuple[Floats, Floats]], units: Mapping[str, str]) -> Figure:
    """Predicted against true values, a panel per head.

    Parameters
    ----------
    pairs : head -> true and predicted values (sample,).
    units : by head.
    """
    figure, axes = _panels(len(pairs), height=2.4, share=False)
    for ax, (name, (true, predicted)) in zip(axes, pairs.items()):
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        ax.plot(ends, ends, color=style.LIGHT_GREY, lw=1, zorder=0)
        ax.plot(true, predicted, ".", ms=3, mew=0, alpha=0.6, color=style.BLUE)
        error = np.abs(true - predicted).mean()
        ax.set_title(f"{name}\nmean error {error:.3g} {units[name]}", fontsize=8)
        ax.set(xlabel=f"true ({units[name]})", ylabel=f"predicted ({units[name]})")
        style.annotate_n(ax, where="lower right", samples=len(true))
    return figure


def plot_reliability(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Is a head right as often as it is sure? One panel per head.

    Parameters
    ----------
    tables : head -> ``confidence``, ``accuracy`` and ``n`` of bins of samples, see
        :func:`utils.metrics.heads.reliability_table`. Areas of dots are by ``n``.
    """
    figure, axes = _panels(len(tables), height=2.4, share=False)
    for ax, (name, table) in zip(axes, tables.items()):
        ax.plot([0, 1], [0, 1], color=style.LIGHT_GREY, lw=1, zorder=0)
        ax.plot(table["confidence"], table["accuracy"], color=style.BLUE, lw=0.8)
        size = 100 * table["n"] / max(table["n"].sum(), 1)
        ax.scatter(table["confidence"], table["accuracy"], s=5 + size, color=style.BLUE)
        ax.set_title(name, fontsize=8)
        ax.set(xlabel="probability that is said", ylabel="share of right answers")
        ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        style.annotate_n(ax, where="lower right", samples=int(table["n"].sum()))
    return figure


def plot_filters(initial: NDArray, learned: NDArray, sample_rate: float) -> Figure:
    """Learned filters of a front end beside those it began with.

    Parameters
    ----------
    initial, learned : (filter, sample) complex impulse responses.
    sample_rate : Hz.
    """
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    before, after = (_loudest_hertz(filters, sample_rate) for filters in (initial, learned))
    axes[0].axhline(0, color=style.LIGHT_GREY, lw=1)
    axes[0].plot(before, after - before, "o", ms=3, color=style.BLUE)
    axes[0].set(title="Moved by", xlabel="initial frequency (Hz)", ylabel="learned - initial (Hz)")
    for filters, color, label in (
        (initial, style.GREY, "initial"),
        (learned, style.BLUE, "learned"),
    ):
        hertz = _loudest_hertz(filters, sample_rate)
        axes[1].plot(
            hertz, _milliseconds(filters, sample_rate), "o", ms=3, color=color, label=label
        )
        _draw_responses(axes[2], filters, sample_rate, color)
    axes[1].set(title="Duration", xlabel="frequency (Hz)", ylabel="rms duration (ms)")
    axes[1].legend()
    axes[2].set(
        title=f"{min(len(initial), MOST_RESPONSES)} of {len(initial)} filters",
        xlabel="frequency (Hz)", ylabel="response (dB)", ylim=(-40, 3),
    )  # fmt: skip
    return figure


def plot_waveforms(
    true: Floats, made: Floats, titles: Sequence[str], sample_rate: float, seconds: float
) -> Figure:
    """Sounds of true parameters and of predicted ones, a panel per sound.

    Parameters
    ----------
    true, made : (sound, sample).
    seconds : of each sound, from its beginning.
    """
    n_samples = min(true.shape[1], max(1, round(seconds * sample_rate)))
    time = np.arange(n_samples) / sample_rate
    figure, axes = _panels(len(true), height=1.8)
    for ax, one, other, title in zip(axes, true, made, titles):
        ax.plot(time, one[:n_samples], color=style.GREY, lw=1.6, label="true")
        ax.plot(time, other[:n_samples], color=style.VERMILLION, lw=0.7, label="predicted")
        ax.set_title(title, fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    figure.supxlabel("time (s)", fontsize=9)
    figure.supylabel("amplitude", fontsize=9)
    return figure


def _panels(n: int, height: float, share: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with n panels in rows."""
    n_rows, columns = -(-n // COLUMNS), min(n, COLUMNS)
    figure, grid = plt.subplots(
        n_rows,
        columns,
        figsize=(0.6 + 2.4 * columns, 0.5 + height * n_rows),
        sharex=share,
        sharey=share,
        squeeze=False,
        layout="constrained",
    )
    for ax in grid.flat[n:]:
        ax.set_visible(False)
    return figure, list(grid.flat[:n])


def _responses(filters: NDArray) -> Floats:
    """(filter, N_RESPONSE) magnitudes from 0 Hz to the sample rate."""
    return np.abs(np.fft.fft(filters, N_RESPONSE, axis=1))


def _loudest_hertz(filters: NDArray, sample_rate: float) -> Floats:
    """(filter,) frequencies to which filters answer most; those above Nyquist are negative."""
    return np.fft.fftfreq(N_RESPONSE, 1 / sample_rate)[_responses(filters).argmax(axis=1)]


def _milliseconds(filters: NDArray, sample_rate: float) -> Floats:
    """(filter,) standard deviations of the energy over time."""
    energy = np.abs(filters) ** 2
    energy = energy / energy.sum(axis=1, keepdims=True)
    time = 1000 * np.arange(filters.shape[1]) / sample_rate
    mean = energy @ time
    return np.sqrt(np.maximum(energy @ time**2 - mean**2, 0))


def _draw_responses(ax: Axes, filters: NDArray, sample_rate: float, color: str) -> None:
    """Magnitudes below Nyquist of some filters, evenly chosen, each about its largest."""
    chosen = np.linspace(0, len(filters) - 1, min(len(filters), MOST_RESPONSES)).astype(int)
    half = N_RESPONSE // 2
    hertz = np.arange(half) * sample_rate / N_RESPONSE
    for response in _responses(filters[chosen])[:, :half]:
        floor = response.max() * 1e-6
        level = 20 * np.log10(np.maximum(response, floor) / response.max())
        ax.plot(hertz, level, color=color, lw=0.8)
