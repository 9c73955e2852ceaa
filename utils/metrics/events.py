"""Does a forecast see events: frames in which the activity exceeds a threshold?

Forecast and truth are (window, horizon, neuron), the threshold is one number or one per neuron,
chosen on training or validation data by the caller. An event counts as found when the other
trace of the same window has one within ``tolerance`` frames.

A forecast is a mean over what may happen and therefore shrunk: where events are hard to foresee it
never reaches the threshold of the truth. It may have one of its own, see :func:`best_threshold`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from utils.metrics.forecasting import mark_missing, same_floats


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

    The mean over events of the precision at the event's own score, as ``average_precision_score``
    of scikit-learn. Chance level is the share of events. NaN where the truth has no event or a
    forecast is NaN.
    """
    pred, true = _checked(pred, true, mask)
    valid = ~np.isnan(true)
    events = valid & (true > threshold)
    area = np.full(pred.shape[1:], np.nan)
    for step in range(pred.shape[1]):  # (window, neuron) at once, which bounds the memory
        scores = pred[:, step].T
        everything = np.sort(np.where(valid[:, step].T, scores, -np.inf), axis=1)
        hits = np.sort(np.where(events[:, step].T, scores, -np.inf), axis=1)
        _mean_precision(everything, hits, events[:, step].sum(axis=0), area[step])
    return area


def best_threshold(
    pred: ArrayLike,
    true: ArrayLike,
    threshold: ArrayLike,
    candidates: Sequence[ArrayLike],
    tolerance: int = 1,
    mask: ArrayLike | None = None,
) -> int:
    """Which threshold of the forecast gives the best F1, all horizons and neurons together.

    Parameters
    ----------
    threshold : of the truth.
    candidates : thresholds of the forecast, each one number or one per neuron.

    Returns
    -------
    The place in ``candidates``; the first of equally good ones.
    """
    scores = [
        EventCounts(threshold, tolerance, candidate).update(pred, true, mask).total_f1
        for candidate in candidates
    ]
    return int(np.argmax(np.nan_to_num(scores)))


def event_share(
    pred: ArrayLike, true: ArrayLike, threshold: ArrayLike, mask: ArrayLike | None = None
) -> float:
    """Mean forecast at events over the mean truth there; both measured from the neurons' means.

    Arguments as of :func:`event_f1`. NaN without an event.
    """
    pred, true = _checked(pred, true, mask)
    events = true > threshold  # False where missing
    return float(pred[events].mean() / true[events].mean()) if events.any() else float("nan")


def around_onsets(
    true: ArrayLike,
    traces: Mapping[str, ArrayLike],
    threshold: ArrayLike,
    reach: int,
    mask: ArrayLike | None = None,
) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Mean of traces about the onsets of events: the first frame of each crossing of the threshold.

    Parameters
    ----------
    true, traces : (window, horizon, neuron); onsets are those of ``true`` inside its windows.
    reach : frames before and after the onset.

    Returns
    -------
    Mean (2 reach + 1,) of each trace (NaN where no window reaches), and the number of onsets.
    """
    marked = mark_missing(np.asarray(true), mask)
    onsets = (marked[:, 1:] > threshold) & (marked[:, :-1] <= threshold)
    window, before, neuron = np.nonzero(onsets)
    frames = before[:, None] + 1 + np.arange(-reach, reach + 1)  # (onset, frame)
    inside = (frames >= 0) & (frames < marked.shape[1])
    place = window[:, None], np.clip(frames, 0, marked.shape[1] - 1), neuron[:, None]
    inside &= ~np.isnan(marked[place])
    count = inside.sum(axis=0)
    means = {}
    for name, trace in traces.items():
        total = np.where(inside, np.asarray(trace)[place], 0.0).sum(axis=0, dtype=np.float64)
        means[name] = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means, len(window)


class EventCounts:
    """Events found, missed and invented, of forecasts that arrive batch by batch.

    Parameters
    ----------
    threshold : that the truth exceeds in an event, one number or one per neuron.
    tolerance : frames by which an event may be early or late.
    pred_threshold : that the forecast exceeds; default that of the truth.
    """

    def __init__(
        self, threshold: ArrayLike, tolerance: int = 1, pred_threshold: ArrayLike | None = None
    ) -> None:
        self.threshold, self.tolerance = np.asarray(threshold, np.float64), int(tolerance)
        self.pred_threshold = self.threshold
        if pred_threshold is not None:
            self.pred_threshold = np.asarray(pred_threshold, np.float64)
        self._counts: NDArray[np.int64] | None = None  # (4, horizon, neuron)

    def update(
        self, pred: ArrayLike, true: ArrayLike, mask: ArrayLike | None = None
    ) -> EventCounts:
        """Add (window, horizon, neuron) forecasts and truth; mask True where measured."""
        pred, true = _checked(pred, true, mask)
        if self._counts is None:
            self._counts = np.zeros((4, *pred.shape[1:]), np.int64)
        thresholds = (self.threshold, self.pred_threshold)
        _count_events(
            pred,
            true,
            *(np.broadcast_to(values, pred.shape[2]).copy() for values in thresholds),
            self.tolerance,
            self._counts,
        )
        return self

    @classmethod
    def together(cls, parts: Sequence[EventCounts]) -> EventCounts:
        """The counts of several, e.g. of several seeds on the same windows."""
        one = copy(parts[0])
        one._counts = sum(part._known() for part in parts)
        return one

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 (horizon, neuron); NaN where neither forecast nor truth has an event."""
        return self._f1(self._known())

    @property
    def pooled_f1(self) -> NDArray[np.float64]:
        """F1 (horizon,) over the events of all neurons together."""
        return self._f1(self._known().sum(axis=2))

    @property
    def total_f1(self) -> float:
        """F1 over the events of all neurons and horizons together."""
        return float(self._f1(self._known().sum(axis=(1, 2))))

    def _known(self) -> NDArray[np.int64]:
        if self._counts is None:
            raise ValueError("no forecasts were scored; call update first")
        return self._counts

    @staticmethod
    def _f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        found, n_true, right, n_pred = counts.astype(float)
        recall = np.divide(found, n_true, out=np.zeros_like(found), where=n_true > 0)
        precision = np.divide(right, n_pred, out=np.zeros_like(found), where=n_pred > 0)
        total = recall + precision
        f1 = np.divide(2 * recall * precision, total, out=np.zeros_like(found), where=total > 0)
        return np.where((n_true > 0) | (n_pred > 0), f1, np.nan)


