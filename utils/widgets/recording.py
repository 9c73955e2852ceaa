"""What the session browser draws: activity at several time resolutions, behaviour, trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from utils.load_meso_session import MesoscopeSession, open_session
from utils.metrics.population import complete, order_by_similarity
from utils.plots.style import area_order
from utils.sessions.hdf5 import SessionFile
from utils.sessions.hdf5_write import coarser

ORDERS = ("original", "area", "position", "correlation")
_SAMPLE = 2000  # frames that are enough for statistics of display
_SIGNALS = {  # start of a covariate's name -> label; session files store covariates z-scored
    "wheel_speed": "wheel speed (z)",
    "pupil": "pupil (z)",
    "motion_energy": "motion (z)",
    "lick": "licks (z)",
}


@dataclass
class Recording:
    """Activity and behaviour on one clock, ready to be drawn.

    ``levels`` holds the activity ``(time, neuron)`` and its means over 4, 16, ... frames;
    memory maps stay memory maps.
    """

    name: str
    times: np.ndarray  # (time,) s
    levels: Sequence[np.ndarray]  # level k: (ceil(time / 4^k), neuron)
    neurons: pd.DataFrame
    unit: str = "a.u."
    simulated: bool = False
    behaviour: Mapping[str, np.ndarray] = field(default_factory=dict)  # label -> (time,)
    events: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> seconds

    @classmethod
    def from_arrays(
        cls,
        activity: np.ndarray,
        times: np.ndarray,
        neurons: pd.DataFrame | None = None,
        name: str = "arrays",
        **rest: object,
    ) -> Recording:
        """From activity ``(time, neuron)`` and times ``(time,)`` in seconds; NaN is missing."""
        activity = np.asarray(activity)
        if activity.ndim != 2 or len(activity) != len(times):
            raise ValueError(
                f"activity must be (time, neuron) with one time per row; found activity of shape "
                f"{activity.shape} and {len(times)} times"
            )
        if neurons is None:
            neurons = pd.DataFrame(index=range(activity.shape[1]))
        levels = [activity]
        while len(levels[-1]) > 1000:
            levels.append(coarser(levels[-1]))
        return cls(name, np.asarray(times, float), levels, neurons, **rest)

    @classmethod
    def from_file(cls, file: SessionFile) -> Recording:
        """From a preprocessed session file; the activity stays on disk."""
        behaviour = {}
        for start, label in _SIGNALS.items():
            found = [i for i, name in enumerate(file.covariate_names) if name.startswith(start)]
            if found:
                behaviour[label] = file.covariates[:, found[0]]
        return cls(
            short_name(file.eid),
            file.timestamps,
            file.pyramid,
            file.neurons,
            file.unit,
            file.simulated,
            behaviour,
            trial_events(file.trials),
        )

    @classmethod
    def from_session(cls, session: MesoscopeSession) -> Recording:
        """From an open session: dF/F where it holds fluorescence, all cells in memory."""
        if session.raw_activity:
            activity, times = session.get_dff_activity_matrix()
        else:
            activity, times = session.get_activity_matrix()
        return cls.from_arrays(
            activity,
            times,
            session.neurons,
            short_name(session.eid),
            unit="dF/F" if session.raw_activity else "a.u.",
            simulated=session.is_simulated,
            behaviour=session_behaviour(session, times),
            events=trial_events(session.trials),
        )

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.times)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.levels[0].shape[1]

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread of each neuron ``(neuron,)`` over an even sample of the frames."""
        sample = self._sample
        n = np.maximum(np.isfinite(sample).sum(axis=0), 1)
        mean = np.nansum(sample, axis=0, dtype=np.float64) / n
        spread = np.sqrt(np.nansum(np.square(sample - mean), axis=0) / n)
        return mean, np.where(spread > 0, spread, 1.0)

    def order(self, by: str) -> np.ndarray:
        """Neurons from the top row to the bottom: original, area, position or correlation."""
        if by not in ORDERS:
            raise ValueError(f"no order '{by}'; known: {', '.join(ORDERS)}")
        if by not in self._orders:
            self._orders[by] = self._make_order(by)
        return self._orders[by]

    @cached_property
    def _orders(self) -> dict[str, np.ndarray]:
        return {"original": np.arange(self.n_neurons)}

    @cached_property
    def _sample(self) -> np.ndarray:
        return np.asarray(self.levels[0][:: max(self.n_frames // _SAMPLE, 1)])

    def _make_order(self, by: str) -> np.ndarray:
        neurons = self.neurons
        if by == "correlation":
            coarse = next((lv for lv in self.levels if len(lv) <= _SAMPLE), self.levels[-1])
            coarse = np.asarray(coarse)
            frames, kept = complete(coarse)
            if frames.sum() < 2:
                return np.arange(self.n_neurons)
            inside = order_by_similarity(coarse[frames][:, kept])
            return np.concatenate([np.flatnonzero(kept)[inside], np.flatnonzero(~kept)])
        column = "region" if by == "area" else "ap"
        if column not in neurons or neurons[column].isna().all():
            raise ValueError(f"this recording has no {column} of its neurons: no order by {by}")
        anterior = -neurons["ap"].to_numpy(float) if "ap" in neurons else np.zeros(self.n_neurons)
        if by == "position":
            return np.argsort(anterior, kind="stable")
        place = {area: index for index, area in enumerate(area_order(neurons["region"]))}
        return np.lexsort([anterior, neurons["region"].astype(str).map(place)])


def as_recording(source: Recording | MesoscopeSession | SessionFile | str | Path) -> Recording:
    """A recording from anything that can be opened: file, session, or a reference to one."""
    if isinstance(source, Recording):
        return source
    if isinstance(source, str | Path):
        if Path(source).suffix in {".h5", ".hdf5"}:
            return Recording.from_file(SessionFile(source))
        return Recording.from_session(open_session(source))
    if isinstance(source, SessionFile):
        return Recording.from_file(source)
    if isinstance(source, MesoscopeSession):
        return Recording.from_session(source)
    raise TypeError(
        f"cannot browse a {type(source).__name__}; give a session, a session file, a reference to "
        "one, or Recording.from_arrays(activity, times)"
    )


def session_behaviour(session: MesoscopeSession, times: np.ndarray) -> dict[str, np.ndarray]:
    """Behaviour at given times (s), label with unit -> ``(time,)``; what is missing is left out."""
    behaviour = {}
    if session.wheel_position is not None:
        behaviour["wheel (rad/s)"] = np.abs(session.get_aligned_wheel_velocity(times))
    if session.pupil is not None:
        behaviour["pupil (px)"] = _last_value(session.pupil, "diameter", times)
    if session.motion_energy is not None:
        energy = session.motion_energy
        first_camera = energy[energy["camera"] == energy["camera"].iloc[0]]
        behaviour["motion (a.u.)"] = _last_value(first_camera, "value", times)
    if session.licks is not None:
        interval = float(np.median(np.diff(times)))
        before = np.searchsorted(np.sort(session.licks), np.stack([times - interval, times]))
        behaviour["licks (1/s)"] = (before[1] - before[0]) / interval
    return behaviour


def short_name(eid: str) -> str:
    """The first part of an experiment id; other names as they are."""
    return eid[:8] if len(eid) == 36 and eid.count("-") == 4 else eid


def trial_events(trials: pd.DataFrame) -> dict[str, np.ndarray]:
    """Times (s) of stimulus, reward and error; empty without trials."""
    if "stimOn_times" not in trials:
        return {}
    events = {"stimulus": trials["stimOn_times"].to_numpy(float)}
    if {"feedback_times", "feedbackType"} <= set(trials):
        feedback = trials["feedback_times"].to_numpy(float)
        rewarded = trials["feedbackType"].to_numpy() > 0
        events |= {"reward": feedback[rewarded], "error": feedback[~rewarded]}
    return events


def _last_value(table: pd.DataFrame, column: str, times: np.ndarray) -> np.ndarray:
    """Last finite value at or before each time; NaN before the first and after the last one."""
    valid = table.dropna(subset=[column])
    if valid.empty:
        return np.full(len(times), np.nan)
    sampled = valid["time"].to_numpy()
    index = np.searchsorted(sampled, times, side="right") - 1
    values = valid[column].to_numpy(float)[np.clip(index, 0, None)]
    return np.where((index >= 0) & (times <= sampled[-1] + 1), values, np.nan)
