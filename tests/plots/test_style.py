from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from utils.plots import style


def test_areas_of_a_family_share_a_hue_and_none_share_a_colour():
    areas = [area for _, members in style.AREA_FAMILIES.values() for area in members]
    colors = [style.area_color(area) for area in areas]
    assert len(set(colors)) == len(areas)
    assert style.area_color("VISp") == style.BLUE.lower()


@pytest.mark.parametrize(
    ("acronym", "family"),
    [("VISpm", "VIS"), ("SSp-bfd", "SS"), ("MOs", "MO"), ("root", "other"), ("", "other")],
)
def test_family_of_an_area(acronym, family):
    assert style.area_family(acronym) == family


def test_unlisted_area_of_a_known_family_has_the_family_hue():
    red, green, blue = to_rgb(style.area_color("VISpor"))
    assert blue > green > red


def test_area_order_goes_family_by_family_and_drops_repeats():
    assert style.area_order(["MOs", "VISl", "root", "VISp", "VISl"]) == [
        "VISp",
        "VISl",
        "MOs",
        "root",
    ]


def test_unknown_model_keeps_its_colour():
    assert style.model_color("my_model") == style.model_color("my_model")
    assert style.model_color("my_model") not in style.MODEL_COLORS.values()


def test_count_uses_thousands_and_singular():
    assert style.count(cells=1200, trials=1) == "n = 1,200 cells, 1 trial"


def test_annotate_n_and_simulated_mark_are_inside_the_figure():
    with mpl.rc_context():
        style.use_style()
        figure, ax = plt.subplots()
        style.annotate_n(ax, cells=3)
        style.mark_simulated(figure)
        figure.canvas.draw()
        assert ax.texts[0].get_text() == "n = 3 cells"
        label = figure.texts[0].get_window_extent()
        assert label.y1 <= ax.get_tightbbox().y0 + 1
        plt.close(figure)


def test_mark_simulated_leaves_real_data_unmarked():
    figure = plt.figure()
    assert style.mark_simulated(figure, False).texts == []
    plt.close(figure)


def test_colorbar_has_label_for_one_and_many_axes():
    with mpl.rc_context():
        style.use_style()
        figure, axes = plt.subplots(1, 2)
        image = axes[0].imshow(np.eye(3))
        assert style.add_colorbar(image, axes[0], "dF/F").ax.get_ylabel() == "dF/F"
        assert style.add_colorbar(image, axes, "r").ax.get_ylabel() == "r"
        plt.close(figure)
