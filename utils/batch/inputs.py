"""The input of a batch: which session it is, and a hash that changes when its files do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from utils.batch.ledger import hash_of
from utils.sessions.errors import SessionError

if TYPE_CHECKING:
    from utils.load_meso_session import MesoscopeSession


@dataclass(frozen=True)
class SessionInput:
    """What the ledger and the report need to know about a session."""

    reference: str
    label: str
    text: str
    simulated: bool
    rate_is_nominal: bool
    frame_rate: float
    availability: pd.DataFrame
    content_hash: str


def session_input(reference: str, rate: float | None = None) -> SessionInput:
    """Open a session (a preset is simulated on first use) and describe it.

    Parameters
    ----------
    reference : ``sample``, ``small``, eid, or the path of a session, suite2p folder or HDF5 file.
    rate : frames per second of a recording that does not know its own.

    Raises
    ------
    utils.sessions.errors.SessionError
        Nothing can be read, or nothing can be done with it: no cell, or no good frame.
    """
    from utils.load_meso_session import open_session

    path = Path(reference).expanduser()
    reference = str(path.resolve()) if reference.strip() and path.exists() else reference
    session = open_session(reference, rate=rate)
    _require_activity(session)
    return SessionInput(
        reference=reference,
        label=_label(reference),
        text=repr(session),
        simulated=session.is_simulated,
        rate_is_nominal=session.rate_is_nominal,
        frame_rate=float(session.frame_rate),
        availability=session.availability,
        content_hash=hash_of([_files_of(session), rate]),
    )


def _require_activity(session: MesoscopeSession) -> None:
    problem = ""
    if not session.n_total_neurons:
        problem = f"none of {session.n_total_rois} ROIs is a cell"
    elif not any(fov.good_frame_mask.any() for fov in session.fovs):
        problem = "all frames of all fields of view are bad or flagged"
    if problem:
        raise SessionError(f"session {session.eid}: {problem}, so there is no activity to analyse")


def _label(reference: str) -> str:
    """A short name for folders and titles: ``sample``, ``suite2p_small``, ``1f2a9c...``."""
    path = Path(reference)
    name = path.stem if path.is_absolute() else reference
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60]


def _files_of(session: MesoscopeSession) -> list[tuple[str, int, int]]:
    """Name, bytes and time of change of each file: enough to notice that the input changed."""
    root = session.session_path
    if root is None:
        return [(session.eid, 0, 0)]
    root = Path(root)
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
    return [
        (str(file.relative_to(root)), (stat := file.stat()).st_size, stat.st_mtime_ns)
        for file in files
    ]
