"""What a mouse saw in a session, as frames of its visual field: the mean over each bin.

Sparse noise is shown as it was. A task's grating is a patch that the wheel moves; its stripes stay
where they are in the visual field (the phase of a trial is not known), so that the mean over a bin
in which the patch moves keeps the contrast that the eye got. They are black and white, and as wide
as the rig's to the nearest pixel. Everything else is grey.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from utils.datasets.v1.transforms import GREY
from utils.metrics.reverse_correlation import pixel_degrees
from utils.preprocessing.covariates import first_known

Floats = NDArray[np.float32]

NOISE_GREY = 128
NOISE_SQUARE = 8.0  # deg
PATCH_AZIMUTH = 35.0  # deg from the midline, on either side
PATCH_SD = 7.0  # deg
STRIPE = 5.0  # deg, half a period of the vertical grating
WHEEL_THRESHOLD = 0.28  # rad that bring a patch to the midline: 4 deg/mm on a wheel of 31 mm
STEPS = 16  # moments of a bin at which patches are looked at


class Screen(NamedTuple):
    """A grid of pixels in the visual field, around straight ahead.

    Attributes
    ----------
    rows, columns : of pixels; row 0 is up, column 0 left.
    px_per_deg : 1 / size of a pixel.
    """

    rows: int = 30
    columns: int = 30
    px_per_deg: float = 0.25

    @property
    def azimuth(self) -> NDArray[np.float64]:
        """(column,) deg, right +."""
        return pixel_degrees(self.rows, self.columns, self.px_per_deg)[0]

    @property
    def elevation(self) -> NDArray[np.float64]:
        """(row,) deg, up +."""
        return pixel_degrees(self.rows, self.columns, self.px_per_deg)[1]


DEFAULT_SCREEN = Screen()  # 120 x 120 deg, as the sparse noise


def shown_frames(
    session: Any, times: ArrayLike, interval: float, screen: Screen = DEFAULT_SCREEN
) -> NDArray[np.uint8]:
    """Frames (time, row, column) of the bins ``(t - interval, t]``; 127 is grey.

    Parameters
    ----------
    session : with the attributes of ``MesoscopeSession``; what it has not was not shown.
    times : (time,) ends of the bins, s.
    """
    times = np.asarray(times, np.float64)
    contrast = np.zeros((len(times), screen.rows, screen.columns), np.float32)
    if session.noise_frames is not None:
        _add_noise(contrast, session, times, interval, screen)
    if {"stimOn_times", "contrastLeft", "contrastRight"} <= set(session.trials):
        _add_patches(contrast, session, times, interval, screen)
    return to_grey_levels(contrast)


def to_grey_levels(contrast: ArrayLike) -> NDArray[np.uint8]:
    """Contrasts from -1 (black) to 1 (white) as grey levels."""
    return (GREY + GREY * np.clip(contrast, -1, 1)).round().astype(np.uint8)


def noise_interval(times: ArrayLike) -> float:
    """Seconds for which a frame of sparse noise is shown, from onsets (frame,)."""
    return float(np.median(np.diff(times)))


def noise_on_screen(frames: NDArray, screen: Screen) -> Floats:
    """Contrasts (frame, row, column) on the screen of frames of squares; 0 around them."""
    image = (frames.astype(np.float32) - NOISE_GREY) / (NOISE_GREY - 1)
    rows = _square_of(-screen.elevation, frames.shape[1])
    columns = _square_of(screen.azimuth, frames.shape[2])
    around = np.pad(image, ((0, 0), (0, 1), (0, 1)))  # index -1 is grey
    return around[:, rows][:, :, columns].clip(-1, 1)


def patch_on_screen(contrast: ArrayLike, azimuth: ArrayLike, screen: Screen) -> Floats:
    """Contrasts (patch, row, column) of gratings at azimuths (patch,) deg and elevation 0."""
    across = np.asarray(contrast)[:, None] * _bump(screen.azimuth, np.asarray(azimuth)[:, None])
    return _striped(across.astype(np.float32), screen)


def _add_noise(
    contrast: Floats, session: Any, times: NDArray, interval: float, screen: Screen
) -> None:
    onsets = np.asarray(session.noise_times, np.float64)
    squares = noise_on_screen(session.noise_frames, screen)
    lasts = np.diff(onsets, append=np.inf).clip(max=noise_interval(onsets) * 1.5)
    lasts[-1] = noise_interval(onsets)
    before = np.cumsum(squares * lasts[:, None, None], axis=0, dtype=np.float64)
    before -= squares * lasts[:, None, None]  # contrast x seconds up to each onset

    def shown_until(moments: NDArray) -> NDArray:
        frame = np.clip(np.searchsorted(onsets, moments, side="right") - 1, 0, None)
        since = np.clip(moments - onsets[frame], 0, lasts[frame])
        return before[frame] + squares[frame] * since[:, None, None]

    seen = np.flatnonzero((times > onsets[0]) & (times - interval < onsets[-1] + lasts[-1]))
    ends = times[seen]
    contrast[seen] += (shown_until(ends) - shown_until(ends - interval)) / interval


def _add_patches(
    contrast: Floats, session: Any, times: NDArray, interval: float, screen: Screen
) -> None:
    moments = times[:, None] + interval * (np.arange(STEPS) + 0.5 - STEPS) / STEPS
    moments = moments.ravel()  # of all bins, in order
    across = np.zeros((len(times), screen.columns), np.float32)
    for side, level, on, off, response in _patches(session.trials):
        first, stop = np.searchsorted(moments, (on, off))
        held = np.minimum(moments[first:stop], response)  # the response leaves the patch there
        turned = (_wheel(session, held) - _wheel(session, on)) / WHEEL_THRESHOLD
        azimuth = PATCH_AZIMUTH * (side + np.clip(turned, -1, 1))
        patches = level * _bump(screen.azimuth, azimuth[:, None]) / STEPS
        np.add.at(across, np.arange(first, stop) // STEPS, patches.astype(np.float32))
    seen = np.flatnonzero(across.any(axis=1))
    contrast[seen] += _striped(across[seen], screen)


def _patches(trials: pd.DataFrame) -> NDArray[np.float64]:
    """(patch, 5) side (-1 left), contrast, and onset, offset and response in s."""
    left, right = (trials[name].to_numpy(np.float64) for name in ("contrastLeft", "contrastRight"))
    onset = trials["stimOn_times"].to_numpy(np.float64)
    response = first_known(trials, ["response_times", "feedback_times"], onset + 1)
    offset = first_known(trials, ["stimOff_times"], response + 1)
    side = np.where(np.isfinite(left), -1, 1)
    level = np.where(np.isfinite(left), left, right)
    patches = np.stack([side, level, onset, offset, response], axis=1)
    return patches[(level > 0) & np.isfinite(onset)]


def _wheel(session: Any, moments: ArrayLike) -> NDArray[np.float64]:
    """Position in rad; without a wheel patches stay where they appear."""
    if session.wheel_position is None:
        return np.zeros(np.shape(moments))
    return np.interp(moments, session.wheel_timestamps, session.wheel_position)


def _striped(across: Floats, screen: Screen) -> Floats:
    """(patch, row, column) gratings from envelopes along the azimuth (patch, column)."""
    width = max(round(STRIPE * screen.px_per_deg), 1)  # pixels
    stripes = 1 - 2 * (np.arange(screen.columns) // width % 2)
    down = _bump(screen.elevation, 0.0)
    return (down[:, None] * (across * stripes)[:, None, :]).astype(np.float32)


def _bump(grid: NDArray, centre: ArrayLike) -> NDArray[np.float64]:
    return np.exp(-0.5 * ((grid - centre) / PATCH_SD) ** 2)


def _square_of(degrees: NDArray, n_squares: int) -> NDArray[np.int64]:
    """Which square lies at each of the angles; ``n_squares`` (one behind the last) is none."""
    square = np.floor(degrees / NOISE_SQUARE + n_squares / 2).astype(np.int64)
    return np.where((square >= 0) & (square < n_squares), square, n_squares)
