"""The report holds what the runs left, says what failed, and loads nothing from elsewhere."""

import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.batch import RunFolder
from utils.batch.inputs import SessionInput
from utils.batch.ledger import Run
from utils.batch.pipeline import Outcome
from utils.batch.record import find_record, record_pipeline
from utils.batch.report import duration, leaderboard_text, readable, write_report
from utils.paths import runs_dir

AVAILABILITY = pd.DataFrame(
    {
        "dataset": ["mpci.times.npy", "licks.times.npy"],
        "found": [True, False],
        "required": [True, False],
        "consequence": ["", "no licks in the covariates"],
    }
)
BOARD = pd.DataFrame(
    {
        "model": ["informer", "<linear>"],
        "skill": [0.1234567, -0.05],
        "low": [0.1, np.nan],
        "high": [0.2, np.nan],
        "n_blocks": [12, 8],
    }
)


def session(**changes) -> SessionInput:
    facts = {"simulated": True, "rate_is_nominal": True, "frame_rate": 10.0}
    facts |= {"text": "MesoscopeSession(sample: 2 FOVs)", "availability": AVAILABILITY, **changes}
    return SessionInput(reference="sample", label="sample", content_hash="abc", **facts)


@pytest.fixture
def outcomes(notebooks) -> dict[str, Outcome]:
    """One success with figure and tables, one failure, one that was not run."""
    source = notebooks.write(name="3_8_good")
    bad, child = notebooks.write(name="3_7_bad"), notebooks.write(name="3_9_child")
    good = Run("3_8_good", source, {}, {}, runs_dir() / "3_8_good" / "k1")
    run = RunFolder(good.folder)
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.plot([0, 1])
    run.save_figure(fig, "curve", "A curve & its n = 2.")
    plt.close(fig)
    run.save_table(BOARD, "leaderboard", "All models.")
    excluded = pd.DataFrame({"kind": "cell", "item": ["FOV_00/3", "FOV_01/5"], "count": 1})
    excluded["reason"] = "constant"
    run.save_table(excluded, "excluded", "What preprocessing left out.")
    run.save_metrics({"skill": 0.12345678, "low": float("nan"), "areas": {"VISp": 3}})
    done = {"seconds": 65.2, "peak_memory_mb": 1234, "device": "CPU", "commit": "c0ffee" * 7}
    done |= {"changed_since_commit": True, "lock": "l0ck", "versions": {"torch": "2.13.0"}}
    (good.folder / "done.json").write_text(json.dumps(done))
    failed = Run("3_7_bad", bad, {}, {}, runs_dir() / "3_7_bad" / "k2")
    failed.folder.mkdir(parents=True)
    error = {"cell": 4, "name": "ValueError", "message": "no <cells>", "traceback": "tb <cells>"}
    (failed.folder / "failed.json").write_text(json.dumps({"seconds": 2.0, "error": error}))
    return {
        "a": Outcome(str(source), "done", good),
        "b": Outcome(str(bad), "failed", failed, "cell 4: ValueError: no <cells>"),
        "c": Outcome(str(child), "not run", None, "it needs 3_7_bad"),
    }


@pytest.fixture
def html(outcomes) -> str:
    return write_report(record_pipeline("default", session(), outcomes, 70.0)).read_text()


def test_it_is_one_file_that_loads_nothing(html):
    assert "<script" not in html
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert not re.search(r"https?://|@import|url\(", html)


def test_it_warns_of_what_is_simulated_nominal_or_quick(html, outcomes):
    assert "<b>SIMULATED.</b>" in html
    assert "10 Hz is assumed" in html
    assert "Quick run" not in html
    real = session(simulated=False, rate_is_nominal=False)
    html = write_report(record_pipeline("quick", real, outcomes, 1.0)).read_text()
    assert "SIMULATED" not in html
    assert "Nominal" not in html
    assert "Quick run" in html


def test_it_shows_results_with_intervals_and_captions(html):
    assert "+0.123\n[+0.100, +0.200]" in html
    assert "-0.050\n(interval not estimable)" in html
    assert "A curve &amp; its n = 2." in html
    assert "&lt;linear&gt;" in html
    assert html.count("data:image/png;base64,") == 1
    assert "VISp = 3" in html
    assert "0.1235" in html


def test_it_says_what_failed_and_why(html):
    assert "2 of 3 notebooks did not succeed" in html
    assert "tb &lt;cells&gt;" in html
    assert "it needs 3_7_bad" in html
    assert "1 / 3" in html


def test_it_says_what_was_excluded_and_is_missing(html):
    assert re.search(r"<td>cell</td><td>constant</td><td class=\"n\">2</td>", html)
    assert "FOV_01/5" in html
    assert "no licks in the covariates" in html


def test_it_names_versions_times_and_memory(html):
    for text in ("c0ffeec0ffee (with local changes)", "2.13.0", "1 min 05 s", "1234 MB", "l0ck"):
        assert text in html


def test_a_pass_without_any_result_still_gives_a_report(outcomes):
    html = write_report(record_pipeline("default", session(), {"c": outcomes["c"]}, 1.0))
    assert "No notebook of this pass made a leaderboard." in html.read_text()


def test_the_latest_record_is_found_and_unknown_ones_are_explained(outcomes):
    with pytest.raises(FileNotFoundError, match=r"run `python -m utils\.batch pipeline`"):
        find_record()
    folder = record_pipeline("default", session(), outcomes, 1.0)
    assert find_record() == find_record(folder.name) == find_record(str(folder)) == folder
    with pytest.raises(FileNotFoundError, match=f"did you mean {folder.name}"):
        find_record(folder.name[:-1])


def test_the_leaderboard_as_text(outcomes):
    folder = runs_dir() / "3_8_good" / "k1"
    board = BOARD.rename(columns=lambda c: f"over_mean_{c}" if c in ("skill", "low", "high") else c)
    board = board.assign(source="simulated", mae=0.5)
    board.to_csv(folder / "tables" / "leaderboard.csv", index=False)
    text = leaderboard_text(record_pipeline("default", session(), outcomes, 1.0))
    assert text.startswith("Leaderboard (source: simulated)\n")
    assert "skill over mean [95 %]" in text
    assert "mae" not in text
    assert re.search(r"informer +\+0\.123 \[\+0\.100, \+0\.200\] +12", text)


def test_a_model_is_not_compared_with_itself():
    board = pd.DataFrame({"model": ["mean"], "skill": [0.0], "low": [0.0], "high": [0.0]})
    assert readable(board)["skill [95 %]"].tolist() == ["itself"]


def test_tables_are_rounded_and_keep_texts():
    table = pd.DataFrame({"mse": [0.123456, 1e-7], "n": [3, 4]})
    table = table.assign(name=["a", None], x=[5.0, np.nan])
    assert readable(table).to_dict("list") == {
        "mse": ["0.1235", "1.000e-07"],
        "n": [3, 4],
        "name": ["a", "–"],
        "x": ["5", "–"],
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.31, "7.3 s"), (65.2, "1 min 05 s"), (119.7, "2 min 00 s"), (None, "")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
