"""The command line: exit codes, messages, and a second call that skips finished work."""

import json
from contextlib import contextmanager

import pandas as pd
import pytest
import yaml

from utils.batch.__main__ import main
from utils.batch.inputs import SessionInput
from utils.paths import runs_dir

SCORES = """\
import pandas as pd
board = pd.DataFrame({"model": ["linear"], "skill": [0.5], "low": [0.4], "high": [0.6]})
run.save_table(board, "leaderboard", "All models.")"""


@pytest.fixture(autouse=True)
def no_cluster_start(monkeypatch, client):
    """All calls share the Dask workers of the tests instead of starting their own."""

    @contextmanager
    def shared(engine):
        yield client

    monkeypatch.setattr("utils.batch.__main__.dask_client", shared)


@pytest.fixture
def steps(notebooks, monkeypatch):
    """Writes `pipeline/default.yaml` for a tiny pipeline on a session that is not opened."""
    experiments = notebooks.folder / "experiments"
    (experiments / "pipeline").mkdir(parents=True)
    monkeypatch.setattr("utils.config.EXPERIMENTS", experiments)
    availability = pd.DataFrame(
        {"dataset": ["licks.times"], "found": [False], "required": [False], "consequence": ["x"]}
    )
    monkeypatch.setattr(
        "utils.batch.__main__.session_input",
        lambda reference, rate: SessionInput(
            reference, reference, "Session(tiny)", True, False, 5.0, availability, "hash"
        ),
    )

    def write(*bodies: str) -> None:
        sources = [notebooks.write(body, f"3_{i}_step") for i, body in enumerate(bodies)]
        values = {"steps": [{"notebook": str(source)} for source in sources]}
        (experiments / "pipeline" / "default.yaml").write_text(yaml.safe_dump(values))

    return write


def test_run_keeps_its_results_and_skips_the_second_time(notebooks, capsys):
    source = str(notebooks.write())
    assert main(["run", source, "-p", "n", "4", "text", "1e-3"]) == 0
    (metrics,) = runs_dir().glob("0_9_tiny/*/metrics.json")
    assert json.loads(metrics.read_text()) == {"square": 16, "text": "1e-3"}
    assert "done  0_9_tiny" in capsys.readouterr().out
    assert main(["run", source, "-p", "n", "4", "-p", "text", "1e-3"]) == 0
    assert "1 of 1 notebooks were finished before" in capsys.readouterr().out


def test_run_gives_the_notebook_the_session_that_was_found(notebooks, monkeypatch):
    """A relative path means nothing in the folder that a notebook runs in."""
    source = notebooks.write()
    source.write_text(source.read_text().replace("n = 3", 'n = 3\nsession = "small"'))
    found = SessionInput("/data/tiny", "tiny", "", True, False, 5.0, pd.DataFrame(), "hash")
    monkeypatch.setattr("utils.batch.__main__.session_input", lambda reference, rate: found)
    assert main(["run", str(source), "-p", "session", "../tiny"]) == 0
    (parameters,) = runs_dir().glob("0_9_tiny/*/params.json")
    assert json.loads(parameters.read_text())["parameters"]["session"] == "/data/tiny"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "m", "4"], "unknown parameter 'm'"),
        (["-p", "n", "four"], "'n' = 'four': expected int"),
        (["-p", "n"], "'n' has no value"),
        (["-p", "run_dir", "here"], "set by the run ledger"),
        (["--slurm", "queue"], "expected KEY=VALUE"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_run(notebooks, capsys, arguments, message):
    assert main(["run", str(notebooks.write()), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not list(runs_dir().rglob("params.json"))


def test_an_unknown_notebook_is_a_mistake(capsys):
    assert main(["run", "9_9_nothing"]) == 2
    assert "no notebook '9_9_nothing'" in capsys.readouterr().err


def test_a_failed_run_is_told_with_its_cell_and_kept(notebooks, capsys):
    source = str(notebooks.write("1 / 0"))
    assert main(["run", source]) == 1
    error = capsys.readouterr().err
    assert "cell 4: ZeroDivisionError: division by zero" in error
    assert "--retry" in error
    assert main(["run", source]) == 1
    assert "FAILED BEFORE" in capsys.readouterr().err


def test_pipeline_ends_with_leaderboard_and_report(steps, capsys):
    steps("pass", SCORES)
    assert main(["pipeline", "--session", "tiny"]) == 0
    out = capsys.readouterr().out
    assert "+0.500 [+0.400, +0.600]" in out
    (report,) = runs_dir().glob("pipeline/*/report.html")
    assert f"report: {report}" in out
    assert "Session(tiny)" in report.read_text()
    assert main(["pipeline", "--session", "tiny"]) == 0
    assert "2 of 2 notebooks were finished before" in capsys.readouterr().out
    assert main(["report"]) == 0
    assert capsys.readouterr().out.strip() == str(report)


def test_pipeline_with_a_failure_still_reports(steps, capsys):
    steps("raise RuntimeError('out of luck')", SCORES)
    assert main(["pipeline", "--session", "tiny"]) == 1
    captured = capsys.readouterr()
    assert "RuntimeError: out of luck" in captured.err
    assert "+0.500 [+0.400, +0.600]" in captured.out
    (report,) = runs_dir().glob("pipeline/*/report.html")
    assert "out of luck" in report.read_text()


def test_pipeline_refuses_an_unknown_name_and_a_report_needs_one(steps, capsys):
    steps("pass")
    assert main(["pipeline", "--session", "tiny", "--pipeline", "defualt"]) == 2
    assert "did you mean pipeline/default" in capsys.readouterr().err
    assert main(["report", "nothing"]) == 2
    assert "no pipeline 'nothing'" in capsys.readouterr().err
