"""``report.html``: one self-contained file about a pipeline's pass over one session.

Made from the pipeline's record and the run folders; images are inlined, nothing is loaded from
elsewhere, so that the file can be mailed and opened offline.
"""

from __future__ import annotations

import base64
import json
import os
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from utils.batch.record import read_record
from utils.batch.run_folder import FIGURE_DPI
from utils.paths import runs_dir

STAGES = {
    "1_ANALYSIS": "Analysis",
    "2_PREPROCESSING": "Preprocessing",
    "3_MODELLING": "Modelling",
    "TUTORIALS": "Tutorials",
}
OWN_SECTION = ("leaderboard", "excluded", "availability")  # tables with a section of their own
NOT_IN_TEXT = ("mae", "pearson", "event_f1", "auprc", "coverage_80")
BASELINES_NOT_IN_TEXT = ("over_persistence", "over_train_mean")
CONFIDENCE = "[95 %]"  # marks a column of intervals
MAX_ROWS = 50  # of a table in the report; the csv in the run folder holds all


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into the folder of a pipeline's record; returns its path."""
    record = read_record(folder)
    steps = sorted(map(_step, record["steps"]), key=lambda step: (step["stage"], step["notebook"]))
    availability = pd.read_csv(folder / "availability.csv")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters.update(table=_html_table, duration=duration, number=_number)
    html = environment.get_template("report.html.j2").render(
        record=record,
        session=record["session"],
        steps=steps,
        stages=_by_stage(steps),
        leaderboards=[t for step in steps for t in step["tables"] if t["name"] == "leaderboard"],
        excluded=[
            {**t, "summary": _summary_of_excluded(t["data"])}
            for step in steps
            for t in step["tables"]
            if t["name"] == "excluded"
        ],
        availability=availability,
        missing=availability[~availability["found"].astype(bool)].drop(columns="found"),
        failures=[step for step in steps if step["state"] not in ("done", "kept")],
        versions=_versions(steps),
        runs=runs_dir(),
        peak_memory_mb=max((step["peak_memory_mb"] for step in steps), default=0),
    )
    path = folder / "report.html"
    part = path.with_suffix(".part")
    part.write_text(html)
    os.replace(part, path)
    return path


def leaderboard_text(folder: Path) -> str:
    """The leaderboards of a pipeline for a terminal, empty when no notebook made one.

    To fit a line it shows fewer scores than the report, and names once what all rows share.
    """
    tables = [table for step in read_record(folder)["steps"] for table in _step(step)["tables"]]
    boards = [table["data"] for table in tables if table["name"] == "leaderboard"]
    return "\n\n".join(_board_text(board) for board in boards)


def _board_text(board: pd.DataFrame) -> str:
    left_out = [c for c in board if c in NOT_IN_TEXT or c.startswith(BASELINES_NOT_IN_TEXT)]
    board, shared = _without_shared(board.drop(columns=left_out))
    return f"Leaderboard ({shared})\n" * bool(shared) + readable(board).to_string(index=False)


