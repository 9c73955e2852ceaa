"""Figures of spectral models show what they are given, in its units."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots.spectral import (
    image_axes,
    plot_filters,
    plot_heads,
    plot_images,
    plot_reliability,
    plot_waveforms,
)
from utils.signals.spectra import SpectrogramConfig, mel_filters

MEL = SpectrogramConfig(type="mel", height=16, width=8, n_fft=512, n_window=512, hop_length=64)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_rows_are_bins_and_columns_are_middles_of_frames():
    hertz, seconds = image_axes(SpectrogramConfig())
    assert hertz[[0, -1]].tolist() == [100, 3200]
    assert seconds[[0, 1]].tolist() == [0.005, 0.015]
    assert (len(hertz), len(seconds)) == (32, 32)


def test_rows_of_mel_images_are_peaks_of_their_filters():
    hertz, _ = image_axes(MEL)
    peaks = mel_filters(MEL).argmax(axis=0) * MEL.sample_rate / MEL.n_fft
    assert hertz == pytest.approx(peaks, abs=MEL.sample_rate / MEL.n_fft)


def test_images_have_a_panel_each_with_their_range():
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32))
    scale = np.tile([-80.0, 3.0], (5, 1))
    figure = plot_images(images, scale, list("abcde"), SpectrogramConfig())
    panels = [ax for ax in figure.axes if ax.get_visible() and ax.collections]
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in panels[:5]]
    assert titles[0].endswith("a\n-80 to 3 dB")
    drawn = panels[1].collections[0].get_array()
    np.testing.assert_allclose(np.ravel(drawn), images[1].ravel() / 255)
    assert figure.get_supxlabel() == "time (s)"
    figure.canvas.draw()


def test_heads_are_drawn_in_their_unit():
    true = np.array([200.0, 400.0])
    figure = plot_heads({"cutoff": (true, true + 10)}, {"cutoff": "Hz"})
    ax = figure.axes[0]
    assert ax.lines[1].get_xydata().tolist() == [[200, 210], [400, 410]]
    assert ax.get_xlabel() == "true (Hz)"
    assert "mean error 10 Hz" in (ax.get_title(loc="left") or ax.get_title())
    assert ax.texts[0].get_text() == "n = 2 samples"
    figure.canvas.draw()


def test_reliability_is_drawn_beside_the_diagonal():
    table = pd.DataFrame({"confidence": [0.5, 0.9], "accuracy": [0.4, 1.0], "n": [30, 10]})
    figure = plot_reliability({"decay": table, "cutoff": table})
    assert figure.axes[0].lines[1].get_xydata().tolist() == [[0.5, 0.4], [0.9, 1.0]]
    assert figure.axes[1].texts[0].get_text() == "n = 40 samples"
    assert len(figure.axes) == 2
    figure.canvas.draw()


def test_filters_that_moved_are_seen():
    time = np.arange(80) / 8000
    hertz = np.arange(1, 6)[:, None] * 500.0
    initial = np.exp(2j * np.pi * hertz * time)
    learned = np.exp(2j * np.pi * (hertz + 200) * time)
    learned[0] *= np.exp(-0.5 * ((time - time.mean()) / 0.001) ** 2)
    figure = plot_filters(initial, learned, 8000)
    moved, durations, responses = figure.axes
    x, y = moved.lines[1].get_data()
    assert x == pytest.approx(hertz[:, 0], abs=2)
    assert y == pytest.approx([200] * 5, abs=4)
    before, after = (line.get_ydata() for line in durations.lines)
    assert before == pytest.approx([10 / np.sqrt(12)] * 5, rel=0.01)  # ms, of a box of 10 ms
    assert after[0] == pytest.approx(1 / np.sqrt(2), rel=0.01)  # energy of a Gaussian
    assert after[1:] == pytest.approx(before[1:])
    assert len(responses.lines) == 2 * 4
    assert (responses.get_title(loc="left") or responses.get_title()) == "4 of 5 filters"
    figure.canvas.draw()


def test_sounds_are_drawn_over_one_another():
    true = np.random.default_rng(0).normal(size=(2, 800))
    figure = plot_waveforms(true, 0.5 * true, ["a", "b"], 8000, seconds=0.01)
    lines = figure.axes[1].lines
    np.testing.assert_allclose(lines[0].get_ydata(), true[1, :80])
    np.testing.assert_allclose(lines[1].get_ydata(), 0.5 * true[1, :80])
    assert lines[0].get_xdata()[-1] == pytest.approx(79 / 8000)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["true", "predicted"]
    longer = plot_waveforms(true, true, ["a", "b"], 8000, seconds=9)
    assert len(longer.axes[0].lines[0].get_xdata()) == 800
    figure.canvas.draw()
