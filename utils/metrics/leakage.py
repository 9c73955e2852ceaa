"""How much a split of windows into training and test gives away.

``train_starts`` and ``test_starts`` are the first frames ``(window,)`` of the windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsRegressor

N_NEIGHBOURS = 5


def share_seen(
    train_starts: NDArray[np.integer], test_starts: NDArray[np.integer], length: int
) -> NDArray[np.float64]:
    """Share ``(test window,)`` of the frames of each test window that some training window holds.

    ``length`` is that of a window in frames. 0 everywhere is what an honest split gives.
    """
    train, test = (_frames(starts, length) for starts in (train_starts, test_starts))
    return np.isin(test, train).mean(axis=1)


def lookup_r2(
    activity: NDArray[np.floating],
    train_starts: NDArray[np.integer],
    test_starts: NDArray[np.integer],
    context: int,
    horizon: int,
) -> float:
    """R2 of a forecast that only looks up the most similar training windows.

    The forecast is the mean future of the five training windows whose past is nearest; R2 is
    about the mean future of training. Looking up knows nothing but the data it has seen, so a
    high value says that test windows were seen in training.

    Parameters
    ----------
    activity : ``(time, neuron)`` without NaN.
    context, horizon : frames of the past and of the future of a window.
    """
    windows = [activity[_frames(s, context + horizon)] for s in (train_starts, test_starts)]
    past, test_past = (w[:, :context].reshape(len(w), -1) for w in windows)
    future, test_future = (w[:, context:].reshape(len(w), -1) for w in windows)
    forecast = KNeighborsRegressor(N_NEIGHBOURS).fit(past, future).predict(test_past)
    error = np.mean((test_future - forecast) ** 2)
    return float(1 - error / np.mean((test_future - future.mean(axis=0)) ** 2))


def _frames(starts: NDArray[np.integer], length: int) -> NDArray[np.integer]:
    return np.asarray(starts)[:, None] + np.arange(length)  # (window, frame)
