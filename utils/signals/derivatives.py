"""Time derivatives of sampled traces, and the smoothed traces that belong to them.

A forward difference ``(u[t+1] - u[t]) / dt`` is exact for activity that was made by explicit Euler
steps, and the efficient choice where noise enters the dynamics (process noise). It multiplies
noise of the *measurement* by ``sqrt(2) / dt``. A Savitzky-Golay derivative (Savitzky & Golay 1964)
is the slope of a polynomial fitted to a window of frames around t; it averages measurement noise
away as long as the activity is a polynomial over a window.

Noise of the measurement is in the regressors too, and shrinks what is regressed on them (errors
in variables): take :func:`savitzky_golay` activity together with a Savitzky-Golay derivative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import savgol_filter

DerivativeMethod = Literal["savitzky_golay", "finite_difference"]


def derivative(
    activity: ArrayLike,
    dt: float,
    method: DerivativeMethod = "savitzky_golay",
    window: int = 31,
    order: int = 3,
) -> NDArray[np.floating]:
    """du/dt of each trace, such that ``derivative[t]`` belongs to ``activity[t]``.

    ======================  ====================================================================
    ``"savitzky_golay"``    slope at frame t of the polynomial through the window around t; the
                            first and last ``window // 2`` frames of a segment take the slope of
                            the polynomial of its first and last window
    ``"finite_difference"`` ``(u[t+1] - u[t]) / dt``: the step that leaves frame t, the slope half
                            a frame later if the activity is smooth; the last frame of a segment
                            has no step and is NaN
    ======================  ====================================================================

    A segment is a run of finite frames of a trace; none has a share in another's derivative.

    Parameters
    ----------
    activity : ``(time,)`` or ``(time, neuron)``; NaN where a frame is missing.
    dt : time between frames; the derivative is per unit of it.
    window, order : of Savitzky-Golay: frames (odd) and degree of the polynomial.

    Returns
    -------
    An array shaped as ``activity``, float32 unless the activity is float64. NaN where the
    activity is missing, and in segments shorter than the window (or than two frames).

    Raises
    ------
    ValueError
        Fewer frames than a window (or than two), or settings that make no derivative.
    """
    activity = _as_traces(activity)
    if not dt > 0:
        raise ValueError(f"dt = {dt}: the time between frames must be positive")
    if method == "savitzky_golay":
        return _savitzky_golay(activity, window, order, deriv=1, delta=dt)
    if method == "finite_difference":
        _check_length(activity, 2)
        slopes = np.full_like(activity, np.nan)
        np.subtract(activity[1:], activity[:-1], out=slopes[:-1])
        slopes[:-1] /= dt
        return slopes
    raise ValueError(f"method = {method!r}: choose one of {get_args(DerivativeMethod)}")


def savitzky_golay(activity: ArrayLike, window: int = 31, order: int = 3) -> NDArray[np.floating]:
    """Activity smoothed by the polynomials whose slopes :func:`derivative` gives, same shape.

    Missing frames and segments shorter than the window are NaN.
    """
    return _savitzky_golay(_as_traces(activity), window, order)


def remove_decay(
    trace: ArrayLike, dt: float, tau: float, window: int = 31, order: int = 3
) -> NDArray[np.floating]:
    """What drives an indicator that decays with ``tau``: ``x`` in ``tau dC/dt = x - C``.

    The linear inverse of the decay, ``C + tau dC/dt`` of Savitzky-Golay polynomials; nothing is
    held positive, unlike in :func:`~utils.signals.deconvolve_ar1`, so that noise stays unbiased.
    A connectivity fit of a calcium trace takes x as the activity, or where calcium follows a known
    function of the activity, its inverse at x.

    Parameters
    ----------
    trace : ``(time,)`` or ``(time, neuron)`` without its baseline; NaN where missing.
    dt, tau : in the same unit of time.

    Returns
    -------
    An array shaped as ``trace``, NaN where :func:`derivative` is.
    """
    if not tau >= 0:
        raise ValueError(f"tau = {tau}: the time constant of a decay must not be negative")
    smooth = savitzky_golay(trace, window, order)
    return smooth + smooth.dtype.type(tau) * derivative(trace, dt, "savitzky_golay", window, order)


def _savitzky_golay(
    activity: NDArray[np.floating], window: int, order: int, **slope: float
) -> NDArray[np.floating]:
    if window % 2 == 0 or not order < window:
        raise ValueError(
            f"window = {window}, order = {order}: a window is an odd number of frames, "
            "more than the degree of its polynomial"
        )
    _check_length(activity, window)
    filtered = np.full_like(activity, np.nan)
    traces, out = (x.reshape(len(activity), -1) for x in (activity, filtered))
    for start, stop, columns in _segments(traces):
        if stop - start >= window:
            segment = traces[start:stop, columns]
            out[start:stop, columns] = savgol_filter(segment, window, order, axis=0, **slope)
    return filtered


def _segments(traces: NDArray[np.floating]) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Start, stop and columns of the runs of finite frames; one run for columns that share it."""
    finite = np.isfinite(traces)
    alike = defaultdict(list)
    for column, bits in enumerate(np.packbits(finite, axis=0).T):
        alike[bits.tobytes()].append(column)
    for columns in alike.values():
        edges = np.diff(finite[:, columns[0]].astype(np.int8), prepend=0, append=0)
        for start, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)):
            yield start, stop, np.array(columns)


def _as_traces(activity: ArrayLike) -> NDArray[np.floating]:
    activity = np.asarray(activity)
    if activity.ndim not in (1, 2):
        raise ValueError(f"activity must be (time,) or (time, neuron), found {activity.shape}")
    return activity if activity.dtype == np.float64 else activity.astype(np.float32)


def _check_length(activity: NDArray[np.floating], frames: int) -> None:
    if len(activity) < frames:
        raise ValueError(
            f"{len(activity)} frames: this derivative needs at least {frames}; record longer or "
            'choose a shorter window or method="finite_difference"'
        )
