"""Behaviour of a session: trials, wheel, licks, pupil, motion energy, passive bout; all optional.

What is missing or unusable leaves an empty place and a row in the availability table.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.signal import butter, sosfilt, sosfilt_zi

from utils.sessions.alf import Source
from utils.sessions.availability import Availability
from utils.sessions.errors import SessionError
from utils.sessions.npy import open_npy

logger = logging.getLogger(__name__)

TRIALS_TABLE = "_ibl_trials.table.pqt"
WHEEL = ("_ibl_wheel.position.npy", "_ibl_wheel.timestamps.npy")
LICKS = ("licks.times.npy", "_ibl_licks.times.npy")
CAMERAS = ("left", "right")
PASSIVE_VIDEO = "_sp_video.times.npy"
PASSIVE_PERIODS = "_ibl_passivePeriods.intervalsTable.csv"
PASSIVE_GABOR = "_ibl_passiveGabor.table.csv"
NOISE_FRAMES = "_iblrig_RFMapStim.raw.bin"
NOISE_TIMES = "_ibl_passiveRFM.times.npy"
NOISE_SHAPE = (15, 15)  # rows and columns of squares

WHEEL_RATE = 1000.0  # Hz, as brainbox resamples the wheel
WHEEL_CORNER = 20.0  # Hz, as brainbox filters it
WHEEL_ORDER = 8


def _trial_column(name: str, meaning: str) -> property:
    def values(self: Behaviour) -> np.ndarray | None:
        return self.trials[name].to_numpy() if name in self.trials else None

    values.__doc__ = f"``(trial,)`` {meaning}; None where the session has no such column."
    return property(values)


class Behaviour(BaseModel):
    """What the animal saw and did: the part of a session that is not imaging. All optional.

    Sessions derive from it and add ``timestamps``, the clock that it is aligned with.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    trials: pd.DataFrame = Field(default_factory=pd.DataFrame, description="one row per trial")
    wheel_position: np.ndarray | None = Field(None, description="(sample,) rad")
    wheel_timestamps: np.ndarray | None = Field(None, description="(sample,) s, irregular")
    licks: np.ndarray | None = Field(None, description="(lick,) s")
    pupil: pd.DataFrame | None = Field(None, description="time (s), diameter (px)")
    motion_energy: pd.DataFrame | None = Field(None, description="time (s), value, camera")
    passive: tuple[float, float] | None = Field(None, description="(start, stop) s")
    passive_stimulus_times: np.ndarray | None = Field(None, description="(stimulus,) s")
    noise_frames: np.ndarray | None = Field(
        None, description="(frame, row, column) uint8 sparse noise, row 0 up, column 0 left"
    )
    noise_times: np.ndarray | None = Field(None, description="(frame,) s, onsets of the noise")

    stimOn_times = _trial_column("stimOn_times", "s, onset of the stimulus")
    stimOff_times = _trial_column("stimOff_times", "s, offset of the stimulus")
    feedback_times = _trial_column("feedback_times", "s, reward or error sound")
    response_times = _trial_column("response_times", "s, response recorded")
    contrastLeft = _trial_column("contrastLeft", "0-1, NaN without a stimulus on the left")
    contrastRight = _trial_column("contrastRight", "0-1, NaN without a stimulus on the right")
    feedbackType = _trial_column("feedbackType", "1 correct, -1 error")

    @property
    def intervals(self) -> np.ndarray | None:
        """``(trial, 2)`` start and end of each trial in s."""
        columns = ["intervals_0", "intervals_1"]
        return self.trials[columns].to_numpy() if set(columns) <= set(self.trials) else None

    @cached_property
    def aligned_wheel_velocity(self) -> np.ndarray | None:
        """``(time,)`` rad/s at the session's clock; None without a wheel."""
        return None if self.wheel_position is None else self.get_aligned_wheel_velocity()

    def get_aligned_wheel_velocity(self, t: np.ndarray | None = None) -> np.ndarray:
        """Wheel velocity ``(time,)`` in rad/s at times ``t`` (s; default: the session's clock).

        Causal: no value depends on what the wheel did later. NaN outside the wheel recording.
        """
        if self.wheel_position is None or self.wheel_timestamps is None:
            raise SessionError("the session has no wheel data; see session.availability")
        t = self.timestamps if t is None else np.asarray(t, dtype=np.float64)
        return wheel_velocity(self.wheel_position, self.wheel_timestamps, t)


