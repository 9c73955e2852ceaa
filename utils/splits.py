"""Contiguous blocks of time with gaps between them: the one owner of split borders.

A recording is cut into a training, a validation and a test block, in this order, so that no
block sees the future of an earlier one. Neighbouring frames of calcium imaging are strongly
correlated, so frames between two blocks are left unused: at least as many as a window is long.
The passive bout is a block of its own, an out-of-distribution test.

Labels are one int8 per frame; preprocessing stores them in the session file and windows read
them there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

TRAIN, VALIDATION, TEST, PASSIVE, UNUSED = 0, 1, 2, 3, -1
SPLIT_NAMES = {
    TRAIN: "train",
    VALIDATION: "validation",
    TEST: "test",
    PASSIVE: "passive",
    UNUSED: "unused",
}


def find_segments(
    timestamps: ArrayLike, valid: ArrayLike | None = None, tolerance: float = 1.5
) -> NDArray[np.int64]:
    """Maximal runs of valid frames without a hole in time.

    Parameters
    ----------
    timestamps : (T,) seconds, increasing.
    valid : (T,) bool, False where a frame must not be used; all frames when None.
    tolerance : a step longer than this multiple of the median step is a hole.

    Returns
    -------
    (n, 2) first frame and one past the last frame of each segment.
    """
    times = check_timestamps(timestamps)
    good = _frame_flags(valid, len(times))
    steps = np.diff(times)
    joined = good[1:] & good[:-1]
    if len(steps):
        joined &= steps <= tolerance * np.median(steps)
    starts = good & ~np.r_[False, joined][: len(good)]
    stops = good & ~np.r_[joined, False][: len(good)]
    return np.stack([np.flatnonzero(starts), np.flatnonzero(stops) + 1], axis=1)


def split_by_blocks(
    timestamps: ArrayLike,
    fractions: Sequence[float],
    gap: int,
    *,
    valid: ArrayLike | None = None,
    passive: tuple[float, float] | None = None,
    trial_starts: ArrayLike | None = None,
) -> NDArray[np.int8]:
    """Label every frame as train, validation, test, passive or unused.

    Parameters
    ----------
    timestamps : (T,) seconds, increasing.
    fractions : shares of the valid frames outside the passive bout, for train, validation and
        test; they sum to 1. The gap is taken from the start of the later block.
    gap : frames left unused between two blocks; at least context + horizon of the windows.
    valid : (T,) bool, False where a frame must not be used; all frames when None.
    passive : first and last second of the passive bout.
    trial_starts : seconds. Borders move to the nearest of them, so that no trial (or, when
        the changes of the task's blocks are given, no block of trials) is cut in two.

    Returns
    -------
    (T,) int8 labels; frames that are not valid keep the label of the block around them.

    Raises
    ------
    ValueError
        Fractions that are no shares, or a block without an uninterrupted run of ``gap`` frames.
    """
    times = check_timestamps(timestamps)
    shares = _check_fractions(fractions)
    gap = _check_gap(gap)
    good = _frame_flags(valid, len(times))
    resting = np.zeros(len(times), bool)
    if passive is not None:
        resting = (times >= passive[0]) & (times <= passive[1])
    task = np.flatnonzero(good & ~resting)
    if not len(task):
        raise ValueError(f"none of {len(times)} frames is valid outside the passive bout")

    borders = [task[min(round(share * len(task)), len(task) - 1)] for share in np.cumsum(shares)]
    if trial_starts is not None:
        borders = _move_to_trials(borders, times, trial_starts)
    labels = np.full(len(times), TRAIN, np.int8)
    labels[borders[0] :] = VALIDATION
    labels[borders[1] :] = TEST
    labels[resting] = PASSIVE
    labels = widen_gaps(labels, gap)
    _check_blocks_hold_a_window(labels, times, good, gap, shares)
    return labels


def widen_gaps(labels: ArrayLike, gap: int) -> NDArray[np.int8]:
    """Labels with at least ``gap`` unused frames between any two different blocks.

    Only the start of the later block is trimmed, so the end of the training block, and with it
    every statistic fitted there, stays as it is.
    """
    widened = np.array(labels, np.int8)
    gap = _check_gap(gap)
    last_label, last_stop = UNUSED, 0
    for start, stop in _runs(widened):
        label = widened[start]
        if label == UNUSED:
            continue
        first = start
        if last_label not in (UNUSED, label):
            first = min(max(start, last_stop + gap), stop)
            widened[start:first] = UNUSED
        if first < stop:
            last_label, last_stop = label, stop
    return widened


def check_timestamps(timestamps: ArrayLike) -> NDArray[np.float64]:
    """Timestamps as float64, or an error that says which frame is wrong."""
    times = np.asarray(timestamps, np.float64)
    if times.ndim != 1:
        raise ValueError(f"timestamps must be (time,), found shape {times.shape}")
    wrong = np.flatnonzero(~np.isfinite(times))
    if len(wrong):
        raise ValueError(f"timestamps: frame {wrong[0]} is {times[wrong[0]]}, expected seconds")
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        i = back[0]
        raise ValueError(
            f"timestamps must increase: frame {i} is at {times[i]:g} s, "
            f"frame {i + 1} at {times[i + 1]:g} s; sort the frames or remove repeated ones"
        )
    return times


def _frame_flags(valid: ArrayLike | None, n_frames: int) -> NDArray[np.bool_]:
    if valid is None:
        return np.ones(n_frames, bool)
    flags = np.asarray(valid, bool)
    if flags.shape != (n_frames,):
        raise ValueError(f"valid has shape {flags.shape}, expected ({n_frames},) as the timestamps")
    return flags


def _check_fractions(fractions: Sequence[float]) -> NDArray[np.float64]:
    shares = np.asarray(fractions, np.float64)
    if shares.shape != (3,) or not (shares > 0).all() or not np.isclose(shares.sum(), 1):
        raise ValueError(
            f"fractions must be three positive shares (train, validation, test) "
            f"that sum to 1, found {tuple(np.ravel(shares).tolist())}"
        )
    return shares


def _check_gap(gap: int) -> int:
    if isinstance(gap, bool) or int(gap) != gap or gap < 0:
        raise ValueError(f"gap must be a number of frames >= 0, found {gap!r}")
    return int(gap)


def _move_to_trials(
    borders: Sequence[int], times: NDArray[np.float64], trial_starts: ArrayLike
) -> list[int]:
    """The first frame at or after the trial start that is nearest to each border."""
    starts = np.asarray(trial_starts, np.float64)
    starts = starts[(starts >= times[0]) & (starts <= times[-1])]  # drops NaN as well
    if not len(starts):
        raise ValueError(
            f"no trial starts within the recording ({times[0]:g} to {times[-1]:g} s); "
            f"leave trial_starts out to split by time"
        )
    nearest = [starts[np.argmin(np.abs(starts - times[border]))] for border in borders[:2]]
    return [int(np.searchsorted(times, start)) for start in nearest]


def _check_blocks_hold_a_window(
    labels: NDArray[np.int8],
    times: NDArray[np.float64],
    good: NDArray[np.bool_],
    gap: int,
    shares: NDArray[np.float64],
) -> None:
    longest = {}
    for label in (TRAIN, VALIDATION, TEST):
        segments = find_segments(times, good & (labels == label))
        longest[label] = int(np.diff(segments, axis=1).max(initial=0))
    short = [SPLIT_NAMES[label] for label, length in longest.items() if length < max(gap, 1)]
    if short:
        found = ", ".join(f"{SPLIT_NAMES[label]} {n}" for label, n in longest.items())
        raise ValueError(
            f"recording too short: {len(times)} frames ({good.sum()} valid) split "
            f"{'/'.join(f'{share:g}' for share in shares)} with gaps of {gap} frames leave the "
            f"longest uninterrupted runs {found} frames; {' and '.join(short)} cannot hold one "
            f"window of {max(gap, 1)} frames. Use a shorter context + horizon, other fractions "
            f"or a longer recording"
        )


def _runs(labels: NDArray[np.int8]) -> Iterator[tuple[int, int]]:
    """First frame and one past the last frame of every run of equal labels."""
    if len(labels):
        edges = np.flatnonzero(np.diff(labels)) + 1
        yield from zip([0, *edges.tolist()], [*edges.tolist(), len(labels)])
