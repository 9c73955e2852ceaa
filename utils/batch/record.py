"""What a pipeline did, on disk: the report is made from this and from the run folders alone.

``DATA/runs/pipeline/<session>_<pipeline>/`` holds ``pipeline.json``, ``availability.csv`` and
``report.html``; a later pass on the same session rewrites them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from utils.batch.inputs import SessionInput
from utils.batch.ledger import hash_of
from utils.batch.pipeline import Outcome
from utils.batch.run_folder import write_json
from utils.config import near_matches
from utils.notebooks import find_notebook, read_source
from utils.paths import runs_dir


def record_pipeline(
    name: str, session: SessionInput, outcomes: Mapping[str, Outcome], seconds: float
) -> Path:
    """Write the record of a pass through a pipeline; returns its folder."""
    source = hash_of([session.reference, session.frame_rate])[:6]
    folder = pipelines_dir() / f"{session.label}_{source}_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    session.availability.to_csv(folder / "availability.csv", index=False)
    facts = ("reference", "label", "text", "simulated", "rate_is_nominal", "frame_rate")
    record = {
        "pipeline": name,
        "made": datetime.now().astimezone().isoformat(timespec="minutes"),
        "seconds": round(seconds, 1),
        "session": {fact: getattr(session, fact) for fact in facts},
        "steps": [_step(outcome) for outcome in outcomes.values()],
    }
    write_json(folder / "pipeline.json", record)
    return folder


def pipelines_dir() -> Path:
    """Where the records of pipelines lie."""
    return runs_dir() / "pipeline"


def read_record(folder: Path) -> dict[str, Any]:
    """The content of ``pipeline.json``."""
    return json.loads((folder / "pipeline.json").read_text())


def find_record(name: str | None = None) -> Path:
    """The folder of a pipeline by name or path; the latest one without a name."""
    files = sorted(pipelines_dir().glob("*/pipeline.json"), key=lambda file: file.stat().st_mtime)
    if name is None and files:
        return files[-1].parent
    for folder in (Path(name or ""), pipelines_dir() / (name or "")):
        if (folder / "pipeline.json").is_file():
            return folder.resolve()
    known = [file.parent.name for file in files]
    hint = near_matches(name or "", known) if known else "; run `python -m utils.batch pipeline`"
    what = f"pipeline '{name}'" if name else "pipeline"
    raise FileNotFoundError(f"no {what} in {pipelines_dir()}{hint}")


def _step(outcome: Outcome) -> dict[str, Any]:
    source = find_notebook(outcome.step)
    folder = os.path.relpath(outcome.run.folder, runs_dir()) if outcome.run else None
    return {
        "notebook": source.stem,
        "stage": source.parent.name,
        "title": _title(source),
        "state": outcome.state,
        "message": outcome.message,
        "folder": folder,
    }


def _title(source: Path) -> str:
    """The first heading of a notebook, else its name."""
    for cell in read_source(source).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            return cell.source.splitlines()[0].strip("# ")
    return source.stem
