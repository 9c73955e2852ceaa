"""Bumps over recent lags that widen with the lag, to see the past through (Pillow et al. 2008)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def raised_cosines(n_lags: int, n_bumps: int, offset: float = 1.0) -> NDArray[np.float64]:
    """(bump, lag) cosine bumps of height 1 over lags 0 to ``n_lags`` - 1.

    They are evenly spaced in log(lag + ``offset``): the larger the offset, the more alike their
    widths.
    """
    warped = np.log(np.arange(n_lags) + offset)
    spacing = (warped[-1] - warped[0]) / max(n_bumps - 1, 1) or 1.0  # one lag: any
    centres = np.linspace(warped[0], warped[-1], n_bumps)
    phase = (warped - centres[:, None]) * np.pi / (2 * spacing)
    return (1 + np.cos(phase.clip(-np.pi, np.pi))) / 2
