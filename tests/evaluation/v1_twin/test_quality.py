"""What is said of cells that are good, silent, missing, contaminated, or do not repeat."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.v1_twin.worlds import known_dataset, known_recording
from utils.evaluation.v1_twin.quality import quality_table


@pytest.fixture(scope="module")
def recording():
    return known_recording()[0]


def test_good_cells_have_no_flags(recording):
    table = quality_table(known_dataset(recording)).loc["known"]
    assert table["rate_hz"].to_numpy() == pytest.approx(
        [120 * recording["robs"][:, cell].mean() for cell in range(4)], rel=0.02
    )
    assert (table["missing"] == 0).all()
    assert table["contamination"].isna().all()
    assert table["reliability"].loc[10] > 0.8
    assert not table["flags"].loc[10]
    assert table["reliability"].loc[13] < 0.5 or np.isnan(table["reliability"].loc[13])


def test_faults_are_flagged(recording):
    counts = recording["robs"].copy()
    counts[:, 0] = 0
    counts[0, 0] = 1
    counts[::49, 1] = 12  # 1440 Hz
    valid = np.ones(counts.shape, bool)
    valid[: len(counts) // 5, 2] = False
    valid[:, 3] = False
    dataset = known_dataset(recording, {"robs": counts, "valid": valid}, max_missing=0.9)
    table = quality_table(dataset).loc["known"]
    assert table["flags"].loc[10] == "silent"
    assert "impossible counts" in table["flags"].loc[11]
    assert table["impossible"].loc[11] == pytest.approx(0.02, abs=0.002)
    assert "missing bins" in table["flags"].loc[12]
    assert table["missing"].loc[12] == pytest.approx(0.2, abs=0.01)
    assert table["flags"].loc[13].startswith("no valid bins")
    assert table["rate_hz"].isna().tolist() == [False, False, False, True]


def test_the_sorter_knows_the_contamination(recording):
    known = {"contamination": [0.01, 0.3, 0.0, 0.05]}
    table = quality_table(known_dataset(recording, known, cell_ids=[13, 11])).loc["known"]
    assert table["contamination"].tolist() == [0.05, 0.3]
    assert "contaminated" in table["flags"].loc[11]
    assert "contaminated" not in table["flags"].loc[13]


def test_few_repeats_are_not_judged(recording):
    some = np.flatnonzero(recording["trial_inds"] < 100 + 12)
    cut = {k: v[some] for k, v in recording.items() if isinstance(v, np.ndarray)}
    table = quality_table(known_dataset(recording, cut))
    assert table["reliability"].isna().all()
    assert not table["flags"].str.contains("unreliable").any()
