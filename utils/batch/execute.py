"""Execute one run: papermill in this process, the kernel as its child.

This runs inside a Dask worker. papermill must not be a process of its own: it would outlive its
killed worker and write beside its rerun. The kernel ends by itself when its parent is gone.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import papermill
import psutil
from filelock import FileLock
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from utils.batch.engine import visible_gpus
from utils.batch.ledger import Run, code_version
from utils.batch.run_folder import write_json
from utils.environment import installed_versions
from utils.notebooks import private_sockets, read_source

logger = logging.getLogger(__name__)
# papermill's own check of parameters misreads texts that hold "="; utils.batch.parameters checks
logging.getLogger("papermill").setLevel(logging.ERROR)

ATTEMPTS = 3  # of a run whose kernel is killed, for example when memory runs out
PACKAGES = ("mesotwin", "numpy", "pandas", "torch", "lightning", "transformers", "ONE-api")


def execute(run: Run) -> Run:
    """Execute a run unless it is finished; afterwards its folder tells how it ended.

    A notebook that raises is kept with its error and not repeated. A killed kernel is repeated up
    to three times. A lock keeps two processes from working in one folder.

    Raises
    ------
    DeadKernelError
        The kernel was killed at each attempt.
    """
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(run.folder.with_suffix(".lock")):
        for attempt in range(1, ATTEMPTS + 1):
            if run.status != "open":
                break
            try:
                _attempt(run)
            except DeadKernelError:
                logger.warning("%s: kernel killed, attempt %d/%d", run.folder, attempt, ATTEMPTS)
                if attempt == ATTEMPTS:
                    raise DeadKernelError(
                        f"{run.notebook}: the kernel was killed {ATTEMPTS} times, most likely for "
                        f"lack of memory; see {run.folder / 'log.txt'}"
                    ) from None
    return run


def _attempt(run: Run) -> None:
    shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir()
    params = {"notebook": run.notebook, "parameters": run.parameters, "hashes": run.hashes}
    write_json(run.folder / "params.json", params)
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with _peak_memory() as peak:
        error = _papermill(run)
    record: dict[str, Any] = {
        "started": started,
        "seconds": round(time.monotonic() - clock, 1),
        "peak_memory_mb": round(peak[0] / 1e6),
        "device": _device(),
        "versions": installed_versions(PACKAGES),
        **code_version(),
        **run.hashes,
    }
    if error is not None:
        write_json(run.folder / "failed.json", {**record, "error": error})
    else:
        write_json(run.folder / "done.json", record)


def _papermill(run: Run) -> dict[str, Any] | None:
    """Execute the notebook; returns what it raised, None when all went well."""
    with private_sockets() as config, open(run.folder / "log.txt", "a") as log:
        try:
            papermill.execute_notebook(
                read_source(run.source),
                run.folder / "out.ipynb",
                {**run.parameters, "run_dir": str(run.folder)},
                kernel_name="python3",
                cwd=run.source.parent,
                progress_bar=False,
                stdout_file=log,
                stderr_file=log,
                config=config,
            )
        except PapermillExecutionError as error:
            excerpt = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
            log.write(f"\n{excerpt}\n")
            return {
                "cell": error.exec_count,
                "name": error.ename,
                "message": error.evalue,
                "source": error.source,
                "traceback": excerpt[-4000:],
            }
    return None


@contextmanager
def _peak_memory(every: float = 0.5) -> Iterator[list[int]]:
    """Largest resident memory of the kernel and its children, in bytes, sampled."""
    peak, stop = [0], Event()

    def watch() -> None:
        while not stop.wait(every):
            peak[0] = max(peak[0], _memory_of_children())

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _memory_of_children() -> int:
    total = 0
    for child in psutil.Process().children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


def _device() -> str:
    if gpus := visible_gpus():
        return f"GPU {', '.join(gpus)}"
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    return f"CPU ({platform.machine()}), {threads} thread{'s' * (threads > 1)}"
