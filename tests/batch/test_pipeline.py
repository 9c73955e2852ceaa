"""Steps run in the order of their needs; one failure stops only what needs it."""

import json
import os
import signal
import time
from pathlib import Path
from threading import Thread

import pytest

from utils.batch.inputs import SessionInput
from utils.batch.parameters import ParameterError
from utils.batch.pipeline import Pipeline, PipelineRun, failures
from utils.config import ConfigError, available_configs, load_config, validate_config
from utils.notebooks import NotebookError


def pipeline(*steps: dict) -> Pipeline:
    return validate_config(Pipeline, {"steps": steps}, "test")


COMPARE = """\
# %% tags=["parameters"]
model_runs = []
session = "small"
run_dir = ""

# %%
import json
from pathlib import Path
from utils.batch import RunFolder

names = [json.loads((Path(f) / "params.json").read_text())["notebook"] for f in model_runs]
RunFolder(run_dir).save_metrics({"compared": [Path(name).name for name in names]})
"""


def test_a_failure_stops_only_what_needs_it(notebooks, client):
    good, bad = notebooks.write(name="0_1_good"), notebooks.write("1 / 0", "0_2_bad")
    child, other = notebooks.write(name="0_3_child"), notebooks.write(name="0_4_other")
    compare = notebooks.folder / "0_9_compare.py"
    compare.write_text(COMPARE)
    good, bad, child, other, compare = map(str, (good, bad, child, other, compare))
    plan = pipeline(
        {"notebook": good},
        {"notebook": bad},
        {"notebook": child, "after": [bad]},
        {"notebook": other, "after": [good], "parameters": {"n": 4}},
        {"notebook": compare, "model_runs": [bad, other]},
    )
    outcomes = PipelineRun(plan).execute(client)
    states = {Path(name).stem: outcome.state for name, outcome in outcomes.items()}
    assert states == {
        "0_1_good": "done",
        "0_2_bad": "failed",
        "0_3_child": "not run",
        "0_4_other": "done",
        "0_9_compare": "done",
    }
    assert outcomes[bad].message == "cell 4: ZeroDivisionError: division by zero"
    assert "0_2_bad" in outcomes[child].message
    metrics = json.loads((outcomes[compare].run.folder / "metrics.json").read_text())
    assert metrics == {"compared": ["0_4_other"]}
    assert [o.step for o in failures(outcomes)] == [bad, child]

    again = PipelineRun(plan).execute(client)
    assert [outcome.state for outcome in again.values()] == [
        "kept",
        "failed before",
        "not run",
        "kept",
        "kept",
    ]


def test_retry_repeats_failed_steps_only(notebooks, client):
    mark = notebooks.folder / "mark"
    body = "assert Path(text).exists(), 'first time'"
    good, flaky = str(notebooks.write(name="0_1_good")), str(notebooks.write(body, "0_2_flaky"))
    plan = pipeline({"notebook": good}, {"notebook": flaky, "parameters": {"text": str(mark)}})
    assert PipelineRun(plan).execute(client)[flaky].state == "failed"
    mark.touch()
    assert PipelineRun(plan).execute(client)[flaky].state == "failed before"
    outcomes = PipelineRun(plan, retry=True).execute(client)
    assert [outcome.state for outcome in outcomes.values()] == ["kept", "done"]


def test_a_comparison_runs_without_the_models_that_failed(notebooks, client):
    compare = notebooks.folder / "0_9_compare.py"
    compare.write_text(COMPARE)
    bad = str(notebooks.write("1 / 0"))
    plan = pipeline({"notebook": bad}, {"notebook": str(compare), "model_runs": [bad]})
    outcome = PipelineRun(plan).execute(client)[str(compare)]
    assert outcome.state == "done"
    assert json.loads((outcome.run.folder / "metrics.json").read_text()) == {"compared": []}


