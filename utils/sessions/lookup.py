"""Which session is meant: details of an eid, rows of a csv, near matches of a wrong name."""

from __future__ import annotations

import difflib
import os
import re
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd

from utils.paths import data_dir, one_cache_dir, session_eid
from utils.sessions.errors import SessionError, SessionNotFoundError

_SESSION_PATH = re.compile(r"([^/]+)/Subjects/([^/]+)/(\d{4}-\d{2}-\d{2})/(\d{1,3})/?$")
N_SUGGESTIONS = 3


def session_details(one: Any, eid: str, session_path: Path | None) -> dict[str, str]:
    """eid, subject, date and task protocol, from ONE's records and the session's path."""
    match = _SESSION_PATH.search(Path(session_path).as_posix()) if session_path else None
    details = {"eid": eid, "subject": "unknown", "date": "unknown", "task_protocol": ""}
    if match:
        lab, subject, date, number = match.groups()
        details.update(subject=subject, date=date)
        details["eid"] = eid or session_eid(f"{lab}/Subjects/{subject}/{date}/{int(number):03d}")
    elif not eid:
        details["eid"] = Path(session_path).name
    record = {} if one is None else as_record(one.get_details(eid))
    for field, keys in {
        "subject": ("subject",),
        "date": ("start_time", "date"),  # the server has the time of day, a local index the day
        "task_protocol": ("task_protocol",),
    }.items():
        value = next((record[key] for key in keys if _is_given(record.get(key))), None)
        if value is not None:
            details[field] = str(value)
    return details


def eid_in_csv(csv: Path | str, index: int | str) -> str:
    """The eid in row ``index`` (from 0; negative from the end) of a csv, or equal to ``index``."""
    csv = Path(csv)
    if not csv.is_file():
        raise SessionNotFoundError(f"csv of sessions {csv} does not exist")
    try:
        table = pd.read_csv(csv, dtype=str)
    except (ValueError, OSError) as error:  # empty, not text, or ragged
        raise SessionError(
            f"{csv} is no readable csv ({error}); expected a table with a column 'eid'"
        ) from None
    if "eid" not in table:
        raise SessionError(f"{csv}: no column 'eid'; columns found: {', '.join(table.columns)}")
    eids = table["eid"].fillna("").tolist()
    if isinstance(index, str):
        if index not in eids:
            raise SessionNotFoundError(f"{csv}: no eid {index}{suggest(index, eids)}")
        return index
    if not isinstance(index, Integral):
        raise SessionError(f"index {index!r}: expected the number of a row of {csv}, or an eid")
    if not -len(eids) <= index < len(eids):
        rows = f"{len(eids)} rows (0 to {len(eids) - 1})" if eids else "no rows"
        raise SessionError(f"{csv}: no row {index}; it has {rows}")
    if not eids[index]:
        raise SessionError(f"{csv}: row {index} has no eid")
    return eids[index]


def unknown_session(one: Any, eid: str, error: Exception | None = None) -> SessionNotFoundError:
    """The error for an eid that a ONE object does not know, with near matches."""
    kind = type(error).__name__
    reason = "" if error is None or kind.endswith("NotFound") else f" ({kind}: {error})"
    return SessionNotFoundError(
        f"session '{eid}' is not known to {one!r}{reason}{suggest(eid, known_sessions(one))}"
    )


def unknown_reference(name: str, path: Path, presets: list[str], one: Any) -> SessionNotFoundError:
    """The error for a reference that is a folder of another kind, or nothing, with near matches.

    ``one`` is None for the local cache, which need not exist yet.
    """
    if path.is_dir():
        return SessionNotFoundError(
            f"folder {path} is neither an IBL session (no folder alf) nor suite2p output (no "
            f"F.npy, no plane0); it holds {sorted(p.name for p in path.iterdir())[:10]}"
        )
    try:
        known = known_sessions(local_one(one_cache_dir()) if one is None else one)
    except SessionNotFoundError:
        known = []
    return SessionNotFoundError(
        f"no session '{name}': it is no preset, no eid, and no file or folder"
        f"{suggest(name, [*presets, *known])}"
    )


def known_sessions(one: Any) -> list[str]:
    """``eid (subject date)`` of each session in the local index of a ONE object."""
    try:
        eids, records = one.search(details=True, query_type="local")
    except Exception:  # suggestions are an extra: whatever fails here, the first error matters
        return []
    return [f"{eid} ({r['subject']} {r['date']})" for eid, r in zip(eids, map(as_record, records))]


def local_one(root: Path | str) -> Any:
    """A local ONE object over a cache folder; it never prompts and never asks a server.

    Raises
    ------
    SessionNotFoundError
        The folder, or the index of its sessions, is missing.
    """
    from one.api import One  # late: it takes half a second, and files need no ONE

    root = Path(root)
    if not (root / "sessions.pqt").is_file():
        raise SessionNotFoundError(
            f"{root} is no ONE cache: it has no sessions.pqt. Open 'small' to simulate a first "
            "session, or index a folder of sessions with utils.simulation.one_index.build_index"
        )
    return One(cache_dir=root, mode="local")


def server_one(url: str) -> Any:
    """A ONE object that is logged in to an Alyx server; it never prompts.

    The login comes from the environment: ONE_USERNAME and ONE_PASSWORD, or ONE_TOKEN; or it is
    one that ONE remembers. Downloads go to ``DATA/one_server/<host>``.

    Raises
    ------
    SessionError
        No login, a wrong one, or a server that cannot be reached.
    """
    from one.api import ONE

    host = re.sub(r"^https?://", "", url).strip("/").replace("/", "_")
    login = {key: os.environ.get(f"ONE_{key.upper()}") for key in ("username", "password", "token")}
    login = {key: value for key, value in login.items() if value}
    cache_dir = data_dir() / "one_server" / host
    cache_dir.mkdir(parents=True, exist_ok=True)
    try:
        return ONE(base_url=url, cache_dir=cache_dir, silent=True, **login)
    except Exception as error:  # ONE raises its own, requests' and plain ValueErrors
        raise SessionError(
            f"no connection to {url} ({type(error).__name__}: {error}); set ONE_USERNAME and "
            "ONE_PASSWORD, or ONE_TOKEN, in the environment"
        ) from error


def is_eid(name: str) -> bool:
    """Whether a name has the form of an eid (a UUID)."""
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name.lower()) is not None


def suggest(name: str, known: list[str]) -> str:
    """End of an error message: known names that look like ``name``, else how many there are."""
    if not known:
        return "; no sessions are known there"
    words = [word for word in re.split(r"[\s_/]+", name.lower()) if word]
    close = [k for k in known if k.lower().startswith(name.lower()[:8])] if name else []
    close += [k for k in known if words and all(word in k.lower() for word in words)]
    first_words = {k.split(" ")[0]: k for k in known}
    close += [first_words[k] for k in difflib.get_close_matches(name, first_words, cutoff=0.5)]
    close = list(dict.fromkeys(close))[:N_SUGGESTIONS]
    if close:
        return f"; did you mean {', '.join(close)}?"
    shown = ", ".join(known[:N_SUGGESTIONS]) + (", ..." if len(known) > N_SUGGESTIONS else "")
    return f"; {len(known)} known: {shown}"


def as_record(details: Any) -> dict[str, Any]:
    """ONE's details as a dict: remote they are one, locally a Series or DataFrame."""
    if isinstance(details, pd.DataFrame):
        details = details.iloc[0] if len(details) else {}
    return dict(details)


def _is_given(value: Any) -> bool:
    return value is not None and value != "" and not (isinstance(value, float) and value != value)