def read_behaviour(source: Source, availability: Availability) -> dict[str, Any]:
    """Everything of behaviour that a session has.

    Returns a dict with ``trials`` (DataFrame, one row per trial, times in s), ``wheel_position``
    (rad) and ``wheel_timestamps`` (s), ``licks`` (s), ``pupil`` (DataFrame time, diameter in px),
    ``motion_energy`` (DataFrame time, value, camera), ``passive`` ((start, stop) in s),
    ``passive_stimulus_times`` (s), and ``noise_frames`` (frame, row, column) with ``noise_times``
    (s). What is absent is None (trials: an empty table).
    """
    reader = _Reader(source, availability)
    position, timestamps = _read_wheel(reader)
    passive, stimulus_times = _read_passive(reader)
    noise_frames, noise_times = _read_noise(reader)
    return {
        "trials": _read_trials(reader),
        "wheel_position": position,
        "wheel_timestamps": timestamps,
        "licks": reader.numbers(LICKS, "no licks"),
        "pupil": _read_pupil(reader),
        "motion_energy": _read_motion_energy(reader),
        "passive": passive,
        "passive_stimulus_times": stimulus_times,
        "noise_frames": noise_frames,
        "noise_times": noise_times,
    }


def wheel_velocity(position: np.ndarray, timestamps: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Wheel velocity in rad/s at given times ``(time,)``; NaN outside the wheel recording.

    As brainbox does it, the position is brought to 1000 Hz and low-passed at 20 Hz (Butterworth,
    order 8). Unlike there nothing looks ahead: between two encoder ticks the wheel is where the
    last tick left it, the filter runs forward only (delay about 40 ms), and the value at a time is
    the last one before it.
    """
    if len(timestamps) < 2:
        return np.full(len(times), np.nan)
    grid = np.arange(timestamps[0], timestamps[-1], 1.0 / WHEEL_RATE)  # (sample,)
    last_tick = np.searchsorted(timestamps, grid, side="right") - 1
    held = np.asarray(position, dtype=np.float64)[last_tick]
    sos = butter(WHEEL_ORDER, WHEEL_CORNER, fs=WHEEL_RATE, output="sos")
    smooth, _ = sosfilt(sos, held, zi=sosfilt_zi(sos) * held[0])
    velocity = np.diff(smooth, prepend=smooth[0]) * WHEEL_RATE
    at = np.searchsorted(grid, times, side="right") - 1
    inside = (at >= 0) & (np.asarray(times) <= timestamps[-1])
    return np.where(inside, velocity[np.clip(at, 0, None)], np.nan)


class _Reader:
    """Finds behaviour data sets in whichever collection holds them, and notes what is missing."""

    def __init__(self, source: Source, availability: Availability) -> None:
        self.source = source
        self._availability = availability

    def path(
        self, names: Iterable[str], consequence: str, collection: str | None = None
    ) -> Path | None:
        names = list(names)
        collection = collection or self.source.collection_with(names)
        name = self.source.find(collection, names) if collection else None
        self.note(name or names[0], collection or "alf", name is not None, consequence)
        return self.source.path(collection, name) if name else None

    def numbers(self, names: Iterable[str], consequence: str) -> np.ndarray | None:
        path = self.path(names, consequence)
        return None if path is None else np.array(open_npy(path)).squeeze()

    def note(self, dataset: str, collection: str, found: bool, consequence: str) -> None:
        self._availability.note(
            dataset, collection, found, consequence="" if found else consequence
        )

    def unusable(self, dataset: str, collection: str, reason: str) -> None:
        """A data set that is there but cannot be used."""
        logger.warning("%s/%s is not used: %s", collection, dataset, reason)
        self._availability.note(dataset, collection, True, consequence=f"not used: {reason}")


def _read_trials(reader: _Reader) -> pd.DataFrame:
    """The trials table with the data sets stored beside it as further columns."""
    source = reader.source
    collection = source.collection_with([TRIALS_TABLE])
    path = reader.path([TRIALS_TABLE], "no trials: no stimulus or choice to relate activity to")
    if path is None:
        return pd.DataFrame()
    trials = _read_table(path)
    for name in sorted(source.datasets[collection]):
        if not (name.startswith("_ibl_trials.") and name.endswith(".npy")):
            continue
        values = np.array(open_npy(source.path(collection, name)))
        if len(values) != len(trials):
            reader.unusable(name, collection, f"{len(values)} rows for {len(trials)} trials")
            continue
        column = name.split(".")[1]
        columns = {column: values} if values.ndim == 1 else _numbered(column, values)
        reader.note(name, collection, True, "")
        trials = trials.assign(**columns)
    return trials


def _read_wheel(reader: _Reader) -> tuple[np.ndarray | None, np.ndarray | None]:
    consequence = "no wheel: velocity unknown"
    position, timestamps = (reader.numbers([name], consequence) for name in WHEEL)
    if position is None or timestamps is None:
        return None, None
    if len(position) != len(timestamps):
        lengths = f"{len(position)} positions for {len(timestamps)} timestamps"
        reader.unusable(WHEEL[0], reader.source.collection_with(WHEEL), lengths)
        return None, None
    return position, timestamps


def _read_pupil(reader: _Reader) -> pd.DataFrame | None:
    """Pupil diameter of the first camera that has one; the smoothed trace where there is one."""
    for camera in CAMERAS:
        name = f"_ibl_{camera}Camera.features.pqt"
        if reader.source.collection_with([name]) is None:
            continue
        table = _read_table(reader.path([name], ""))
        columns = ("pupilDiameter_smooth", "pupilDiameter_raw")
        column = next((c for c in columns if c in table), None)
        if column is None:
            reader.unusable(name, "alf", f"no pupil diameter among {list(table.columns)}")
            continue
        times = table["times"].to_numpy() if "times" in table else None
        timed = _timed(reader, name, camera, table[column].to_numpy(), times)
        if timed is not None:
            return timed.rename(columns={"value": "diameter"})
    if not any(reader.source.collection_with([f"_ibl_{c}Camera.features.pqt"]) for c in CAMERAS):
        reader.note("_ibl_leftCamera.features.pqt", "alf", False, "no pupil diameter")
    return None


def _read_motion_energy(reader: _Reader) -> pd.DataFrame | None:
    tables = []
    for camera in CAMERAS:
        name = f"{camera}Camera.ROIMotionEnergy.npy"
        values = reader.numbers([name], f"no motion energy of the {camera} camera")
        timed = None if values is None else _timed(reader, name, camera, values)
        if timed is not None:
            tables.append(timed.assign(camera=camera))
    return pd.concat(tables, ignore_index=True) if tables else None


def _timed(
    reader: _Reader,
    name: str,
    camera: str,
    values: np.ndarray,
    times: np.ndarray | None = None,
) -> pd.DataFrame | None:
    """Camera values with their times; without usable times they cannot be placed."""
    if times is None:
        times_name = f"_ibl_{camera}Camera.times.npy"
        times = reader.numbers([times_name], f"{name} cannot be placed in time and is not used")
        if times is None:
            return None
    if len(times) < len(values):
        reader.unusable(name, "alf", f"{len(values)} values for {len(times)} camera times")
        return None
    # cameras may run on after the last analysed frame, so surplus times are at the end
    return pd.DataFrame({"time": times[: len(values)], "value": values})


def _read_passive(reader: _Reader) -> tuple[tuple[float, float] | None, np.ndarray | None]:
    """Start and stop of the passive bout, and the times of its stimuli.

    The bout is that of the table of periods, else it lasts as long as its stimuli.
    """
    source = reader.source
    stimulus_times = None
    if source.collection_with([PASSIVE_VIDEO]):
        stimulus_times = reader.numbers([PASSIVE_VIDEO], "")
    elif source.collection_with([PASSIVE_GABOR]):
        gabor = pd.read_csv(reader.path([PASSIVE_GABOR], ""))
        stimulus_times = gabor["start"].to_numpy() if "start" in gabor else None
    if source.collection_with([PASSIVE_PERIODS]):
        periods = pd.read_csv(reader.path([PASSIVE_PERIODS], ""), index_col=0)
        if "passiveProtocol" in periods:
            return _extent(periods["passiveProtocol"].to_numpy()), stimulus_times
        reader.unusable(PASSIVE_PERIODS, "alf", f"no passiveProtocol in {list(periods)}")
    if stimulus_times is None:
        consequence = "no passive bout: no out-of-distribution test"
        reader.note(PASSIVE_VIDEO, "alf/task_01", False, consequence)
    return _extent(stimulus_times), stimulus_times


def _read_noise(reader: _Reader) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Sparse noise of the passive bout, which maps receptive fields, and its onsets.

    The rig writes the squares of a frame column by column, from its upper left corner.
    """
    consequence = "no sparse noise to map receptive fields with"
    collection = reader.source.collection_with([NOISE_FRAMES], root="raw")
    if collection is None:
        reader.note(NOISE_FRAMES, "raw_passive_data", False, consequence)
        return None, None
    squares = np.fromfile(reader.path([NOISE_FRAMES], "", collection), dtype=np.uint8)
    times = reader.numbers([NOISE_TIMES], consequence)
    if times is None:
        return None, None
    rows, columns = NOISE_SHAPE
    if squares.size != times.size * rows * columns:
        expected = f"{times.size} frames of {rows} x {columns} for as many times"
        reader.unusable(NOISE_FRAMES, collection, f"{squares.size} bytes; expected {expected}")
        return None, None
    return squares.reshape(-1, columns, rows).swapaxes(1, 2), times


def _extent(times: np.ndarray | None) -> tuple[float, float] | None:
    if times is None or not np.size(times):
        return None
    return float(np.nanmin(times)), float(np.nanmax(times))


def _numbered(column: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{column}_{i}": values[:, i] for i in range(values.shape[1])}


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors derive from these
        raise SessionError(
            f"{path} cannot be read as parquet ({path.stat().st_size} bytes): {error}"
        ) from error