def test_a_killed_worker_is_replaced_and_its_run_repeated(notebooks, client):
    pid_file = notebooks.folder / "pid"
    body = f"""\
import os, time
first = not Path({str(pid_file)!r}).exists()
Path({str(pid_file)!r}).write_text(str(os.getppid()))
time.sleep(60 * first)"""

    def kill_worker() -> None:
        while not (pid_file.exists() and pid_file.read_text()):
            time.sleep(0.05)
        os.kill(int(pid_file.read_text()), signal.SIGKILL)

    killer = Thread(target=kill_worker)
    killer.start()
    step = str(notebooks.write(body))
    outcome = PipelineRun(pipeline({"notebook": step})).execute(client)[step]
    killer.join()
    assert outcome.state == "done"


def test_a_run_whose_kernel_always_dies_is_reported_and_open(notebooks, client):
    body = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    step = str(notebooks.write(body))
    outcome = PipelineRun(pipeline({"notebook": step})).execute(client)[step]
    assert outcome.state == "killed"
    assert "the kernel was killed 3 times" in outcome.message
    assert outcome.run.status == "open"


def test_session_and_rate_go_only_where_they_are_declared(notebooks):
    compare = notebooks.folder / "0_9_compare.py"
    compare.write_text(COMPARE)
    session = SessionInput("sample", "sample", "", True, False, 5.0, None, "abc")
    plan = pipeline({"notebook": str(notebooks.write())}, {"notebook": str(compare)})
    batch = PipelineRun(plan, session, rate=10.0)
    batch.check()
    tiny, other = (batch._plan(step, []) for step in plan.steps)
    assert tiny.parameters["rate"] == 10.0
    assert "session" not in tiny.parameters
    assert other.parameters == {"model_runs": [], "session": "sample"}
    assert other.hashes["input"] == "abc"
    only_compare = pipeline({"notebook": str(compare)})
    with pytest.raises(ParameterError, match="no notebook has a parameter 'rate'"):
        PipelineRun(only_compare, session, rate=10.0).check()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"parameters": {"nn": 2}}, ParameterError, "unknown parameter 'nn'"),
        ({"parameters": {"n": "2"}}, ParameterError, "'n' = '2': expected int"),
        ({"notebook": "3_2_infromer"}, NotebookError, "no notebook '3_2_infromer'"),
    ],
)
def test_mistakes_are_refused_before_anything_starts(notebooks, change, error, message):
    good = {"notebook": str(notebooks.write())}
    bad = {"notebook": str(notebooks.write(name="0_1_other")), **change}
    with pytest.raises(error, match=message):
        PipelineRun(pipeline(good, bad)).check()
    assert not list((notebooks.folder / "DATA").rglob("params.json"))


def test_steps_must_follow_what_they_need():
    with pytest.raises(ConfigError, match="'b' needs 'a' before it"):
        pipeline({"notebook": "b", "after": ["a"]}, {"notebook": "a"})
    with pytest.raises(ConfigError, match="'a' is listed twice"):
        pipeline({"notebook": "a"}, {"notebook": "a"})
    with pytest.raises(ConfigError, match=r"unknown key 'steps\.0\.afer'"):
        pipeline({"notebook": "a", "afer": []})


def test_a_quick_pipeline_leaves_notebooks_at_their_defaults(notebooks):
    steps = [{"notebook": str(notebooks.write()), "parameters": {"n": 50}}]
    quick = validate_config(Pipeline, {"steps": steps, "notebook_defaults": True}, "test")
    (step,) = quick.steps
    assert PipelineRun(quick)._plan(step, []).parameters["n"] == 3
    assert PipelineRun(pipeline(*steps))._plan(step, []).parameters["n"] == 50


PIPELINES = [name for name in available_configs() if name.startswith("pipeline/")]


@pytest.mark.parametrize("name", PIPELINES)
def test_the_project_pipelines_fit_their_notebooks(name):
    plan = load_config(name, schema=Pipeline)
    session = SessionInput("small", "small", "", True, False, 5.0, None, "abc")
    PipelineRun(plan, session, rate=5.0).check()
    assert plan.notebook_defaults == (name == "pipeline/quick")
