from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from utils.widgets import Recording, SessionBrowser, View


@pytest.fixture
def browser():
    rng = np.random.default_rng(0)
    times = np.arange(4000) / 5
    recording = Recording.from_arrays(
        rng.normal(size=(4000, 12)),
        times,
        name="sample",
        events={"stimulus": np.array([20.0, 400.0, 9999.0])},
    )
    return SessionBrowser(recording, View(1200, 1500, 0, 10))


def test_repr_is_stable_and_says_the_state(browser):
    assert repr(browser) == "SessionBrowser(sample: frames 1200-1500, rows 0-10)"
    browser.order_by("correlation")
    assert repr(browser).endswith("rows 0-10, correlation order)")


def test_each_control_changes_the_view_and_the_picture(browser):
    before = browser.image.value
    browser.start.value = 100
    assert (browser.view.start, browser.view.stop) == (100, 400)
    browser.rows.value = (2, 8)
    assert (browser.view.first, browser.view.last) == (2, 8)
    browser.order.value = "correlation"
    assert browser.view.order == "correlation"
    browser.cell.value = 5
    assert browser.view.cell == 5
    browser.contrast.value = 4
    assert browser.view.contrast == 4
    assert browser.image.value != before
    assert browser.status.value == repr(browser)


def test_zoom_keeps_the_middle(browser):
    browser.width.value = 150
    assert (browser.view.start, browser.view.stop) == (1275, 1425)


def test_controls_follow_what_is_done_from_python(browser):
    browser.go(View(40, 190, 1, 4, cell=3))
    assert browser.start.value == 40
    assert browser.rows.value == (1, 4)
    assert browser.cell.value == 3
    assert browser.width.value == 150


def test_pages_stop_at_the_ends(browser):
    browser.next_page()
    assert (browser.view.start, browser.view.stop) == (1500, 1800)
    browser.go(View(3500, 3900))
    browser.next_page()
    assert (browser.view.start, browser.view.stop) == (3600, 4000)
    browser.go(View(100, 500))
    browser.previous_page()
    assert (browser.view.start, browser.view.stop) == (0, 400)


def test_trial_is_put_at_a_quarter_of_the_view(browser):
    browser.go_to_trial(2)
    assert browser.view.start == 2000 - 75
    browser.whole()
    browser.trial.value = 2  # unchanged value: no event
    browser.trial.value = 1
    assert browser.view.start == 100 - 75
    assert browser.view.stop - browser.view.start == 300  # the whole recording is narrowed


def test_missing_trials_are_errors_from_python_and_texts_from_controls(browser):
    with pytest.raises(ValueError, match="no trial 7: this recording has trials 1 to 3"):
        browser.go_to_trial(7)
    browser.trial.value = 3
    assert browser.status.value == "ValueError: trial 3 has no stimulus during the recording"


def test_a_failing_control_shows_its_error_and_falls_back(browser):
    browser.order.value = "area"  # these arrays have no areas
    assert "this recording has no region" in browser.status.value
    assert browser.order.value == "original"
    assert browser.view.order == "original"


def test_cells_are_stepped_through_in_the_order_that_is_shown(browser):
    browser.order_by("correlation")
    order = browser.recording.order("correlation")
    browser.go(View(0, 300, order="correlation", cell=int(order[3])))
    browser.step_cell(2)
    assert browser.view.cell == order[5]
    browser.step_cell(100)
    assert browser.view.cell == order[-1]


def test_buttons_do_what_they_say(browser):
    buttons = {b.tooltip: b for b in browser.widget.children[2].children[1].children}
    buttons["one view later"].click()
    assert browser.view.start == 1500
    buttons["all frames and rows"].click()
    assert (browser.view.start, browser.view.stop, browser.view.last) == (0, 4000, 12)


def test_figure_is_the_static_twin(browser):
    figure = browser.figure()
    assert plt.fignum_exists(figure.number)
    assert "n = 10 cells, 300 frames" in figure.axes[0].get_title("left")
    plt.close(figure)


def test_notebook_output_has_controls_text_and_picture(browser):
    bundle = browser._repr_mimebundle_()
    assert bundle["text/plain"] == repr(browser)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["image/png"].startswith("iVBOR")


def test_a_recording_of_one_frame_pair_and_one_cell():
    browser = SessionBrowser(Recording.from_arrays(np.ones((2, 1)), np.arange(2)))
    assert repr(browser) == "SessionBrowser(arrays: frames 0-2, rows 0-1)"
    assert browser.n_trials == 0
