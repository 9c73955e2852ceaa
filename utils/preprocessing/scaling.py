"""Per-neuron scaling, fitted on the training block only."""

from __future__ import annotations

import numpy as np

from utils.preprocessing.config import ScalingConfig
from utils.preprocessing.memory import release_pages
from utils.signals import column_quantiles

_IQR_OF_NORMAL = 1.349  # interquartile range of a normal distribution of standard deviation 1


def fit_scaler(train: np.ndarray, config: ScalingConfig) -> tuple[np.ndarray, np.ndarray]:
    """``offset`` and ``scale``, each ``(neuron,)`` float64; scaled = (raw - offset) / scale.

    Parameters
    ----------
    train : (time, neuron) of the training block, NaN left out.

    A neuron without spread has scale 0 (or NaN without any value): the cell filter drops it.
    """
    n_neurons = train.shape[1]
    if config.method == "none":
        return np.zeros(n_neurons), np.ones(n_neurons)
    if config.method == "percentile":
        low, high = column_quantiles(train, [config.low / 100, config.high / 100])
        return low, high - low
    if config.method == "robust":
        low, middle, high = column_quantiles(train, [0.25, 0.5, 0.75])
        return middle, (high - low) / _IQR_OF_NORMAL
    present = np.isfinite(train)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, train, 0).sum(axis=0, dtype=np.float64) / count
    square = np.where(present, train - mean, 0.0) ** 2
    return mean, np.sqrt(square.sum(axis=0) / count)


class ScaledRows:
    """Rows of a larger matrix, some columns only, scaled as they are read.

    So the whole scaled matrix never exists in memory: ``rows[a:b]`` is ``(b - a, neuron)``.
    """

    def __init__(
        self, values: np.ndarray, columns: np.ndarray, offset: np.ndarray, scale: np.ndarray
    ) -> None:
        self._values = values
        self._columns = np.flatnonzero(columns)
        self._offset = offset.astype(np.float32)
        self._scale = scale.astype(np.float32)
        self.shape = (len(values), len(self._columns))

    def __getitem__(self, rows: slice) -> np.ndarray:
        block = self._values[rows][:, self._columns]
        block -= self._offset
        block /= self._scale
        release_pages(self._values)
        return block
