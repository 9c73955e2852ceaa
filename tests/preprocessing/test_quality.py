"""Cell filters: each threshold, and the reason that is given."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from utils.preprocessing.config import CellFilterConfig
from utils.preprocessing.quality import (
    excluded_cells,
    excluded_frames,
    filter_cells,
    masked_frames,
    quality_flags,
    require_cells,
)
from utils.sessions.errors import SessionError


@pytest.fixture
def quality() -> pd.DataFrame:
    n = 100
    spread = np.linspace(1, 2, n)
    return pd.DataFrame(
        {
            "valid_fraction": np.ones(n),
            "median": spread,
            "std": spread,
            "iqr": spread,
            "range": spread,
            "negative_fraction": np.zeros(n),
            "negative_fluorescence": np.zeros(n),
        }
    )


def reasons(quality: pd.DataFrame, scale=1.0, probability=1.0, **config) -> np.ndarray:
    n = len(quality)
    return filter_cells(
        quality, np.full(n, scale), np.full(n, probability), CellFilterConfig(**config)
    )


def test_the_basic_rule_keeps_ordinary_cells(quality):
    assert (reasons(quality) == "").all()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("valid_fraction", 0.4, "too few values"),
        ("range", 0.0, "constant"),
        ("range", np.nan, "constant"),
        ("negative_fluorescence", 0.6, "mostly negative"),
    ],
)
def test_each_basic_check(quality, column, value, reason):
    quality.loc[7, column] = value
    found = reasons(quality)
    assert reason in found[7]
    assert (np.delete(found, 7) == "").all()


def test_no_spread_and_low_probability(quality):
    assert "no spread" in reasons(quality, scale=0.0)[0]
    assert "no spread" in reasons(quality, scale=np.nan)[0]
    assert "low cell probability" in reasons(quality, probability=0.3, min_cell_probability=0.5)[0]
    unknown = reasons(quality, probability=np.nan, min_cell_probability=0.5)
    assert (unknown == "").all()


def test_the_percentile_rule_drops_the_extremes(quality):
    found = reasons(quality, rule="percentiles")
    assert set(np.flatnonzero(found)) == {0, 1, 2, 3, 4, 95, 96, 97, 98, 99}
    quality["negative_fraction"] = 0.5
    assert (reasons(quality, rule="percentiles") != "").all()


def test_equal_cells_are_no_extremes(quality):
    """Sparse deconvolved traces all have the quartile range 0."""
    quality[["iqr", "median"]] = 0.0
    quality[["range", "std"]] = 1.0
    assert (reasons(quality, rule="percentiles") == "").all()


def test_no_cells_left_counts_the_reasons():
    with pytest.raises(SessionError, match=r"session e1: no cells .* \(2 dim, 1 constant\)"):
        require_cells(np.zeros(3, bool), np.array(["dim", "constant", "dim"]), "e1")
    require_cells(np.array([False, True]), np.array(["dim", ""]), "e1")


def test_excluded_cells_go_by_id_or_by_place():
    neurons = pd.DataFrame({"uuid": ["", "u1"], "fov": ["FOV_00"] * 2, "roi": [4, 5]})
    table = excluded_cells(neurons, np.array(["dim", "dim"], object))
    assert table["item"].tolist() == ["FOV_00/4", "u1"]


def test_frames_are_counted_once():
    fov = SimpleNamespace(
        fov_name="FOV_00",
        bad_frames=np.array([1, 1, 0, 0, 0], np.uint8),
        frame_qc=np.array([0, 1, 1, 3, 0]),
        frame_qc_names={1: "PMT off"},
        timestamps=np.arange(5.0),
        frame_rate=1.0,
    )
    table = excluded_frames(SimpleNamespace(fovs=[fov]), clock_end=6.0)
    assert dict(zip(table["reason"], table["count"])) == {
        "bad frame": 2,
        "frame QC: PMT off (not already bad)": 1,
        "frame QC: code 3 (not already bad)": 1,
        "ends before the session's clock": 2,
    }
    assert masked_frames(np.array([True, False]), 0.5)["count"].tolist() == [1]
    assert masked_frames(np.ones(2, bool), 0.5).empty


def test_flags_are_added_to_those_of_the_reader():
    quality = pd.DataFrame(
        {"baseline_floored": [True, False, True], "valid_fraction": [1.0, 0.5, 0.5]}
    )
    flags = quality_flags(quality, pd.Series(["", "region unknown", None]))
    assert flags.tolist() == [
        "baseline floored",
        "region unknown, often missing",
        "baseline floored, often missing",
    ]
