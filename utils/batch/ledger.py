"""The run ledger: one folder per run, found again by what the run depends on.

``DATA/runs/<notebook>/<key>/`` holds ``params.json``, ``out.ipynb``, ``log.txt``, ``metrics.json``,
``figures/``, ``tables/`` and what the notebook saves, for example ``model/``. The key is a hash of
the notebook's source, its parameters, the package's source and the input. ``done.json``, renamed
in last, means success; ``failed.json`` means that the notebook raised; a folder with neither was
never finished (a killed kernel, worker or machine) and is run again.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from utils.batch.parameters import check_parameters
from utils.notebooks import parameters_of, read_source
from utils.paths import EXPERIMENTS, PROJECT, runs_dir

Status = Literal["done", "failed", "open"]


@dataclass(frozen=True)
class Run:
    """One execution of a notebook: what it depends on and where it lies."""

    notebook: str
    source: Path
    parameters: dict[str, Any]
    hashes: dict[str, str]
    folder: Path

    @property
    def status(self) -> Status:
        """``done``, ``failed`` (the notebook raised) or ``open`` (new, or killed)."""
        if (self.folder / "done.json").is_file():
            return "done"
        return "failed" if (self.folder / "failed.json").is_file() else "open"

    @property
    def record(self) -> dict[str, Any]:
        """The content of ``done.json`` or ``failed.json``."""
        return json.loads((self.folder / f"{self.status}.json").read_text())

    def forget(self) -> None:
        """Let a failed run be executed again."""
        (self.folder / "failed.json").unlink(missing_ok=True)


def plan_run(source: Path, given: Mapping[str, Any], input_hash: str) -> Run:
    """Check the parameters of a run and find its folder; nothing is executed or written.

    Parameters
    ----------
    source : notebook source (see :func:`utils.notebooks.find_notebook`).
    given : parameters that differ from the notebook's defaults.
    input_hash : hash of the data that the run reads (see :func:`utils.batch.inputs`).

    Raises
    ------
    ParameterError
        Unknown name or wrong type.
    """
    notebook = read_source(source)
    parameters = check_parameters(given, parameters_of(notebook, source.name), source.name)
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags")) for cell in notebook.cells]
    hashes = {
        "source": hash_of(cells),
        "parameters": hash_of(parameters),
        "package": package_hash(),
        "input": input_hash,
    }
    folder = runs_dir() / source.stem / hash_of(hashes)
    return Run(source.stem, source, parameters, hashes, folder)


def hash_of(value: Any) -> str:
    """12 hexadecimal digits that identify a JSON-able value."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def package_hash() -> str:
    """Hash of the package's source and of the experiments' configurations.

    Pipelines are left out: what they pass to a notebook is among its parameters already.
    """
    files = [*(PROJECT / "utils").rglob("*.py"), *EXPERIMENTS.rglob("*.yaml")]
    pipelines = EXPERIMENTS / "pipeline"
    texts = {
        str(file.relative_to(PROJECT)): file.read_text()
        for file in files
        if pipelines not in file.parents
    }
    return hash_of(texts)


def code_version() -> dict[str, Any]:
    """Commit of the code, whether it was changed since, and the hash of the locked packages."""
    lock = PROJECT / "requirements.lock"
    return {
        "commit": _git("rev-parse", "HEAD") or "unknown: not a git clone",
        "changed_since_commit": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "lock": hash_of(lock.read_text()) if lock.is_file() else "no requirements.lock",
    }


def _git(*arguments: str) -> str:
    call = ["git", "-C", str(PROJECT), *arguments]
    try:
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
