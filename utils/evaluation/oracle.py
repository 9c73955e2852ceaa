"""Forecasts by someone who knows the truth of a simulation: how good a forecast can get.

An :class:`Oracle` is asked for windows by their first future frame and answers on the scale of
the data, like a forecaster. Scores are then read as a part of what is possible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike

from utils.simulation.population import CalciumPopulation
from utils.simulation.population_oracle import expected_calcium, filtered_state

if TYPE_CHECKING:
    from utils.windows import WindowData

_SAME_VALUE = 1e-3  # of a neuron's deviation: rounding, and no other recording
_COMPARED_FRAMES = 100


class Oracle(Protocol):
    """The best possible forecast of windows of one recording."""

    def __call__(self, origins: ArrayLike) -> np.ndarray:
        """Forecast ``horizon`` frames from each of ``origins``.

        Parameters
        ----------
        origins : (batch,) row of ``data.activity`` of each window's first future frame.

        Returns
        -------
        (batch, horizon, neuron) float32 on the scale of the data.
        """
        ...


class PopulationOracle:
    """Expected activity of a calcium population, given its state at the last context frame."""

    def __init__(
        self,
        population: CalciumPopulation,
        data: WindowData,
        latents: np.ndarray,
        calcium: np.ndarray,
    ) -> None:
        self._population, self._data = population, data
        self._latents, self._calcium = latents, calcium
        self._frames = _frames_of(population, data)
        self._columns = _columns_of(population, data)
        self._offset, self._scale = _scale_of(data)
        _check_same(population.activity[self._frames][:, self._columns], data)

    def __call__(self, origins: ArrayLike) -> np.ndarray:
        """See :class:`Oracle`."""
        last = self._frames[checked_origins(origins, self._data)] - 1
        expected = expected_calcium(
            self._population, self._latents[last], self._calcium[last], self._data.horizon
        )
        return (expected[:, :, self._columns] - self._offset) / self._scale


def calcium_oracle(population: CalciumPopulation, data: WindowData) -> Oracle:
    """Forecast that knows the true latents and calcium at the last context frame.

    ``data`` may hold part of the frames (by their times) and of the neurons (by their column in
    ``uuid``) of ``population``, and may be scaled by :func:`utils.windows.window_data`.

    Raises
    ------
    ValueError
        ``data`` was not made from this population.
    """
    return PopulationOracle(population, data, population.latents, population.calcium)


def kalman_oracle(population: CalciumPopulation, data: WindowData) -> Oracle:
    """Forecast from what the whole population showed up to the last context frame.

    The Kalman filter with the true parameters, over all past frames: how far below
    :func:`calcium_oracle` anything stays that sees the activity alone.

    Raises
    ------
    ValueError
        ``data`` was not made from this population.
    """
    return PopulationOracle(population, data, *filtered_state(population))


def checked_origins(origins: ArrayLike, data: WindowData) -> np.ndarray:
    """First future frames of windows as (batch,) int; a ValueError says which are none."""
    origins = np.asarray(origins)
    if origins.dtype.kind not in "iu" or origins.ndim != 1:
        raise ValueError(
            f"origins must be (batch,) frame numbers, found {origins.dtype} {origins.shape}"
        )
    first, last = data.context, len(data.activity) - data.horizon
    if len(origins) and not (first <= origins.min() and origins.max() <= last):
        raise ValueError(
            f"origins must lie in {first} to {last}, so that a window of {data.context} + "
            f"{data.horizon} frames surrounds them; found {origins.min()} to {origins.max()}"
        )
    return origins


def _frames_of(population: CalciumPopulation, data: WindowData) -> np.ndarray:
    """Row of the population of each row of the data."""
    position = (data.timestamps - population.timestamps[0]) * population.frame_rate
    frames = np.round(position).astype(int)
    known = (frames >= 0) & (frames < len(population.timestamps))
    if not known.all() or np.abs(position - frames).max() > 0.01:
        raise ValueError(
            f"the data's timestamps ({data.timestamps[0]:.3f} to {data.timestamps[-1]:.3f} s) are "
            f"not those of the population ({population.timestamps[0]:.3f} to "
            f"{population.timestamps[-1]:.3f} s at {population.frame_rate:g} Hz); keep "
            "population.timestamps when cutting frames"
        )
    return frames


def _columns_of(population: CalciumPopulation, data: WindowData) -> np.ndarray:
    """Column of the population of each column of the data."""
    n_neurons = population.activity.shape[1]
    numbers = {str(column): column for column in range(n_neurons)}
    uuids = data.neurons["uuid"].astype(str)
    missing = [uuid for uuid in uuids if uuid not in numbers]
    if missing:
        raise ValueError(
            f"neurons' uuid {missing[0]!r} is no column of the population (0 to {n_neurons - 1}); "
            "name the columns kept, as in neurons=pd.DataFrame({'uuid': ['5', '8']})"
        )
    return uuids.map(numbers).to_numpy()


def _scale_of(data: WindowData) -> tuple[np.ndarray, np.ndarray]:
    if data.scaler is None:
        return np.float32(0), np.float32(1)
    return tuple(np.asarray(data.scaler[name], np.float32) for name in ("offset", "scale"))


def _check_same(activity: np.ndarray, data: WindowData) -> None:
    """Compare the first frames with those that the population would give."""
    offset, scale = _scale_of(data)
    expected = (activity[:_COMPARED_FRAMES] - offset) / scale
    found = data.activity[:_COMPARED_FRAMES].numpy()
    difference = np.abs(found - expected)
    wrong = np.nan_to_num(difference) > _SAME_VALUE * np.maximum(1, np.abs(expected))
    if wrong.any():
        column = int(np.argmax(wrong.any(axis=0)))
        raise ValueError(
            f"column {column} of the data differs from the population's activity; make the data "
            "with window_data(population.activity, population.timestamps, ...), scaled there only"
        )
