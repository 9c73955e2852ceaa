"""Runs end as done, failed or killed, and the folder says which."""

import json
import os
import signal
import threading
import time

from utils.batch.execute import execute
from utils.batch.ledger import plan_run


def test_a_run_leaves_everything(notebooks):
    run = execute(plan_run(notebooks.write(), {"n": 5}, "abc"))
    assert run.status == "done"
    files = {path.name for path in run.folder.iterdir()}
    assert files == {"params.json", "out.ipynb", "log.txt", "metrics.json", "done.json"}
    assert json.loads((run.folder / "metrics.json").read_text()) == {"square": 25, "text": "x"}
    assert json.loads((run.folder / "params.json").read_text())["parameters"]["n"] == 5
    assert "squares up to 5" in (run.folder / "log.txt").read_text()
    record = run.record
    assert record["input"] == "abc"
    assert record["seconds"] > 0
    assert record["peak_memory_mb"] > 10
    assert {"commit", "lock", "device", "versions", "started"} <= record.keys()


def test_a_finished_run_is_not_repeated(notebooks):
    run = execute(plan_run(notebooks.write(), {}, ""))
    stamp = (run.folder / "done.json").stat().st_mtime_ns
    assert (execute(run).folder / "done.json").stat().st_mtime_ns == stamp


def test_what_raises_is_kept_and_not_repeated(notebooks):
    body = "Path(text).open('a').write('|'); raise ValueError(f'no cells left of {n}')"
    count = notebooks.folder / "count"
    run = plan_run(notebooks.write(body), {"text": str(count)}, "")
    execute(execute(run))
    assert run.status == "failed"
    assert count.read_text() == "|"
    error = run.record["error"]
    assert (error["name"], error["message"]) == ("ValueError", "no cells left of 3")
    assert error["cell"] == 4  # papermill's cell of parameters is the second one
    assert "no cells left" in error["traceback"]
    assert "no cells left" in (run.folder / "out.ipynb").read_text()
    run.forget()
    execute(run)
    assert count.read_text() == "||"


def test_a_kernel_killed_from_outside_is_retried(notebooks):
    pid_file = notebooks.folder / "pid"
    body = f"""\
import os, time
first = not Path({str(pid_file)!r}).exists()
Path({str(pid_file)!r}).write_text(str(os.getpid()))
time.sleep(60 * first)"""

    def kill() -> None:
        while not (pid_file.exists() and pid_file.read_text()):
            time.sleep(0.05)
        os.kill(int(pid_file.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    run = execute(plan_run(notebooks.write(body), {}, ""))
    killer.join()
    assert run.status == "done"


def test_a_broken_attempt_leaves_nothing_behind(notebooks):
    run = plan_run(notebooks.write(), {}, "")
    run.folder.mkdir(parents=True)
    (run.folder / "stale.csv").write_text("from a killed attempt")
    execute(run)
    assert not (run.folder / "stale.csv").exists()


def test_notebooks_run_in_their_own_folder(notebooks):
    run = plan_run(notebooks.write("run.save_metrics({'cwd': Path.cwd().name})"), {}, "")
    execute(run)
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["cwd"] == notebooks.folder.name
