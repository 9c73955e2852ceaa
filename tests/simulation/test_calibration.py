"""The simulated cells have the statistics of real ones.

Pooled statistic: all samples (time x cell) of all ROIs of type "cell" of a session's three FOVs,
bad frames and spoiled cells included, as one would get by reading the files. The lag-1
correlation is that of each cell's F, and the median over cells. Real values: the column "real" of
the table in the project's description of mesoscope sessions.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from utils.simulation.recording import Recording, Settings, make_world, record_fov

REAL_F = {"mean": 1413, "sd": 833, "p25": 875, "p50": 1296, "p75": 1792, "p95": 2690, "lag1": 0.582}
REAL_EVENTS = {"zero": 0.854, "mean": 16.1, "p90": 25, "p95": 75, "p99": 287}


def _session_statistics(seed: int) -> tuple[dict[str, float], dict[str, float]]:
    settings = Settings(3, 180, 180, minutes=25, n_frames=None, seed=seed)
    world = make_world(settings)
    recordings = [record_fov(world, index) for index in range(settings.n_fovs)]
    return _fluorescence_statistics(recordings), _event_statistics(recordings)


def _fluorescence_statistics(recordings: list[Recording]) -> dict[str, float]:
    traces = [item.fluorescence[:, item.fov.is_cell] for item in recordings]
    pooled = np.concatenate([values.ravel() for values in traces])
    correlations = []
    for values in traces:
        moving = values[:, np.ptp(values, axis=0) > 0].astype(float)
        moving -= moving.mean(0)
        correlations.append((moving[1:] * moving[:-1]).mean(0) / moving.var(0))
    p25, p50, p75, p95 = np.percentile(pooled, [25, 50, 75, 95])
    return {
        "mean": pooled.mean(dtype=float),
        "sd": pooled.std(dtype=float),
        "p25": p25,
        "p50": p50,
        "p75": p75,
        "p95": p95,
        "lag1": np.median(np.concatenate(correlations)),
    }


def _event_statistics(recordings: list[Recording]) -> dict[str, float]:
    pooled = np.concatenate([item.deconvolved[:, item.fov.is_cell].ravel() for item in recordings])
    p90, p95, p99 = np.percentile(pooled, [90, 95, 99])
    zero, mean = (pooled == 0).mean(), pooled.mean(dtype=float)
    return {"zero": zero, "mean": mean, "p90": p90, "p95": p95, "p99": p99}


@pytest.fixture(scope="module")
def statistics() -> list[tuple[dict[str, float], dict[str, float]]]:
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(_session_statistics, (0, 1, 2)))


@pytest.mark.parametrize("name", REAL_F)
def test_fluorescence_is_within_15_percent_of_real(statistics, name: str):
    found = [fluorescence[name] for fluorescence, _ in statistics]
    np.testing.assert_allclose(found, REAL_F[name], rtol=0.15)


@pytest.mark.parametrize("name", REAL_EVENTS)
def test_deconvolved_activity_is_within_25_percent_of_real(statistics, name: str):
    found = [events[name] for _, events in statistics]
    np.testing.assert_allclose(found, REAL_EVENTS[name], rtol=0.25)
