"""Look through a recording: thin controls around the pure picture of :mod:`utils.widgets.render`.

Every control makes a new :class:`View` and calls ``go(view)``; nothing else changes what is
shown, so what a control does can also be done from Python::

    browser = SessionBrowser("sample")
    browser                                   # the controls, in JupyterLab
    browser.go_to_trial(12)
    browser.figure()                          # the same picture as a static figure
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from utils.load_meso_session import MesoscopeSession
from utils.sessions.hdf5 import SessionFile
from utils.widgets.recording import ORDERS, Recording, as_recording
from utils.widgets.render import SIZE, View, draw, event_frames, render

logger = logging.getLogger(__name__)

_WIDTHS = (50, 150, 300, 600, 1500, 3000, 6000)  # frames
_TRIAL_WIDTH = 300  # frames; a wider view is narrowed when it goes to a trial


class SessionBrowser:
    """Session browser with controls for time, zoom, order of rows, cell, contrast and trial.

    Parameters
    ----------
    source : a session, a session file (fastest for large sessions: it holds a time pyramid), a
        reference to either, or ``Recording.from_arrays(activity, times)``.
    view : where to start.
    """

    def __init__(
        self,
        source: Recording | MesoscopeSession | SessionFile | str | Path,
        view: View | None = None,
    ) -> None:
        self.recording = as_recording(source)
        self._syncing = False
        self._build()
        self.go(view or View())

    def __repr__(self) -> str:
        view = self.view
        extra = "" if view.order == "original" else f", {view.order} order"
        return (
            f"SessionBrowser({self.recording.name}: frames {view.start}-{view.stop}, "
            f"rows {view.first}-{view.last}{extra})"
        )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        # Beside the live controls a picture, for a page that is opened without a kernel.
        static = {
            "text/plain": repr(self),
            "image/png": base64.b64encode(self.image.value).decode(),
        }
        return {**self.widget._repr_mimebundle_(**options), **static}

    def go(self, view: View) -> None:
        """Show a view; parts outside the recording are moved inside."""
        view = view.fitted(self.recording)
        self.image.value = render(self.recording, view)
        self.view = view
        self._sync()
        self.status.value = repr(self)

    def figure(self) -> Figure:
        """What is shown now, as a figure of pyplot (``plt.show()`` puts it into a notebook)."""
        figure = plt.figure(figsize=SIZE, dpi=100, layout="none")
        return draw(self.recording, self.view, figure)

    def next_page(self) -> None:
        """One view later."""
        self._page(1)

    def previous_page(self) -> None:
        """One view earlier."""
        self._page(-1)

    def whole(self) -> None:
        """All frames and all rows."""
        everything = {"first": 0, "last": self.recording.n_neurons}
        self.go(replace(self.view, start=0, stop=self.recording.n_frames, **everything))

    def order_by(self, order: str) -> None:
        """Sort the rows: original, area, position or correlation."""
        self._change(order=order)

    @property
    def n_trials(self) -> int:
        """Number of trials; 0 without a task."""
        return len(self._trial_frames())

    def go_to_trial(self, number: int) -> None:
        """Put the stimulus of a trial (counted from 1) at a quarter of the view."""
        starts = self._trial_frames()
        if not 1 <= number <= len(starts):
            raise ValueError(f"no trial {number}: this recording has trials 1 to {len(starts)}")
        if starts[number - 1] < 0:
            raise ValueError(f"trial {number} has no stimulus during the recording")
        width = min(self._shown(), _TRIAL_WIDTH)
        start = int(starts[number - 1]) - width // 4
        self.go(replace(self.view, start=start, stop=start + width))

    def step_cell(self, rows: int) -> None:
        """Select the cell that many rows further down, in the order that is shown."""
        order = self.recording.order(self.view.order)
        row = int(np.flatnonzero(order == self.view.cell)[0]) + rows
        cell = int(order[min(max(row, 0), len(order) - 1)])
        self.go(replace(self.view, cell=cell))

    def _page(self, pages: int) -> None:
        shift = pages * self._shown()
        self._change(start=self.view.start + shift, stop=self.view.stop + shift)

    def _trial_frames(self) -> np.ndarray:
        if "stimulus" not in self.recording.events:
            return np.zeros(0, int)
        return event_frames(self.recording, "stimulus")

    # ---- controls

    def _build(self) -> None:
        n_frames, n_neurons = self.recording.n_frames, self.recording.n_neurons
        lazily = {"continuous_update": False, "style": {"description_width": "60px"}}
        self.start = widgets.IntSlider(0, 0, max(n_frames - 2, 0), description="frame", **lazily)
        widths = [(f"{width:,} frames", width) for width in _WIDTHS if width < n_frames]
        self.width = widgets.Dropdown(
            options=[*widths, ("whole recording", n_frames)], description="zoom"
        )
        self.rows = widgets.IntRangeSlider(
            value=(0, n_neurons), min=0, max=n_neurons, description="rows", **lazily
        )
        self.order = widgets.Dropdown(options=ORDERS, description="order")
        self.cell = widgets.BoundedIntText(0, 0, n_neurons - 1, description="cell")
        self.contrast = widgets.FloatSlider(
            value=2, min=0.5, max=8, step=0.5, description="contrast", **lazily
        )
        n_trials = max(self.n_trials, 1)
        self.trial = widgets.BoundedIntText(1, 1, n_trials, description="trial")
        self.image = widgets.Image(format="png", layout={"max_width": "100%"})
        self.status = widgets.Label()
        self._connect()
        buttons = widgets.HBox(
            [
                self._button("◀ page", "one view earlier", self.previous_page),
                self._button("page ▶", "one view later", self.next_page),
                self._button("whole", "all frames and rows", self.whole),
                self._button("▲ cell", "cell above", lambda: self.step_cell(-1)),
                self._button("▼ cell", "cell below", lambda: self.step_cell(1)),
            ]
        )
        for wide in (self.start, self.rows, self.contrast):
            wide.layout.width = "340px"
        for narrow in (self.width, self.order, self.cell, self.trial):
            narrow.layout.width = "240px"
        self.widget = widgets.VBox(
            [
                widgets.HBox([self.start, self.width, self.order]),
                widgets.HBox([self.rows, self.cell, self.trial]),
                widgets.HBox([self.contrast, buttons]),
                self.image,
                self.status,
            ]
        )

    def _connect(self) -> None:
        self._on(self.start, lambda start: self._change(start=start, stop=start + self._shown()))
        self._on(self.width, self._zoom)
        self._on(self.rows, lambda rows: self._change(first=rows[0], last=rows[1]))
        self._on(self.order, lambda order: self._change(order=order))
        self._on(self.cell, lambda cell: self._change(cell=cell))
        self._on(self.contrast, lambda contrast: self._change(contrast=contrast))
        self._on(self.trial, self.go_to_trial)

    def _zoom(self, width: int) -> None:
        """Change the number of frames around the middle of the view."""
        start = (self.view.start + self.view.stop - width) // 2
        self._change(start=start, stop=start + width)

    def _shown(self) -> int:
        return self.view.stop - self.view.start

    def _change(self, **changes: Any) -> None:
        self.go(replace(self.view, **changes))

    def _on(self, control: widgets.Widget, action: Callable[[Any], None]) -> None:
        """Call ``action`` with the control's new value, unless :meth:`go` itself set it."""

        def changed(change: dict[str, Any]) -> None:
            if not self._syncing:
                self._guard(lambda: action(change["new"]))

        control.observe(changed, names="value")

    def _button(self, text: str, tooltip: str, action: Callable[[], None]) -> widgets.Button:
        button = widgets.Button(description=text, tooltip=tooltip, layout={"width": "80px"})
        button.on_click(lambda _: self._guard(action))
        return button

    def _guard(self, action: Callable[[], None]) -> None:
        """Errors of a control are shown: a notebook would swallow them."""
        try:
            action()
        except Exception as error:
            logger.debug("session browser", exc_info=True)
            self.status.value = f"{type(error).__name__}: {error}"
            self._sync()

    def _sync(self) -> None:
        """Let all controls show the view."""
        view = self.view
        self._syncing = True
        try:
            self.start.value = view.start
            self.rows.value = (view.first, view.last)
            self.order.value = view.order
            self.cell.value = view.cell
            self.contrast.value = view.contrast
            widths = [width for _, width in self.width.options]
            self.width.value = min(widths, key=lambda width: abs(width - self._shown()))
        finally:
            self._syncing = False
