"""The index that lets ONE search, list and load the sessions below a folder.

``one.alf.cache.make_parquet_db`` does most of it; what it leaves open is filled here, so that
``One(cache_dir=root, mode="local")`` works without a warning:

* ids are stable: a session keeps the id of an earlier index (such as the server's), a new one
  gets the uuid3 of its path;
* the hash is None (an empty one makes each load compute it and warn);
* the latest revision of each data set is the default one;
* task protocol and projects are read from the rig's files.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from pathlib import Path

import pandas as pd
import yaml
from filelock import FileLock
from iblutil.io import parquet
from one.alf.cache import make_parquet_db

from utils.paths import session_eid

SESSION_KEY = ["lab", "subject", "date", "number"]


def build_index(root: str | Path) -> pd.DataFrame:
    """Write ``sessions.pqt`` and ``datasets.pqt`` for all ALF sessions below ``root``.

    Safe to call from several processes at once: each table is replaced in one step.

    Returns
    -------
    The table of sessions, indexed by eid.

    Raises
    ------
    FileNotFoundError
        No such folder, or no session in it.
    """
    root = Path(root).resolve()
    if next(root.glob("**/alf"), None) is None:
        raise FileNotFoundError(
            f"{root} holds no ALF session (expected <lab>/Subjects/<subject>/<date>/<number>/alf)"
        )
    with (
        FileLock(root / ".index.lock"),
        tempfile.TemporaryDirectory(prefix=".index-", dir=root) as folder,
    ):
        files = make_parquet_db(root, out_dir=folder, hash_files=False)
        (sessions, meta), (datasets, _) = (parquet.load(file) for file in files)
        sessions, new_eids = _settle_sessions(root, sessions)
        datasets = _settle_datasets(datasets, new_eids)
        for file, table in zip(files, (sessions, datasets)):
            parquet.save(file, table, meta)
            os.replace(file, root / file.name)
    return sessions


def _settle_sessions(root: Path, sessions: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Stable ids, protocols and projects; with the mapping from old to new ids."""
    known = _earlier_sessions(root)
    rows, new_eids = [], {}
    for old_eid, row in sessions.iterrows():
        key = tuple(str(row[name]) for name in SESSION_KEY)
        relative = _relative_path(row)
        earlier = known.get(key, {})
        found = _describe(root / relative)
        new_eids[old_eid] = earlier.get("id") or session_eid(relative)
        row["task_protocol"] = earlier.get("task_protocol") or found["task_protocol"]
        row["projects"] = earlier.get("projects") or found["projects"]
        rows.append(row.rename(new_eids[old_eid]))
    settled = pd.DataFrame(rows).astype(sessions.dtypes).rename_axis("id").sort_index()
    return settled, new_eids


def _settle_datasets(datasets: pd.DataFrame, new_eids: dict[str, str]) -> pd.DataFrame:
    """Stable ids, no hash, one default revision."""
    table = datasets.reset_index()
    table["eid"] = table["eid"].map(new_eids)
    table["id"] = [
        str(uuid.uuid3(uuid.UUID(eid), path)) for eid, path in zip(table["eid"], table["rel_path"])
    ]
    table["hash"] = pd.Series([None] * len(table), dtype=object)
    without_revision = table["rel_path"].str.replace(r"#[^#/]*#/", "", regex=True)
    revision = table["rel_path"].str.extract(r"#([^#/]*)#/", expand=False).fillna("")
    latest = revision.groupby([table["eid"], without_revision]).transform("max")
    table["default_revision"] = revision == latest
    return table.set_index(["eid", "id"]).sort_index()


def _earlier_sessions(root: Path) -> dict[tuple[str, ...], dict[str, str]]:
    path = root / "sessions.pqt"
    if not path.is_file():
        return {}
    table = parquet.load(path)[0].reset_index()
    return {tuple(str(row[name]) for name in SESSION_KEY): row for row in table.to_dict("records")}


def _relative_path(row: pd.Series) -> str:
    lab = f"{row['lab']}/Subjects/" if row["lab"] else ""
    return f"{lab}{row['subject']}/{row['date']}/{row['number']:03d}"


def _describe(session: Path) -> dict[str, str]:
    """Protocol and projects from the rig's files, '' where they are absent."""
    description = session / "_ibl_experiment.description.yaml"
    content = yaml.safe_load(description.read_text()) if description.is_file() else {}
    protocols = [
        f"{settings.get('PYBPOD_PROTOCOL', '')}{settings.get('IBLRIG_VERSION', '')}"
        for path in sorted(session.glob("raw_task_data_*/_iblrig_taskSettings.raw.json"))
        if (settings := json.loads(path.read_text()))
    ]
    protocols = protocols or [name for task in content.get("tasks", []) for name in task]
    return {
        "task_protocol": "/".join(protocols),
        "projects": ",".join(content.get("projects", [])),
    }
