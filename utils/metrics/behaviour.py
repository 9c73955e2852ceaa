"""Numbers about trials and behaviour: psychometric curve, reaction times, activity around events.

Trials are IBL tables: ``contrastLeft`` and ``contrastRight`` in 0..1 (NaN on the side without a
stimulus), ``choice`` -1 for a turn that reports a stimulus on the right, +1 left, 0 none;
all times in seconds on the session clock.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

CHOSE_RIGHT = -1
NO_CHOICE = 0
TRIAL_COLUMNS = (
    "stimOn_times",
    "contrastLeft",
    "contrastRight",
    "probabilityLeft",
    "firstMovement_times",
    "choice",
    "response_times",
    "feedback_times",
    "feedbackType",
)


def standard_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with all columns that are used here; NaN (choice: 0) where one is missing.

    Block probabilities are rounded: 0.2 is stored as 0.2 or as 1 - 0.8, which differ.
    """
    absent = [name for name in TRIAL_COLUMNS if name not in trials]
    filled = trials.assign(**dict.fromkeys(absent, np.nan))
    return filled.assign(
        choice=filled["choice"].fillna(NO_CHOICE),
        probabilityLeft=filled["probabilityLeft"].astype(float).round(3),
    )


def signed_contrast(trials: pd.DataFrame) -> np.ndarray:
    """Contrast in percent, negative on the left; a catch trial is 0 ``(trial,)``."""
    right = trials["contrastRight"].to_numpy(float)
    left = trials["contrastLeft"].to_numpy(float)
    return 100 * (np.nan_to_num(right) - np.nan_to_num(left))


def wilson_interval(
    successes: np.ndarray, n: np.ndarray, z: float = 1.959964
) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a proportion (Wilson 1927); NaN where n is 0."""
    n = np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.asarray(successes, float) / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def psychometric(trials: pd.DataFrame, by: str | None = None) -> pd.DataFrame:
    """Share of rightward choices for each signed contrast; trials without a choice are left out.

    Parameters
    ----------
    by : a column, e.g. ``probabilityLeft``, for one curve per value.

    Returns
    -------
    One row per contrast (and value of ``by``): contrast (%), rightward, low, high, n.
    """
    table = trials.assign(contrast=signed_contrast(trials), right=trials["choice"] == CHOSE_RIGHT)
    table = table[table["choice"] != NO_CHOICE]
    keys = ["contrast"] if by is None else [by, "contrast"]
    curve = table.groupby(keys)["right"].agg(["sum", "size"]).reset_index()
    low, high = wilson_interval(curve["sum"], curve["size"])
    return curve.assign(rightward=curve["sum"] / curve["size"], low=low, high=high).rename(
        columns={"size": "n"}
    )[[*keys, "rightward", "low", "high", "n"]]


def reaction_times(trials: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Seconds from stimulus to first movement (else to the response), and which of the two."""
    for column, name in [
        ("firstMovement_times", "first movement"),
        ("response_times", "response"),
    ]:
        if column in trials and trials[column].notna().any():
            return (trials[column] - trials["stimOn_times"]).to_numpy(float), name
    return np.full(len(trials), np.nan), "response"


def align_to_events(
    values: np.ndarray,
    times: np.ndarray,
    events: np.ndarray,
    lags: np.ndarray,
    max_age: float | None = None,
) -> np.ndarray:
    """Values around events: at each lag the last sample at or before it.

    Because nothing is interpolated, a lag before the event never holds a sample from after it.

    Parameters
    ----------
    values : (time, ...) samples.
    times : (time,) increasing, seconds.
    events : (event,) seconds; a NaN event gives NaN.
    lags : (lag,) seconds relative to the event.
    max_age : seconds after which a sample is too old and the value is missing, as in a gap;
        default 1.5 median sample intervals.

    Returns
    -------
    (event, lag, ...) float, NaN where there is no sample.
    """
    values, times = np.asarray(values), np.asarray(times, float)
    wanted = np.asarray(events, float)[:, None] + np.asarray(lags, float)[None, :]
    if len(times) == 0 or wanted.size == 0:
        return np.full(wanted.shape + values.shape[1:], np.nan)
    if max_age is None:
        max_age = 1.5 * float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    index = np.searchsorted(times, wanted + 1e-9, side="right") - 1
    found = np.clip(index, 0, None)
    missing = (index < 0) | ~(wanted - times[found] <= max_age)
    aligned = values[found].astype(np.result_type(values.dtype, np.float32), copy=True)
    aligned[missing] = np.nan
    return aligned


def subtract_baseline(aligned: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Take away each event's mean over the negative lags ``(event, lag, ...)``; NaN without one."""
    before = aligned[:, np.asarray(lags) < 0]
    n = np.isfinite(before).sum(axis=1, keepdims=True)
    mean = np.nansum(before, axis=1, keepdims=True) / np.where(n > 0, n, np.nan)
    return aligned - mean


def event_rate(points: np.ndarray, events: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, int]:
    """Rate of a point process (licks) around events, in 1/s, and the number of events.

    ``edges`` are the bin borders in seconds relative to the event.
    """
    points = np.sort(np.asarray(points, float))
    events = np.asarray(events, float)
    events = events[np.isfinite(events)]
    counts = np.diff(np.searchsorted(points, events[:, None] + edges[None, :]), axis=1)
    if len(events) == 0:
        return np.full(len(edges) - 1, np.nan), 0
    return counts.mean(axis=0) / np.diff(edges), len(events)


def mean_and_error(aligned: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard error and count over the first axis, each without the missing values."""
    n = np.isfinite(aligned).sum(axis=0)
    mean = np.nansum(aligned, axis=0) / np.where(n > 0, n, np.nan)
    squares = np.nansum(np.square(aligned - mean), axis=0)
    return mean, np.sqrt(squares / np.where(n > 1, n - 1, np.nan) / np.where(n > 0, n, np.nan)), n
