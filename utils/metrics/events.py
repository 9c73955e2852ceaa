"""Does a forecast see events: frames in which the activity exceeds a threshold?

Forecast and truth are (window, horizon, neuron), the threshold is one number or one per neuron,
chosen on training or validation data by the caller. An event counts as found when the other
trace of the same window has one within ``tolerance`` frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d
from sklearn.metrics import average_precision_score


def event_f1(
    pred: ArrayLike,
    true: ArrayLike,
    threshold: ArrayLike,
    tolerance: int = 1,
    mask: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """F1 of events (horizon, neuron); NaN where neither forecast nor truth has an event."""
    return EventCounts(threshold, tolerance).update(pred, true, mask).f1


def average_precision(
    pred: ArrayLike, true: ArrayLike, threshold: ArrayLike, mask: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Area under the precision-recall curve (horizon, neuron) of the forecast as event score.

    Chance level is the share of events. NaN where the truth has no event. One call of
    scikit-learn per horizon and neuron, about a millisecond each.
    """
    pred, events, _, valid = _events(pred, true, threshold, mask)
    area = np.full(pred.shape[1:], np.nan)
    for step, neuron in zip(*np.nonzero(events.any(axis=0))):
        use = valid[:, step, neuron]
        area[step, neuron] = average_precision_score(
            events[use, step, neuron], pred[use, step, neuron]
        )
    return area


class EventCounts:
    """Events found, missed and invented, of forecasts that arrive batch by batch."""

    def __init__(self, threshold: ArrayLike, tolerance: int = 1) -> None:
        self.threshold, self.tolerance = np.asarray(threshold, np.float64), int(tolerance)
        self._counts: NDArray[np.int64] | None = None  # (4, horizon, neuron)

    def update(
        self, pred: ArrayLike, true: ArrayLike, mask: ArrayLike | None = None
    ) -> EventCounts:
        """Add (window, horizon, neuron) forecasts and truth; mask True where measured."""
        _, true_events, pred_events, _ = _events(pred, true, self.threshold, mask)
        found = true_events & self._near(pred_events)
        right = pred_events & self._near(true_events)
        flags = (found, true_events, right, pred_events)
        counts = np.stack([flag.sum(axis=0) for flag in flags])
        self._counts = counts if self._counts is None else self._counts + counts
        return self

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 (horizon, neuron); NaN where neither forecast nor truth has an event."""
        return self._f1(self._known())

    @property
    def pooled_f1(self) -> NDArray[np.float64]:
        """F1 (horizon,) over the events of all neurons together."""
        return self._f1(self._known().sum(axis=2))

    def _known(self) -> NDArray[np.int64]:
        if self._counts is None:
            raise ValueError("no forecasts were scored; call update first")
        return self._counts

    def _near(self, events: NDArray[np.bool_]) -> NDArray[np.bool_]:
        size = 2 * self.tolerance + 1
        near = maximum_filter1d(events.view(np.uint8), size, axis=1, mode="constant")
        return near.view(bool)

    @staticmethod
    def _f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        found, n_true, right, n_pred = counts.astype(float)
        recall = np.divide(found, n_true, out=np.zeros_like(found), where=n_true > 0)
        precision = np.divide(right, n_pred, out=np.zeros_like(found), where=n_pred > 0)
        total = recall + precision
        f1 = np.divide(2 * recall * precision, total, out=np.zeros_like(found), where=total > 0)
        return np.where((n_true > 0) | (n_pred > 0), f1, np.nan)


def _events(
    pred: ArrayLike, true: ArrayLike, threshold: ArrayLike, mask: ArrayLike | None
) -> tuple[NDArray, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    pred, true = np.asarray(pred), np.asarray(true)
    if pred.ndim != 3 or pred.shape != true.shape:
        raise ValueError(
            f"forecast {pred.shape} and truth {true.shape} must both be (window, horizon, neuron)"
        )
    valid = ~np.isnan(true)
    if mask is not None:
        valid &= np.asarray(mask, bool)
    return pred, valid & (true > threshold), valid & (pred > threshold), valid