def _checked(pred: ArrayLike, true: ArrayLike, mask: ArrayLike | None) -> tuple[NDArray, ...]:
    pred, true = np.asarray(pred), np.asarray(true)
    if pred.ndim != 3 or pred.shape != true.shape:
        raise ValueError(
            f"forecast {pred.shape} and truth {true.shape} must both be (window, horizon, neuron)"
        )
    return same_floats(pred, mark_missing(true, mask))


@njit(cache=True, nogil=True)
def _count_events(
    pred: NDArray,
    true: NDArray,
    threshold: NDArray[np.float64],
    pred_threshold: NDArray[np.float64],
    tolerance: int,
    counts: NDArray[np.int64],  # (4, horizon, neuron): found, true, right, forecast events
) -> None:
    n_windows, n_steps, n_neurons = pred.shape
    seen = np.zeros((n_steps, n_neurons), np.bool_)
    said = np.zeros((n_steps, n_neurons), np.bool_)
    for window in range(n_windows):
        for step in range(n_steps):
            for n in range(n_neurons):
                t = true[window, step, n]
                seen[step, n] = t > threshold[n]
                said[step, n] = (t == t) & (pred[window, step, n] > pred_threshold[n])
        for step in range(n_steps):
            near = range(max(step - tolerance, 0), min(step + tolerance + 1, n_steps))
            for n in range(n_neurons):
                if seen[step, n]:
                    counts[1, step, n] += 1
                    for other in near:
                        if said[other, n]:
                            counts[0, step, n] += 1
                            break
                if said[step, n]:
                    counts[3, step, n] += 1
                    for other in near:
                        if seen[other, n]:
                            counts[2, step, n] += 1
                            break


@njit(cache=True, nogil=True)
def _mean_precision(
    everything: NDArray,  # (neuron, window) scores, increasing, -inf where missing
    hits: NDArray,  # the same of the events alone
    n_hits: NDArray[np.int64],  # (neuron,)
    area: NDArray[np.float64],
) -> None:
    n_neurons, n_windows = everything.shape
    for n in range(n_neurons):
        if n_hits[n] == 0 or np.isnan(everything[n, -1]):
            continue
        total, above, done = 0.0, 0, 0
        while done < n_hits[n]:
            score = hits[n, n_windows - 1 - done]
            tied = 0  # events of one score are found together
            while done < n_hits[n] and hits[n, n_windows - 1 - done] == score:
                tied, done = tied + 1, done + 1
            while above < n_windows and everything[n, n_windows - 1 - above] >= score:
                above += 1
            total += tied * done / above
        area[n] = total / n_hits[n]
