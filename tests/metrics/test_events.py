"""Event scores against loops and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from utils.metrics import EventCounts, average_precision, best_threshold, event_f1
from utils.metrics.events import around_onsets, event_share


@pytest.fixture
def forecast() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    true = rng.standard_normal((120, 6, 3))
    return true + rng.standard_normal(true.shape), true


def f1_by_loops(pred, true, threshold, tolerance):
    """F1 of one neuron and step by its definition: (window, horizon) -> (horizon,)."""
    scores = []
    for step in range(pred.shape[1]):
        hits = {"recall": [], "precision": []}
        near = slice(max(step - tolerance, 0), step + tolerance + 1)
        for p, t in zip(pred > threshold, true > threshold):
            if t[step]:
                hits["recall"].append(p[near].any())
            if p[step]:
                hits["precision"].append(t[near].any())
        recall, precision = np.mean(hits["recall"]), np.mean(hits["precision"])
        scores.append(2 * recall * precision / (recall + precision))
    return scores


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_f1_agrees_with_its_definition(forecast, tolerance):
    pred, true = forecast
    threshold = np.array([0.5, 0.8, 0.2])
    expected = [f1_by_loops(pred[..., n], true[..., n], threshold[n], tolerance) for n in range(3)]
    np.testing.assert_allclose(event_f1(pred, true, threshold, tolerance), np.transpose(expected))


def test_f1_without_tolerance_is_that_of_scikit_learn(forecast):
    pred, true = forecast
    expected = f1_score(true[:, 2, 1] > 0.5, pred[:, 2, 1] > 0.5)
    assert event_f1(pred, true, 0.5, tolerance=0)[2, 1] == pytest.approx(expected)


def test_an_event_one_frame_late_is_found_two_frames_late_is_not():
    true = np.zeros((1, 7, 2))
    pred = np.zeros((1, 7, 2))
    true[0, 2] = pred[0, 3, 0] = pred[0, 4, 1] = 1
    counts = EventCounts(threshold=0.5).update(pred, true)
    assert counts._known()[0].sum(axis=0).tolist() == [1, 0]  # found, by neuron
    assert event_f1(pred, true, 0.5, tolerance=0)[2].tolist() == [0, 0]


def test_batches_and_pooling(forecast):
    pred, true = forecast
    counts = EventCounts(0.5)
    for part in (slice(0, 50), slice(50, 120)):
        counts.update(pred[part], true[part])
    np.testing.assert_allclose(counts.f1, event_f1(pred, true, 0.5))
    # Pooling the neurons is scoring them as one long trace.
    joined = [np.concatenate([a[..., [n]] for n in range(3)]) for a in (pred, true)]
    np.testing.assert_allclose(counts.pooled_f1, event_f1(*joined, 0.5)[:, 0])


def test_masked_values_are_no_events(forecast):
    pred, true = forecast
    mask = np.ones(true.shape, bool)
    mask[:, 3] = False
    assert np.isnan(event_f1(pred, true, 0.5, mask=mask)[3]).all()
    assert np.isnan(event_f1(pred, np.where(mask, true, np.nan), 0.5)[3]).all()
    assert np.isnan(average_precision(pred, true, 0.5, mask)[3]).all()


def test_no_event_anywhere_is_nan_and_missing_all_is_zero():
    none, some = np.zeros((5, 3, 1)), np.zeros((5, 3, 1))
    some[2] = 1
    assert np.isnan(event_f1(none, none, 0.5)).all()
    assert (event_f1(none, some, 0.5) == 0).all()
    assert (event_f1(some, none, 0.5) == 0).all()
    assert np.isnan(average_precision(some, none, 0.5)).all()


@pytest.mark.parametrize("kind", ["distinct", "tied", "constant", "single precision"])
def test_average_precision_agrees_with_scikit_learn(forecast, kind):
    pred, true = forecast
    pred = {
        "distinct": pred, "tied": pred.round(), "constant": np.zeros_like(pred),
        "single precision": pred.astype(np.float32),
    }[kind]  # fmt: skip
    mask = np.random.default_rng(1).random(true.shape) < 0.8
    area = average_precision(pred, true, [0.5, 1.5, -1], mask)
    for step, neuron in np.ndindex(6, 3):
        use = mask[:, step, neuron]
        events = true[use, step, neuron] > [0.5, 1.5, -1][neuron]
        expected = average_precision_score(events, pred[use, step, neuron])
        assert area[step, neuron] == pytest.approx(expected, abs=1e-12)


def test_a_forecast_that_is_nan_has_no_precision(forecast):
    pred, true = forecast
    pred[3, 2, 1] = np.nan
    missing = np.isnan(average_precision(pred, true, 0.5))
    assert np.argwhere(missing).tolist() == [[2, 1]]


def test_a_shrunken_forecast_gets_a_shrunken_threshold(forecast):
    _, true = forecast
    shrunken = 0.3 * true
    thresholds = [1.0, 0.5, 0.3, 0.1]
    assert thresholds[best_threshold(shrunken, true, 1.0, thresholds)] == 0.3
    at_its_own = EventCounts(1.0, pred_threshold=0.3).update(shrunken, true)
    assert at_its_own.total_f1 == 1
    assert EventCounts(1.0).update(shrunken, true).total_f1 < 0.5
    assert best_threshold(true, true + 100 * (true > 9), 50.0, thresholds) == 0  # no events


def test_counts_of_several_add_up(forecast):
    pred, true = forecast
    parts = [EventCounts(0.5).update(p, t) for p, t in ((pred, true), (true, true))]
    both = EventCounts(0.5).update(pred, true).update(true, true)
    np.testing.assert_array_equal(EventCounts.together(parts).f1, both.f1)


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match="call update first"):
        EventCounts(0.5).f1  # noqa: B018
    with pytest.raises(ValueError, match=r"must both be \(window, horizon, neuron\)"):
        event_f1(np.zeros((2, 3)), np.zeros((2, 3)), 0.5)


def test_event_share_compares_forecast_and_truth_at_events_only():
    true = np.array([[[0.0], [4.0], [2.5], [9.0]]])
    pred = np.array([[[7.0], [1.0], [1.0], [5.0]]])
    assert event_share(pred, true, 2.0) == pytest.approx(7 / 15.5)
    mask = np.array([[[True], [True], [True], [False]]])
    assert event_share(pred, true, 2.0, mask) == pytest.approx(2 / 6.5)
    assert np.isnan(event_share(pred, true, 10.0))


def test_mean_about_onsets_is_the_mean_over_the_crossings():
    rng = np.random.default_rng(0)
    true, trace = rng.standard_normal((2, 30, 7, 4))
    true[3, 2, 1] = np.nan
    found, n = around_onsets(true, {"trace": trace}, 0.8, reach=3)
    rows = {offset: [] for offset in range(-3, 4)}
    onsets = 0
    for w, t, i in np.ndindex(30, 7, 4):
        if t and true[w, t, i] > 0.8 and true[w, t - 1, i] <= 0.8:
            onsets += 1
            for offset, row in rows.items():
                if 0 <= t + offset < 7 and not np.isnan(true[w, t + offset, i]):
                    row.append(trace[w, t + offset, i])
    assert n == onsets
    np.testing.assert_allclose(found["trace"], [np.mean(row) for row in rows.values()])


def test_about_onsets_without_any_or_beyond_the_window():
    true = np.zeros((2, 3, 1))
    found, n = around_onsets(true, {"true": true}, 1.0, reach=4)
    assert n == 0
    assert np.isnan(found["true"]).all()
    true[0, 1] = 2.0
    found, n = around_onsets(true, {"true": true}, 1.0, reach=4)
    assert n == 1
    np.testing.assert_array_equal(found["true"], [np.nan] * 3 + [0, 2, 0] + [np.nan] * 3)
