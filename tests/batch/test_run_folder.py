"""What a notebook saves arrives complete, readable and in order."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.batch import RunFolder


@pytest.fixture
def figure():
    fig, ax = plt.subplots()
    ax.plot([0, 1])
    yield fig
    plt.close(fig)


def test_interactive_runs_save_nothing(tmp_path, monkeypatch, figure):
    monkeypatch.chdir(tmp_path)
    run = RunFolder("")
    run.save_metrics({"skill": 0.1})
    run.save_figure(figure, "raster", "A raster.")
    run.save_table(pd.DataFrame({"a": [1]}), "scores", "Scores.")
    assert run.folder is None
    assert list(tmp_path.iterdir()) == []


def test_metrics_accumulate_and_are_plain_json(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.save_metrics({"skill": np.float32(0.5), "n": np.int64(3), "ok": np.bool_(True)})
    run.save_metrics({"low": float("nan"), "array": np.arange(3), "nested": {"a": (1, np.inf)}})
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == {
        "skill": 0.5,
        "n": 3,
        "ok": True,
        "low": None,
        "array": [0, 1, 2],
        "nested": {"a": [1, None]},
    }


def test_a_value_that_json_cannot_hold_is_named_and_leaves_the_file(tmp_path):
    run = RunFolder(tmp_path)
    run.save_metrics({"skill": 0.1})
    with pytest.raises(TypeError, match=r"'scores\.informer\[1\]' is a DataFrame"):
        run.save_metrics({"scores": {"informer": [1, pd.DataFrame()]}})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"skill": 0.1}


def test_figures_and_tables_keep_captions_and_order(tmp_path, figure):
    run = RunFolder(tmp_path)
    run.save_table(pd.DataFrame({"mse": [0.25]}), "scores", "Scores.")
    run.save_figure(figure, "raster", "A raster.")
    run.save_figure(figure, "raster", "A better raster.")
    assert (tmp_path / "figures" / "raster.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "tables" / "scores.csv").read_text() == "mse\n0.25\n"
    assert json.loads((tmp_path / "contents.json").read_text()) == [
        {"file": "tables/scores.csv", "caption": "Scores."},
        {"file": "figures/raster.png", "caption": "A better raster."},
    ]
    assert not list(tmp_path.rglob("*.part"))


def test_a_named_index_is_kept(tmp_path):
    table = pd.DataFrame({"n": [4]}, index=pd.Index(["VISp"], name="region"))
    RunFolder(tmp_path).save_table(table, "regions", "Cells per region.")
    assert (tmp_path / "tables" / "regions.csv").read_text() == "region,n\nVISp,4\n"


@pytest.mark.parametrize("run_dir", ["", "run"])
@pytest.mark.parametrize(
    ("name", "caption", "message"),
    [("../escape", "A caption.", "letters, digits"), ("raster", " ", "no caption")],
)
def test_bad_names_and_captions_are_refused(
    tmp_path, monkeypatch, figure, run_dir, name, caption, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        RunFolder(run_dir).save_figure(figure, name, caption)
