"""The cells of all fields of view as one matrix on one clock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.sessions.clock import resample_to_clock
from utils.sessions.errors import SessionError
from utils.sessions.fov import FieldsOfView, FOVData, TimeWindow, window_limits


def cells_on_clock(
    fovs: FieldsOfView, times: np.ndarray, activity_of: Callable[[FOVData], np.ndarray]
) -> np.ndarray:
    """Activity ``(time, neuron)`` float32 at ``times``, one FOV in memory at a time.

    ``activity_of`` gives the activity ``(frame, cell)`` of the cells of a FOV. Bad and flagged
    frames, gaps, and frames that a FOV lacks are NaN.
    """
    n_neurons = sum(fov.n_neurons for fov in fovs)
    if not n_neurons:
        raise SessionError(
            f"none of {sum(fov.n_rois for fov in fovs)} ROIs is a cell: there is no activity"
        )
    matrix = np.empty((len(times), n_neurons), dtype=np.float32)
    first = 0
    for fov in fovs:
        columns = slice(first, first + fov.n_neurons)
        matrix[:, columns] = resample_to_clock(
            activity_of(fov),
            fov.timestamps,
            fov.roi_time_offsets[fov.cell_indices],
            fov.good_frame_mask,
            times,
        )
        first = columns.stop
    return matrix


def frames_in_window(fovs: FieldsOfView, times: np.ndarray, time_window: TimeWindow) -> np.ndarray:
    """Indices of the clock's frames in a window (s) that counts from the first good frame."""
    start, stop = window_limits(time_window)
    first_good = [fov.timestamps[fov.good_frame_mask][:1] for fov in fovs]
    first_good = np.concatenate(first_good)
    if not len(first_good):
        raise SessionError("all frames of all fields of view are bad or flagged")
    if time_window is None:
        return np.arange(len(times))
    since = times - first_good.min()
    kept = np.flatnonzero((since >= start) & (since <= stop))
    if not len(kept):
        raise SessionError(
            f"no frame between {start:g} and {stop:g} s after the first good frame; the recording "
            f"ends {since[-1]:.1f} s after it"
        )
    return kept
