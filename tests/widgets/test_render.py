from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from utils.widgets import Recording, View, render
from utils.widgets.render import draw, event_frames, picture


@pytest.fixture
def recording():
    rng = np.random.default_rng(0)
    activity = rng.normal(2, 3, size=(5000, 30)).astype(np.float32)
    activity[1000:1100] = np.nan
    times = np.arange(5000) / 5
    times[3000:] += 90
    return Recording.from_arrays(
        activity,
        times,
        pd.DataFrame({"region": ["VISp"] * 20 + ["MOs"] * 10, "ap": np.arange(30.0)}),
        name="sample",
        unit="dF/F",
        simulated=True,
        behaviour={"wheel (rad/s)": rng.random(5000), "pupil (px)": np.full(5000, np.nan)},
        events={"stimulus": np.array([10.0, 20, 620, 1e6, np.nan]), "reward": np.array([11.0])},
    )


def texts(figure):
    axes = figure.axes[0]
    return [text.get_text() for text in axes.texts] + [axes.get_title("left"), axes.get_xlabel()]


def brute_force(recording, view, activity):
    """Block means of z-scores straight from the definition."""
    offset, scale = recording.moments
    rows = recording.order(view.order)[view.first : view.last]
    scores = ((activity - offset) / scale)[:, rows]
    n_rows, n_columns = min(len(rows), 480), min(len(scores), 900)
    image = np.full((n_rows, n_columns), np.nan)
    row_of = np.arange(len(rows)) * n_rows // len(rows)
    column_of = np.arange(len(scores)) * n_columns // len(scores)
    for column in range(n_columns):
        block = scores[column_of == column]
        for row in range(n_rows):
            values = block[:, row_of == row]
            if np.isfinite(values).any():
                image[row, column] = np.nanmean(values)
    return image


@pytest.mark.parametrize(
    "view",
    [
        View(0, 700),
        View(900, 1300, 3, 17, "correlation"),
        View(500, 2500, 0, 30, "area"),
        View(4990, 5000, 29, 30),
    ],
)
def test_picture_equals_brute_force_block_means(recording, view):
    view = view.fitted(recording)
    expected = brute_force(recording, view, recording.levels[0][view.start : view.stop])
    np.testing.assert_allclose(picture(recording, view), expected, atol=1e-4)


def test_picture_of_the_whole_recording_comes_from_the_coarsest_level_with_a_row_per_pixel(
    recording,
):
    whole = View(0, 5000).fitted(recording)
    expected = brute_force(recording, whole, recording.levels[1])  # 1250 rows, 900 columns
    np.testing.assert_allclose(picture(recording, whole), expected, atol=1e-4)


def test_missing_activity_has_its_own_colour(recording):
    figure = draw(recording, View(900, 1300))
    image = figure.axes[0].images[0]
    rgba = image.cmap(image.get_array())
    missing = np.isnan(picture(recording, View(900, 1300).fitted(recording)))
    assert missing.any()
    red, blue = rgba[..., 0][missing], rgba[..., 2][missing]
    assert (blue > red).all()  # no shade of grey


def test_the_picture_says_what_it_shows(recording):
    figure = draw(recording, View(0, 300, 5, 25, "area", cell=21))
    shown = "\n".join(texts(figure))
    for expected in (
        "sample",
        "n = 20 cells, 300 frames",
        "0:00 to 1:00",
        "simulated data",
        "order: area",
        "cell 21, MOs",
        "dF/F",
        "wheel\n(rad/s)",
        "z-score",
        "row (of 30)",
        "VISp",
        "time (min:s)",
        "no value in view",  # the pupil
    ):
        assert expected in shown
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels[:3] == ["0:00", "0:05", "0:10"]


def test_gap_is_marked_where_time_jumps(recording):
    lines = [line.get_xdata()[0] for line in draw(recording, View(2900, 3100)).axes[0].lines]
    assert 3000 in lines
    lines = [line.get_xdata()[0] for line in draw(recording, View(100, 300)).axes[0].lines]
    assert 3000 not in lines


def test_events_in_gaps_and_outside_are_left_out(recording):
    # 620 s lies in the gap of 599.8 to 690 s
    assert event_frames(recording, "stimulus").tolist() == [50, 100, -1, -1, -1]


def test_png_is_an_image_of_the_promised_size(recording):
    image = Image.open(io.BytesIO(render(recording, View(0, 100))))
    assert image.format == "PNG"
    assert image.size == (1000, 640)


def test_render_is_pure(recording):
    view = View(0, 200, order="correlation")
    assert render(recording, view) == render(recording, view)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View(-50, 250), (0, 300, 0, 30)),
        (View(4900, 5200, 20, 40), (4700, 5000, 10, 30)),
        (View(10, 10, 5, 5), (10, 12, 5, 6)),
        (View(0, 10**9, -3, 10**9), (0, 5000, 0, 30)),
    ],
)
def test_a_view_is_moved_inside_the_recording(recording, view, expected):
    fitted = view.fitted(recording)
    assert (fitted.start, fitted.stop, fitted.first, fitted.last) == expected
    assert fitted.fitted(recording) == fitted


def test_cell_and_contrast_are_limited(recording):
    fitted = View(cell=99, contrast=-1).fitted(recording)
    assert fitted.cell == 29
    assert fitted.contrast == pytest.approx(0.1)


@pytest.mark.parametrize(
    "activity",
    [
        np.ones((3, 1)),
        np.full((40, 3), np.nan),
        np.zeros((200, 2)),
        np.r_[np.ones((5, 2)), np.full((5, 2), np.nan)],
    ],
    ids=["one cell", "all missing", "constant", "half missing"],
)
def test_edges_are_drawn(activity):
    recording = Recording.from_arrays(activity, np.arange(len(activity)) / 5)
    figure = draw(recording, View())
    assert "no trials" in texts(figure)
    assert len(render(recording, View(order="correlation"))) > 1000


def test_the_selected_cell_is_marked_in_its_row(recording):
    view = View(0, 100, order="area", cell=25).fitted(recording)
    row = list(recording.order("area")).index(25)
    markers = [line for line in draw(recording, view).axes[0].lines if line.get_marker() == "<"]
    image = draw(recording, view).axes[0].images[0]
    _, _, bottom, top = image.get_extent()
    assert len(markers) == 1
    assert markers[0].get_ydata()[0] == pytest.approx(top - (row + 0.5) * (top - bottom) / 30)
    hidden = replace(view, first=0, last=1)
    assert not [line for line in draw(recording, hidden).axes[0].lines if line.get_marker() == "<"]