def _without_shared(board: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A table of models without the columns about the data that all rows share, and these in words.

    Other tables come back as they are.
    """
    about = ("source", "split", "data") if "model" in board else ()
    shared = [column for column in about if column in board and board[column].nunique() == 1]
    words = ", ".join(f"{column}: {board[column].iloc[0]}" for column in shared)
    return board.drop(columns=shared), words


def readable(table: pd.DataFrame, break_before_interval: str = " ") -> pd.DataFrame:
    """A table as people read it: rounded, with ``skill``, ``low`` and ``high`` in one column."""
    table = table.copy()
    for name in [column[: -len("low")] for column in table if column.endswith("low")]:
        estimate, low, high = f"{name}skill", f"{name}low", f"{name}high"
        if {estimate, high} <= set(table):
            rows = zip(table[estimate], table[low], table[high])
            table[estimate] = [break_before_interval.join(_interval(*row)) for row in rows]
            table = table.rename(columns={estimate: _skill_title(name)})
            table = table.drop(columns=[low, high])
    return table.map(_number)


def duration(seconds: float | None) -> str:
    """``7.3 s`` or ``4 min 05 s``; empty for None."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def _step(step: dict[str, Any]) -> dict[str, Any]:
    """A step of the record with all that its run folder holds."""
    folder = runs_dir() / step["folder"] if step["folder"] else None
    result = _read(folder, "done.json") or _read(folder, "failed.json") or {}
    contents = _read(folder, "contents.json") or []
    tables = [_table(folder, c) for c in contents if c["file"].endswith(".csv")]
    return {
        **step,
        "seconds": result.get("seconds"),
        "peak_memory_mb": result.get("peak_memory_mb", 0),
        "result": result,
        "error": result.get("error"),
        "metrics": _read(folder, "metrics.json") or {},
        "figures": [_figure(folder, c) for c in contents if c["file"].endswith(".png")],
        "tables": tables,
        "shown_tables": [table for table in tables if table["name"] not in OWN_SECTION],
    }


def _read(folder: Path | None, name: str) -> Any:
    path = folder / name if folder else None
    return json.loads(path.read_text()) if path and path.is_file() else None


def _figure(folder: Path, content: dict[str, str]) -> dict[str, Any]:
    data = (folder / content["file"]).read_bytes()
    with Image.open(BytesIO(data)) as image:  # shown in proportion, so that all texts match
        inches = image.width / FIGURE_DPI
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"caption": content["caption"], "source": source, "inches": round(inches, 2)}


def _table(folder: Path, content: dict[str, str]) -> dict[str, Any]:
    path = folder / content["file"]
    try:
        data = pd.read_csv(path)
    except pd.errors.EmptyDataError:
        data = pd.DataFrame()
    return {"name": path.stem, "caption": content["caption"], "data": data}


def _by_stage(steps: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Steps that have something to show, grouped by stage."""
    shown = [s for s in steps if s["figures"] or s["metrics"] or s["shown_tables"]]
    groups = groupby(shown, key=lambda step: step["stage"])
    return [(STAGES.get(stage, stage), list(group)) for stage, group in groups]


def _summary_of_excluded(table: pd.DataFrame) -> pd.DataFrame:
    """One row per kind and reason with the number of items, instead of one row per cell."""
    groups = table.groupby(["kind", "reason"], sort=False)
    return groups["count"].sum().reset_index()


def _versions(steps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Everything that the runs were made with; several values where runs differ."""
    found: dict[str, set[str]] = {}
    for step in steps:
        result = step["result"]
        changed = " (with local changes)" if result.get("changed_since_commit") else ""
        facts = {"lock": result.get("lock"), "device": result.get("device")}
        facts["code"] = f"{result['commit'][:12]}{changed}" if "commit" in result else None
        for key, value in {**facts, **result.get("versions", {})}.items():
            if value is not None:
                found.setdefault(key, set()).add(value)
    return [(key, ", ".join(sorted(values))) for key, values in sorted(found.items())]


def _skill_title(prefix: str) -> str:
    """``over_ar16_`` -> ``skill over ar16 [95 %]``."""
    return f"{f'skill {prefix}'.replace('_', ' ').strip()} {CONFIDENCE}"


def _interval(estimate: float, low: float, high: float) -> tuple[str, ...]:
    """The estimate and its interval as texts."""
    if estimate == low == high == 0:
        return ("itself",)
    if not np.isfinite([low, high]).all():
        return f"{estimate:+.3f}", "(interval not estimable)"
    return f"{estimate:+.3f}", f"[{low:+.3f}, {high:+.3f}]"


def _number(value: Any) -> Any:
    """Four digits; missing values as a dash."""
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            return "–"
        return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:#.4g}"
    return "–" if value is None else value


def _html_table(table: pd.DataFrame) -> dict[str, Any]:
    """Columns, rows and which columns are numbers, for the template."""
    table, shared = _without_shared(table)
    shown = readable(table.head(MAX_ROWS), break_before_interval="\n")
    return {
        "columns": [str(column).replace("_", " ") for column in shown],
        "rows": shown.to_numpy(dtype=object).tolist(),
        "numeric": [c.endswith(CONFIDENCE) or table[c].dtype.kind in "iuf" for c in shown],
        "shared": shared,
        "hidden": max(0, len(table) - MAX_ROWS),
    }
