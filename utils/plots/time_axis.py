"""An axis that counts frames, labelled with the time on the session clock."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

_STEPS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)  # s
GAP = 1.5  # a longer step than this many median frame intervals is a gap


def label_frames_with_time(
    ax: Axes, times: np.ndarray, start: int = 0, stop: int | None = None, max_ticks: int = 12
) -> None:
    """Ticks at round times, as minutes:seconds, on an axis from frame ``start`` to ``stop``.

    A gap has no width on such an axis, and no tick; see :func:`gap_frames`.
    """
    stop = len(times) if stop is None else stop
    ax.set_xlim(start, max(stop, start + 1))
    ax.set_xlabel("time (min:s)")
    shown = np.asarray(times[start:stop], float)
    if len(shown) == 0:
        ax.set_xticks([])
        return
    span = shown[-1] - shown[0]
    step = next((step for step in _STEPS if span / step <= max_ticks), _STEPS[-1])
    ticks = np.arange(np.ceil(shown[0] / step), np.floor(shown[-1] / step) + 1) * step
    frames = np.minimum(np.searchsorted(shown, ticks), len(shown) - 1)
    interval = np.median(np.diff(shown)) if len(shown) > 1 else step
    hit = np.abs(shown[frames] - ticks) <= interval
    ax.set_xticks(start + frames[hit], [clock_text(tick) for tick in ticks[hit]])


def gap_frames(times: np.ndarray) -> np.ndarray:
    """Frames before which time makes a jump."""
    steps = np.diff(times)
    return np.flatnonzero(steps > GAP * np.median(steps)) + 1 if len(steps) else np.zeros(0, int)


def clock_text(seconds: float) -> str:
    """``75`` -> ``"1:15"``, ``0.5`` -> ``"0:00.5"``."""
    minutes, rest = divmod(float(seconds), 60)
    text = f"{rest:04.1f}" if rest % 1 else f"{rest:02.0f}"
    return f"{int(minutes)}:{text}"
